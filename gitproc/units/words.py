r"""How a value is cut into words: systemd's quoting and escaping, not a shell's.

Almost every setting that holds a list is cut here, but not all by the same rules: names of units keep
their backslashes (`foo@a\x2db.service`), command lines and Environment= have them decoded. The rules
are therefore a value of their own, and the three that unit files need have names. Text without a quote
or backslash, which is nearly all there is, takes one regular expression.

Bytes that an escape such as `\xff` gives and that are no UTF-8 are carried as surrogate escapes.
"""

from __future__ import annotations

from gitproc.immutable import immutable
from gitproc.pattern import pattern

WHITESPACE = " \t\n\r"

_PLAIN_WORD = pattern(r"[^ \t\n\r]+")
_QUOTED = r"""(?:[^ \t\n\r'"]++|'[^']*+'|"[^"]*+")++"""
_QUOTED_WORD = pattern(_QUOTED)
_QUOTED_LINE = pattern(rf"[ \t\n\r]*+(?:{_QUOTED}(?:[ \t\n\r]++|\Z))*+")
_QUOTES = pattern(r"""'([^']*)'|"([^"]*)\"""")
_ESCAPES = {
    "a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "s": " ",
    "\\": "\\", '"': '"', "'": "'",
}  # fmt: skip
_NUMERIC_ESCAPE = pattern(r"x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-7]{3})")


class WordError(ValueError):
    """A value that cannot be cut; `position` is the index of the offending character."""

    def __init__(self, message: str, position: int) -> None:
        super().__init__(message)
        self.position = position


@immutable
class WordRules:
    """Which characters mean something inside a word (names follow systemd's own)."""

    unquote: bool = False
    keep_quote: bool = False
    cunescape: bool = False
    unescape_separators: bool = False
    unescape_relax: bool = False
    retain_escape: bool = False
    retain_separators: bool = False
    coalesce: bool = True
    relax: bool = False


LIST = WordRules(unquote=True, retain_escape=True)
COMMAND = WordRules(unquote=True, cunescape=True, unescape_relax=True)
ASSIGNMENTS = WordRules(unquote=True, cunescape=True)
VARIABLE = WordRules(unquote=True, relax=True)

# What cuts words, and the noncharacter (which no text holds) that stands for it until they are cut.
_PARTS = {ord(char): 0xFDD0 + place for place, char in enumerate(WHITESPACE + "'\"")}
_MEANT = {part: chr(char) for char, part in _PARTS.items()}


def as_part(text: str) -> str:
    """`text` so that it stays in one word, whatever is in it, in a value that `split_words` will cut."""
    return text.translate(_PARTS)


def split_words(text: str, rules: WordRules = LIST, separators: str = WHITESPACE) -> list[str]:
    """All words of `text`; WordError (a ValueError) for an open quote or a bad escape."""
    words = _cut(text, rules, separators)
    return words if text.isascii() else [word.translate(_MEANT) for word in words]


def _cut(text: str, rules: WordRules, separators: str) -> list[str]:
    if rules.coalesce and separators == WHITESPACE and "\\" not in text:
        if "'" not in text and '"' not in text:
            return _PLAIN_WORD.findall(text)
        quotes = rules.unquote and not rules.keep_quote and not rules.retain_separators
        if quotes and text.isascii() and _QUOTED_LINE.fullmatch(text):
            return [_unquoted(word) for word in _QUOTED_WORD.findall(text)]
    words: list[str] = []
    position = 0
    while True:
        word, position = extract_word(text, position, rules, separators)
        if word is None:
            return words
        words.append(word)


