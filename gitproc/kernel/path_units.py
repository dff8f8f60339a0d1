"""What path units watch: looked at when they begin to, and whenever something has happened to it."""

from __future__ import annotations

import glob
import os
from collections.abc import Callable
from contextlib import suppress

from gitproc.core.occasions import PathsSeen
from gitproc.kernel import safe_path
from gitproc.kernel.path_watch import PathWatch, Watched
from gitproc.units import directives_path as p
from gitproc.units.directive import Directive
from gitproc.units.trigger_rules import watches
from gitproc.units.unit import Unit
from gitproc.units.wildcards import is_pattern

_CONTENTS = (p.PATH_CHANGED, p.PATH_MODIFIED)
_ABOVE = 0o755  # the mode of folders above


class PathUnits:
    """Posts `PathsSeen` for each path unit that watches."""

    def __init__(self, post: Callable[[PathsSeen], None], watch: PathWatch | None) -> None:
        """`watch`: None where the kernel gives no inotify descriptor; path units fail then."""
        self._post = post
        self._watch = watch
        self._marks: dict[str, tuple[str, ...]] = {}

    def begin(self, unit: Unit, invocation: str, *, first: bool) -> None:
        """Watch what `unit` names, and tell what is there. `first`: make folders that are to be there."""
        name = unit.name
        wanted = watches(unit)
        if first and unit[p.MAKE_DIRECTORY]:
            for row, path in wanted:
                if row not in (p.PATH_EXISTS, p.PATH_EXISTS_GLOB):
                    _make(path, unit[p.DIRECTORY_MODE])

        def happened(changed: frozenset[int]) -> None:
            before, marks = self._marks.get(name, ()), _look(unit)
            self._marks[name] = marks
            replaced = {
                number
                for number, (old, new) in enumerate(zip(before, marks, strict=False))
                if wanted[number][0] in _CONTENTS and old and new and _file(old) != _file(new)
            }
            told = frozenset(n for n in changed if wanted[n][0] in _CONTENTS) | replaced
            if told or marks != before:
                self._post(PathsSeen(name, invocation, marks, told))

        problem = "" if self._watch is not None else "the kernel gives no more inotify instances"
        if self._watch is not None:
            try:
                self._watch.watch(name, [_watched(row, path) for row, path in wanted], happened)
            except OSError as error:
                problem = f"cannot watch {error.filename}: {error.strerror}"
        self._marks[name] = marks = _look(unit)  # after the watch has begun: nothing is missed
        self._post(PathsSeen(name, invocation, marks, begun=True, problem=problem))

    def end(self, name: str) -> None:
        """Watch for that unit no more."""
        self._marks.pop(name, None)
        if self._watch is not None:
            self._watch.forget(name)


def _make(path: str, mode: int) -> None:
    with suppress(OSError):  # it is there, or the watch waits for it
        safe_path.make_folder(path, mode, _ABOVE)


def _watched(row: Directive[tuple[str, ...]], path: str) -> Watched:
    if row is p.PATH_EXISTS_GLOB:
        parts = path.split("/")
        fixed = [part for part in parts if not is_pattern(part)]
        return Watched(
            "/".join(parts[: _first_glob(parts)]) or "/", entries=len(fixed) < len(parts)
        )
    return Watched(
        path,
        entries=row is p.DIRECTORY_NOT_EMPTY,
        contents=row in _CONTENTS,
        writes=row is p.PATH_MODIFIED,
    )


def _first_glob(parts: list[str]) -> int:
    """The number of parts before the first one that is a pattern."""
    return next((n for n, part in enumerate(parts) if is_pattern(part)), len(parts))


def _look(unit: Unit) -> tuple[str, ...]:
    return tuple(_mark(row, path) for row, path in watches(unit))


def _mark(row: Directive[tuple[str, ...]], path: str) -> str:
    """What tells one look from another; empty if what is watched for is not there."""
    if row is p.PATH_EXISTS_GLOB:
        return "1" if next(glob.iglob(path), None) is not None else ""
    if row is p.DIRECTORY_NOT_EMPTY:
        return "1" if _has_entries(path) else ""
    try:
        found = os.stat(path)
    except OSError:
        return ""
    if row is p.PATH_EXISTS:
        return "1"
    return f"{found.st_dev}:{found.st_ino} {found.st_mtime_ns} {found.st_size}"


def _file(mark: str) -> str:
    """Which file a mark is of."""
    return mark.partition(" ")[0]


def _has_entries(path: str) -> bool:
    """Whether a folder has entries that count: hidden ones and backups do not (systemd.path(5))."""
    try:
        with os.scandir(path) as entries:
            return any(not e.name.startswith(".") and not e.name.endswith("~") for e in entries)
    except NotADirectoryError:
        return True
    except OSError:
        return False
