"""From the bytes of one unit file to its assignments in order, by the rules of systemd.syntax(7).

Nothing is interpreted here: a key may come back any number of times, values are raw text, and every
finding is a diagnostic with its line, so one run shows all that is wrong with a file. What systemd skips
with a warning (a line without `=`, an assignment that is not UTF-8) is an error here: a typo must not be lost.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from sys import intern
from typing import NamedTuple, TypeAlias

from gitproc.units.diagnostics import Diagnostic, Location

LONG_LINE = 1 << 20
"""Most characters in one assignment with its continuation lines, as in systemd."""

_BOM = b"\xef\xbb\xbf"
_BLANK = " \t"
_SHORT = 17  # characters: texts up to `multi-user.target` are the same in many units
_LEADING = " \t#;[="
"""What a plain assignment does not begin with."""

_Complain: TypeAlias = Callable[[int, str], None]


class Setting(NamedTuple):
    """One assignment as written: key (`Service.ExecStart`), its raw text, and where it stands."""

    key: str
    text: str
    file: str
    line: int

    @property
    def where(self) -> Location:
        """Its place. Made when asked for: few are, and there are several settings to each unit."""
        return Location(self.file, self.line)


class Section(NamedTuple):
    """One section header as written."""

    name: str
    where: Location


class Parsed(NamedTuple):
    """The content of one file: assignments and section headers in order, and what is wrong."""

    settings: tuple[Setting, ...]
    sections: tuple[Section, ...]
    diagnostics: tuple[Diagnostic, ...]


def parse(data: bytes, path: str) -> Parsed:
    """Parse one unit file or drop-in; `path` goes into every location. Raises nothing."""
    settings: list[Setting] = []
    sections: list[Section] = []
    found: list[Diagnostic] = []

    def complain(line: int, message: str) -> None:
        found.append(Diagnostic(Location(path, line), "error", "", message))

    prefix: str | None = None
    new = tuple.__new__  # a named tuple's own constructor takes twice the time
    huge = len(data) > LONG_LINE
    first = 0
    pending: list[str] = []
    length = 0
    lines = _decode(data, complain).split("\n")
    lines.append("")  # ends a continuation that the file leaves open
    for number, line in enumerate(lines, 1):
        if not pending:
            if not line:
                continue
            if line[0] not in _LEADING and line[-1] != "\\" and prefix is not None and not huge:
                key, equals, text = line.partition("=")
                if equals and (key := key.rstrip(_BLANK)):
                    text = text.strip(_BLANK)
                    if len(text) <= _SHORT:
                        text = intern(text)
                    settings.append(new(Setting, (intern(prefix + key), text, path, number)))
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
                prefix = None
                continue
            name = stripped[1:-1]
            sections.append(Section(name, Location(path, first)))
            prefix = name + "."
            continue
        key, equals, text = stripped.partition("=")
        if not equals:
            complain(first, f"missing '=' in {stripped[:80]!r}")
        elif prefix is None:
            complain(first, f"assignment outside of a section: {stripped[:80]!r}")
        elif not (key := key.rstrip(_BLANK)):
            complain(first, f"missing the name before '=' in {stripped[:80]!r}")
        else:
            settings.append(Setting(intern(prefix + key), text.lstrip(_BLANK), path, first))
    return Parsed(tuple(settings), tuple(sections), tuple(found))


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
