"""Environment variables: Environment=, the text of an EnvironmentFile=, and $X in a command line.

Three languages that look alike and are not: Environment= is words with C escapes, the file has shell-like
quotes of its own, and a command line knows `$X`, `${X}` and `$$` and nothing more (systemd.exec(5)).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from gitproc.pattern import pattern
from gitproc.units.commands import ExecCommand
from gitproc.units.words import ASSIGNMENTS, VARIABLE, WordError, is_text, split_words

_NAME = pattern(r"[A-Za-z_][A-Za-z0-9_]*")
_NAMED = pattern(r"[A-Za-z_][A-Za-z0-9_]*=")
_REFERENCE = pattern(r"\$(?:(\$)|\{([^}:]*)\})")
_KEY = pattern(r"([^=\n\r]*)(=|[\n\r]|\Z)")
_COMMENT = pattern(r"[^\n\r]*")
_BARE = pattern(r"\\(.?)|([^\\\n\r]+)", re.DOTALL)
_SINGLE_QUOTED = pattern(r"([^']*)'?")
_DOUBLE_QUOTED = pattern(r'((?:[^"\\]|\\.)*)(?:"|\\?\Z)', re.DOTALL)
_DOUBLE_QUOTED_ESCAPE = pattern(r"\\(?:([\"\\`$])|\n)")


def is_valid_name(name: str) -> bool:
    """Whether this may name a variable: letters, digits and underscores, no digit in front."""
    return _NAME.fullmatch(name) is not None


def is_valid_value(value: str) -> bool:
    """Whether this may be a variable's value: valid UTF-8; line breaks and tabs are fine."""
    return is_text(value)


def is_valid_assignment(text: str) -> bool:
    """Whether this is NAME=VALUE with both parts valid."""
    return _NAMED.match(text) is not None and is_valid_value(text)


def parse_assignments(text: str) -> tuple[str, ...]:
    """The `K=V` words of one Environment=; ValueError names the one that is none."""
    try:
        words = split_words(text, ASSIGNMENTS)
    except WordError as error:
        raise ValueError(f"the list of assignments: {error}") from None
    for word in words:
        if not is_valid_assignment(word):
            raise ValueError(f"{word!r} is not an assignment (NAME=value, quoted as a whole)")
    return tuple(words)


def parse_variable_names(text: str) -> tuple[str, ...]:
    """Names of variables (PassEnvironment=, UnsetEnvironment=); the latter also takes `K=V`."""
    words = split_words(text)
    for word in words:
        if not is_valid_name(word) and not is_valid_assignment(word):
            raise ValueError(f"{word!r} is not the name of a variable")
    return tuple(words)


def parse_environment_file(text: str) -> list[tuple[str, str]]:
    """The variables a file sets, the last of a name winning; ValueError if it is not UTF-8 text.

    Lines without `=` and names no variable can have are passed over, as systemd does.
    """
    found: dict[str, str] = {}
    at = 0
    while at < len(text):
        char = text[at]
        if char in " \t\n\r":
            at += 1
            continue
        if char in "#;":
            at = _match(_COMMENT, text, at).end()
            continue
        key = _match(_KEY, text, at)
        at = key.end()
        if key[2] != "=":
            continue
        value, at = _value(text, at)
        name = key[1].rstrip(" \t")
        if not is_text(name) or not is_text(value):
            raise ValueError(f"the assignment of {name!a} is not valid UTF-8 text")
        if is_valid_name(name):
            found[name] = value
    return list(found.items())


def expand_argv(command: ExecCommand, env: Mapping[str, str]) -> list[str]:
    """The arguments to execute, variables replaced.

    `$X` as a word of its own is replaced by its value's words (none if unset), `${X}` anywhere by
    its value as it is, `$$` by a dollar. `no_expand` (prefix `:`) leaves all as written.
    """
    if command.no_expand:
        return list(command.argv)
    argv: list[str] = []
    for word in command.argv:
        if "$" not in word:
            argv.append(word)
        elif word[0] == "$" and word[1:2] not in ("{", "$"):
            argv.extend(split_words(env.get(word[1:], ""), VARIABLE))
        else:
            argv.append(_REFERENCE.sub(lambda ref: ref[1] or env.get(ref[2] or "", ""), word))
    return argv or [command.path]


def _value(text: str, at: int) -> tuple[str, int]:
    """The value that starts at `at`, and where its line ends. Quoted parts may stand in a row."""
    parts: list[str] = []
    while at < len(text):
        char = text[at]
        if char in "\n\r":
            break
        if char in " \t":
            at += 1
        elif char == "'":
            match = _match(_SINGLE_QUOTED, text, at + 1)
            parts.append(match[1])
            at = match.end()
        elif char == '"':
            match = _match(_DOUBLE_QUOTED, text, at + 1)
            parts.append(_DOUBLE_QUOTED_ESCAPE.sub(r"\1", match[1]))
            at = match.end()
        else:
            bare, at = _bare_value(text, at)
            parts.append(bare)
            break
    return "".join(parts), at


def _bare_value(text: str, at: int) -> tuple[str, int]:
    """An unquoted value: a backslash keeps the next character and joins lines."""
    kept = ""
    tail = ""
    while (match := _BARE.match(text, at)) is not None:
        at = match.end()
        if match[2] is not None:
            tail += match[2]
        else:
            kept += tail + ("" if match[1] in "\n\r" else match[1])
            tail = ""
    return kept + tail.rstrip(" \t"), at


def _match(pattern: re.Pattern[str], text: str, at: int) -> re.Match[str]:
    match = pattern.match(text, at)
    assert match is not None, "the pattern matches the empty text"
    return match
