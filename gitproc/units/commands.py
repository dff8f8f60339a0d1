"""Command lines (ExecStart= and its kin): prefixes, words, and `;` between commands.

No shell is involved: the line is cut by the rules of `words`, a lone `;` parts two commands, and `>`,
`|` or `&` are plain text. The program's path is checked here as far as that goes without a host; a bare
name is kept and looked up on the fixed search path when the command runs (systemd.service(5)).
"""

from __future__ import annotations

from functools import lru_cache

from gitproc.immutable import immutable, mutable
from gitproc.units.paths import is_valid_path, path_simplify
from gitproc.units.words import COMMAND, WHITESPACE, WordError, extract_word, split_words

_UNSAFE = frozenset("\"'\\\x7f") | frozenset(map(chr, range(1, 32)))


@immutable
class ExecCommand:
    """One command. `argv` holds argv[0] and has its variables still in it."""

    path: str
    argv: tuple[str, ...]
    ignore_failure: bool = False
    no_expand: bool = False
    full_privileges: bool = False
    keep_user: bool = False
    ambient: bool = False


@mutable
class _Prefixes:
    ignore_failure: bool = False
    no_expand: bool = False
    argv0: bool = False
    privilege: str = ""

    def take(self, char: str) -> bool:
        if char == "-" and not self.ignore_failure:
            self.ignore_failure = True
        elif char == "@" and not self.argv0:
            self.argv0 = True
        elif char == ":" and not self.no_expand:
            self.no_expand = True
        elif (char == "+" and not self.privilege) or (char == "!" and self.privilege in ("", "!")):
            self.privilege += char
        else:
            return False
        return True


def parse_commands(text: str) -> tuple[ExecCommand, ...]:
    """The commands of one assignment; () for the empty text. ValueError says what is wrong."""
    commands: list[ExecCommand] = []
    at = 0
    try:
        if ";" not in text and "\\" not in text:
            words = split_words(text, COMMAND)
            return (_command(words[0], words[1:]),) if words else ()
        while True:
            first, at = extract_word(text, at, COMMAND)
            if first is None:
                return tuple(commands)
            if first == ";":
                continue
            arguments, at = _arguments(text, at)
            commands.append(_command(first, arguments))
    except WordError as error:
        raise ValueError(f"the command line: {error}") from None


def parse_command(text: str) -> ExecCommand:
    """Exactly one command; ValueError for none or several."""
    commands = parse_commands(text)
    if len(commands) != 1:
        raise ValueError(f"one command is needed, {len(commands)} are given")
    return commands[0]


def _arguments(text: str, at: int) -> tuple[list[str], int]:
    """The words up to the next lone `;`, and where the next command starts."""
    words: list[str] = []
    end = len(text)
    while at < end:
        # Looked at before unquoting, so that ';' in quotes and \073 stay arguments.
        if text[at] == ";" and text[at + 1 : at + 2] in WHITESPACE:
            return words, at + 1
        if text.startswith("\\;", at) and text[at + 2 : at + 3] in WHITESPACE:
            words.append(";")
            at += 2
            while at < end and text[at] in WHITESPACE:
                at += 1
            continue
        word, at = extract_word(text, at, COMMAND)
        if word is None:
            break
        words.append(word)
    return words, at


def _command(first: str, words: list[str]) -> ExecCommand:
    path, program, own_name, *flags = _program(first)
    if not own_name:
        words.insert(0, path)
    elif not words:
        raise ValueError(f"'{first}': the prefix @ needs the name to show as argv[0]")
    return ExecCommand(program, tuple(words), *flags)


@lru_cache(maxsize=256)
def _program(first: str) -> tuple[str, str, bool, bool, bool, bool, bool, bool]:
    # Many services are of one program.
    prefixes = _Prefixes()
    path = first
    while path and path[0] in "-@:+!" and prefixes.take(path[0]):
        path = path[1:]
    _check_program(path, first)
    return (
        path,
        path_simplify(path) if path.startswith("/") else path,
        prefixes.argv0,
        prefixes.ignore_failure,
        prefixes.no_expand,
        prefixes.privilege == "+",
        prefixes.privilege == "!",
        prefixes.privilege == "!!",
    )


def _check_program(path: str, word: str) -> None:
    if not path:
        raise ValueError(f"'{word}': the program is missing")
    if not _UNSAFE.isdisjoint(path):
        raise ValueError(f"{path!r}: quotes, backslashes and control characters are not allowed")
    if path.startswith("$"):
        raise ValueError(f"'{path}': the program may not come from a variable")
    if path[0] in "-@:+!":
        raise ValueError(f"'{word}': the prefix {path[0]} does not go with the others")
    if path.endswith(("/", "/.", "/..")) or path in (".", ".."):
        raise ValueError(f"'{path}' is a directory, not a program")
    if "/" in path and not path.startswith("/"):
        raise ValueError(f"'{path}' is neither an absolute path nor a bare program name")
    if not is_valid_path(path):
        raise ValueError("the program's path is too long")
