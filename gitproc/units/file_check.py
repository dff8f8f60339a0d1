"""What can be said of one file by itself: its syntax, and names that no unit of its kind knows.

Done once for each file, however many units it takes part in, and kept until the file changes.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain, islice

from gitproc.immutable import NamedTuple
from gitproc.units.assignments import Assignments
from gitproc.units.diagnostics import Diagnostic, Location
from gitproc.units.directives import SECTIONS, TABLE, suggest
from gitproc.units.directives_gitproc import SECTION as OUR_SECTION
from gitproc.units.parser import Section, parse
from gitproc.units.tree import SourceFile

SIZE_CAP = 1 << 20
"""Most bytes of a unit file or drop-in."""
MOST_PROBLEMS = 100
"""Most findings that one file by itself is told of."""
_LONGEST_NAME = 100  # of a directive or section, in a message


class CheckedFile(NamedTuple):
    """A parsed file: the settings to apply and all that is wrong with it; `oid` tells its content."""

    oid: str
    settings: Assignments
    diagnostics: tuple[Diagnostic, ...]


def check_file(file: SourceFile, kind: str) -> CheckedFile:
    """Parse a file that belongs to units of `kind` (`service`); raises nothing."""
    if len(file.data) > SIZE_CAP:
        message = f"{len(file.data)} bytes are too many for a unit file (1 MiB)"
        problem = Diagnostic(Location(file.path, 0), "error", "", message)
        return CheckedFile(file.oid, Assignments((), (), file.path), (problem,))
    parsed = parse(file.data, file.path)
    sections = [one for one in parsed.sections if one.name not in SECTIONS[kind]]
    names = [at for at, (key, _) in enumerate(parsed.settings.assigned) if key not in TABLE]
    if not parsed.diagnostics and not sections and not names:
        return CheckedFile(file.oid, parsed.settings, ())
    unknown = chain(
        parsed.diagnostics,
        _unknown_sections(sections, file.path, kind),
        _unknown_names(parsed.settings, names, kind),
    )
    found = tuple(islice(unknown, MOST_PROBLEMS))
    if len(found) == MOST_PROBLEMS:  # looking for what each was meant to be takes a millisecond
        more = f"there may be more: only {MOST_PROBLEMS} problems of a file are looked at"
        found += (Diagnostic(Location(file.path, 0), "error", "", more),)
    return CheckedFile(file.oid, parsed.settings, found)


def _unknown_sections(sections: Iterable[Section], path: str, kind: str) -> Iterable[Diagnostic]:
    allowed = SECTIONS[kind]
    for name, line in sections:
        where = Location(path, line)
        if name.startswith(("X-", "x-")):
            if name.lower() == OUR_SECTION.lower():
                yield Diagnostic(where, "error", "", f"[{name}] is spelled [{OUR_SECTION}]")
            continue
        from difflib import get_close_matches

        name = name[:_LONGEST_NAME]
        close = get_close_matches(name, allowed, 1, 0.6)
        if any(name in known for known in SECTIONS.values()):
            message = f"[{name}] does not belong in a {kind} unit"
        elif close:
            message = f"unknown section [{name}]; did you mean [{close[0]}]?"
        else:
            message = f"unknown section [{name}]"
        yield Diagnostic(where, "error", "", message)


def _unknown_names(
    settings: Assignments, indexes: Iterable[int], kind: str
) -> Iterable[Diagnostic]:
    allowed = SECTIONS[kind]
    for index in indexes:
        section, _, name = settings.assigned[index][0].rpartition(".")
        if section in allowed and not name.startswith("X-"):
            name = name[:_LONGEST_NAME]
            hint = suggest(section, name, allowed)
            message = f"unknown directive in [{section}]{hint}"
            yield Diagnostic(settings.where(index), "error", name, message)