def extract_word(
    text: str, start: int = 0, rules: WordRules = LIST, separators: str = WHITESPACE
) -> tuple[str | None, int]:
    """The word at or after `start`, and where to go on; (None, ...) when there is none.

    A position beyond the end says that the last word ended with the text, so that a separator at
    the very end can still be followed by one empty word where separators are not coalesced.
    """
    end = len(text)
    if start > end:
        return None, start
    at = start
    if rules.coalesce:
        at = _skip(text, at, separators)
        if at == end:
            return None, end + 1
    quoting = rules.unquote or rules.keep_quote
    out: list[str] = []
    quote = ""
    while at < end:
        char = text[at]
        if char == "\\" and not rules.retain_escape:
            if at + 1 == end:
                if rules.unescape_relax and (not quote or rules.relax):
                    out.append("\\")
                elif not rules.relax:
                    raise WordError("ends in a backslash", end)
                return _joined(out), end + 1
            piece, at = _escaped(text, at + 1, rules, separators)
            out.append(piece)
            continue
        at += 1
        if quote:
            if char == quote:
                quote = ""
                if rules.unquote:
                    continue
        elif quoting and char in "'\"":
            quote = char
            if rules.unquote:
                continue
        elif char in separators:
            if rules.retain_separators:
                return _joined(out), at - 1
            if rules.coalesce:
                at = _skip(text, at, separators)
                return _joined(out), at if at < end else end + 1
            return _joined(out), at
        out.append(char)
    if quote and not rules.relax:
        raise WordError(f"a quote ({quote}) is opened and not closed", end)
    return _joined(out), end + 1


def cunescape(text: str, *, relax: bool = False) -> str:
    """Decode C escapes; `relax` keeps what is no valid escape as it stands, else ValueError."""
    out: list[str] = []
    at = 0
    while (backslash := text.find("\\", at)) >= 0:
        out.append(text[at:backslash])
        decoded = unescape_one(text, backslash + 1)
        if decoded is not None:
            piece, at = decoded
            out.append(piece)
        elif relax:
            out.append("\\")
            at = backslash + 1
        else:
            raise WordError(f"bad escape sequence {text[backslash : backslash + 4]}", backslash)
    out.append(text[at:])
    return _joined(out)


def unescape_one(text: str, at: int) -> tuple[str, int] | None:
    """The character an escape stands for and where it ends; `at` is just behind the backslash."""
    simple = _ESCAPES.get(text[at : at + 1])
    if simple is not None:
        return simple, at + 1
    match = _NUMERIC_ESCAPE.match(text, at)
    if match is None:
        return None
    byte, short, long, octal = match.groups()
    code = int(octal, 8) if octal else int(byte or short or long, 16)
    if code == 0:
        return None
    if short or long:
        return (chr(code), match.end()) if is_character(code) else None
    if code > 0xFF:
        return None
    return chr(code if code < 0x80 else 0xDC00 + code), match.end()


def is_character(code: int) -> bool:
    """Whether a code point is a Unicode character proper (no surrogate, no noncharacter)."""
    return (
        code < 0x110000
        and not 0xD800 <= code <= 0xDFFF
        and not 0xFDD0 <= code <= 0xFDEF
        and code & 0xFFFE != 0xFFFE
    )


def is_text(text: str) -> bool:
    """Whether every code point is a character: what systemd calls valid UTF-8. NUL is none."""
    return (text.isascii() or all(is_character(ord(char)) for char in text)) and "\0" not in text


def _unquoted(word: str) -> str:
    """A word whose quotes are all closed. Where they are of one kind, none of them is text."""
    if '"' not in word:
        return word.replace("'", "")
    return _QUOTES.sub(r"\1\2", word) if "'" in word else word.replace('"', "")


def _escaped(text: str, at: int, rules: WordRules, separators: str) -> tuple[str, int]:
    char = text[at]
    if not (rules.cunescape or rules.unescape_separators):
        return char, at + 1
    if rules.cunescape:
        decoded = unescape_one(text, at)
        if decoded is not None:
            return decoded
    if rules.unescape_separators and (char in separators or char == "\\"):
        return char, at + 1
    if rules.unescape_relax:
        return "\\" + char, at + 1
    raise WordError(f"unknown escape sequence \\{char}", at)


def _skip(text: str, at: int, separators: str) -> int:
    while at < len(text) and text[at] in separators:
        at += 1
    return at


def _joined(pieces: list[str]) -> str:
    word = "".join(pieces)
    if word.isascii():
        return word
    # Single bytes that together are UTF-8 become the character they spell.
    return word.encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape")
