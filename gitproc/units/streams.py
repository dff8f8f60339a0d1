"""Where standard input, output and error lead (systemd.exec(5), "Logging and Standard Input/Output")."""

from __future__ import annotations

import base64
import binascii

from gitproc.immutable import immutable
from gitproc.pattern import pattern
from gitproc.units.paths import parse_path
from gitproc.units.words import cunescape

_FILES = ("file", "append", "truncate")
_TERMINALS = ("tty", "tty-force", "tty-fail")
_LOGS = frozenset(
    {"journal", "journal+console", "syslog", "syslog+console", "kmsg", "kmsg+console"}
)
_FD_NAME = pattern(r"[\x21-\x39\x3b-\x7e]{1,255}")
_LEVELS = ("emerg", "alert", "crit", "err", "warning", "notice", "info", "debug")


@immutable
class Stream:
    """One end. `kind`: null, inherit, journal (GitProc's log, under all its names), socket, data, fd, file,
    append, truncate, tty, tty-force, tty-fail. `name`: a path, the name of a descriptor ("": the usual one),
    or, of a log, what else was asked for (console, kmsg)."""

    kind: str
    name: str = ""

    @property
    def is_terminal(self) -> bool:
        """Whether it is a terminal, got in whichever way."""
        return self.kind in _TERMINALS

    @property
    def is_two_way(self) -> bool:
        """Whether what is read from could be written to as well, so that `inherit` makes sense."""
        return self.is_terminal or self.kind in ("socket", "fd")

    @property
    def is_file(self) -> bool:
        """Whether it is a path that is opened."""
        return self.kind in _FILES

    def __str__(self) -> str:
        return f"{self.kind}:{self.name}" if self.name else self.kind


NULL, INHERIT, JOURNAL, DATA = (Stream(kind) for kind in ("null", "inherit", "journal", "data"))


def parse_input(text: str) -> Stream:
    """StandardInput=: null, data, socket, tty ..., fd[:NAME], file:PATH."""
    if text in ("null", "data", "socket", *_TERMINALS):
        return Stream(text)
    found = _named(text)
    if found is None or found.kind in ("append", "truncate"):
        raise ValueError(f"'{text}' is not an input: null, data, socket, tty, fd:NAME, file:PATH")
    return found


def parse_output(text: str) -> Stream:
    """StandardOutput=, StandardError=: journal, inherit, null, socket, tty, fd[:NAME], file:PATH ..."""
    if text in _LOGS:
        base, _, console = text.partition("+")
        return Stream("journal", console or ("kmsg" if base == "kmsg" else ""))
    if text in ("inherit", "null", "socket", "tty"):
        return Stream(text)
    found = _named(text)
    if found is None:
        raise ValueError(f"'{text}' is not an output: journal, inherit, null, append:PATH ...")
    return found


def parse_input_text(text: str) -> tuple[bytes, ...]:
    """StandardInputText=: a line, C escapes decoded."""
    return ((cunescape(text) + "\n").encode("utf-8", "surrogateescape"),)


def parse_input_data(text: str) -> tuple[bytes, ...]:
    """StandardInputData=: base64, white space ignored."""
    try:
        return (base64.b64decode("".join(text.split()), validate=True),)
    except binascii.Error:
        raise ValueError("this is not base64") from None


def parse_level(text: str) -> int:
    """A log level, by name (`warning`) or number (0 emerg to 7 debug)."""
    if text in _LEVELS:
        return _LEVELS.index(text)
    if len(text) == 1 and text in "01234567":
        return int(text)
    raise ValueError(f"'{text}' is not one of {', '.join(_LEVELS)}")


def _named(text: str) -> Stream | None:
    kind, colon, rest = text.partition(":")
    if kind == "fd":
        if rest and _FD_NAME.fullmatch(rest) is None:
            raise ValueError(f"'{rest}' is not a name of a descriptor")
        return Stream("fd", rest)
    return Stream(kind, parse_path(rest)) if colon and kind in _FILES else None
