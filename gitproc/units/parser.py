"""From the bytes of one unit file to its assignments in order, by the rules of systemd.syntax(7).

Nothing is interpreted here: a key may come back any number of times, values are raw text, and every
finding is a diagnostic with its line, so one run shows all that is wrong with a file. What systemd skips
with a warning (a line without `=`, an assignment that is not UTF-8) is an error here: a typo must not be lost.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from sys import intern
from typing import TypeAlias

from gitproc.immutable import NamedTuple
from gitproc.units.assignments import Assigned, Assignments
from gitproc.units.diagnostics import Diagnostic, Location

LONG_LINE = 1 << 20
"""Most characters in one assignment with its continuation lines, as in systemd."""

_BOM = b"\xef\xbb\xbf"
_BLANK = " \t"
_SHORT = 40  # characters: lines up to `WantedBy=multi-user.target` and some more are the same in many units
_MOST_KNOWN = 512
"""Lines of a section that are remembered."""
_LEADING = " \t#;[="
"""What a plain assignment does not begin with."""

_Complain: TypeAlias = Callable[[int, str], None]


class Section(NamedTuple):
    """One section header as written, and its line."""

    name: str
    line: int


class Parsed(NamedTuple):
    """The content of one file: assignments and section headers in order, and what is wrong."""

    settings: Assignments
    sections: tuple[Section, ...]
    diagnostics: tuple[Diagnostic, ...]


def parse(data: bytes, path: str) -> Parsed:
    """Parse one unit file or drop-in; `path` goes into every location. Raises nothing."""
    assigned: list[Assigned] = []
    numbers: list[int] = []
    sections: list[Section] = []
    found: list[Diagnostic] = []

    def complain(line: int, message: str) -> None:
        found.append(Diagnostic(Location(path, line), "error", "", message))

    prefix: str | None = None
    known: dict[str, Assigned] = {}
    huge = len(data) > LONG_LINE
    first = 0
    pending: list[str] = []
    length = 0
    lines = _decode(data, complain).split("\n")
    lines.append("")  # ends a continuation that the file leaves open
    for number, line in enumerate(lines, 1):
        if not pending:
            if (same := known.get(line)) is not None:
                assigned.append(same)
                numbers.append(number)
                continue
            if not line:
                continue
            if line[0] not in _LEADING and line[-1] != "\\" and prefix is not None and not huge:
                key, equals, text = line.partition("=")
                if equals and (key := key.rstrip(_BLANK)):
                    same = intern(prefix + key), text.strip(_BLANK)
                    assigned.append(same)
                    numbers.append(number)
                    if len(line) <= _SHORT:
                        _remember(known, line, same)
                    continue
        stripped = line.strip(_BLANK)
        if not stripped:
            if not pending:
                continue
        elif stripped[0] in "#;":
            continue
        if not pending:
            first = number
        if line and line[-1] == "\\" and (len(line) - len(line.rstrip("\\"))) % 2:
            pending.append(line[:-1])
            length += len(line)
            continue
        if pending:
            pending.append(line)
            length += len(line)
            stripped = " ".join(pending).strip(_BLANK) if length <= LONG_LINE else ""
            pending = []
            if length > LONG_LINE:
                complain(first, "line is longer than 1 MiB with its continuation lines")
            length = 0
            if not stripped:
                continue
        elif len(stripped) > LONG_LINE:
            complain(first, "line is longer than 1 MiB")
            continue
        if stripped[0] == "[":
            if stripped[-1] != "]" or len(stripped) < 3:
                complain(first, f"invalid section header {stripped[:80]!r}")
                prefix, known = None, {}
                continue
            name = stripped[1:-1]
            sections.append(Section(name, first))
            prefix = name + "."
            known = _known(name)
            continue
        key, equals, text = stripped.partition("=")
        if not equals:
            complain(first, f"missing '=' in {stripped[:80]!r}")
        elif prefix is None:
            complain(first, f"assignment outside of a section: {stripped[:80]!r}")
        elif not (key := key.rstrip(_BLANK)):
            complain(first, f"missing the name before '=' in {stripped[:80]!r}")
        else:
            assigned.append((intern(prefix + key), text.lstrip(_BLANK)))
            numbers.append(first)
    settings = Assignments(tuple(assigned), tuple(numbers), path)
    return Parsed(settings, tuple(sections), tuple(found))


@lru_cache(maxsize=16)
def _known(_section: str) -> dict[str, Assigned]:
    """What short lines of a section that were met before say: units have many of them in common."""
    return {}


def _remember(known: dict[str, Assigned], line: str, says: Assigned) -> None:
    if len(known) >= _MOST_KNOWN:
        known.clear()
    known[line] = says


def _decode(data: bytes, complain: _Complain) -> str:
    """The text of a file, its line ends made uniform; bytes that cannot be text are reported."""
    data = data.removeprefix(_BOM)
    if b"\r" in data:
        data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    if (at := data.find(b"\0")) >= 0:
        complain(data.count(b"\n", 0, at) + 1, "NUL byte: this is not a text file")
        data = data.replace(b"\0", b"")
    try:
        return data.decode()
    except UnicodeDecodeError:
        return "\n".join(_readable(data.split(b"\n"), complain))


def _readable(lines: list[bytes], complain: _Complain) -> Iterator[str]:
    """Each line, with a mark for what is not UTF-8: in a comment it may be anything, as in systemd."""
    for number, line in enumerate(lines, 1):
        try:
            yield line.decode()
        except UnicodeDecodeError:
            if line.lstrip(_BLANK.encode())[:1] not in (b"#", b";"):
                complain(number, "not valid UTF-8")
            yield line.decode(errors="replace")
