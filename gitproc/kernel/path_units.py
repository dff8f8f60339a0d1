"""What path units watch: looked at when they begin to, and whenever something has happened to it."""

from __future__ import annotations

import asyncio
import glob
import os
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from gitproc.core.occasions import PathsSeen
from gitproc.kernel import safe_path
from gitproc.kernel.path_watch import PathWatch, Watched
from gitproc.units import directives_path as p
from gitproc.units.directive import Directive
from gitproc.units.trigger_rules import watches
from gitproc.units.unit import Unit
from gitproc.units.wildcards import is_pattern

_CONTENTS = (p.PATH_CHANGED, p.PATH_MODIFIED)
_LONG = 0.02  # seconds of a look
_ABOVE = 0o755  # the mode of folders above


class _Watching:
    """One unit that watches: what was seen last; `waiting`: what has happened since a look that goes on."""

    def __init__(self, unit: Unit, invocation: str) -> None:
        self.unit, self.invocation = unit, invocation
        self.wanted = watches(unit)
        self.marks: tuple[str, ...] = ()
        self.busy = False
        self.waiting: frozenset[int] | None = None


class PathUnits:
    """Posts `PathsSeen` for each path unit that watches.

    Who may write a folder can fill it so that a look takes seconds, and have it looked at again and again. So
    who took long once is looked at in a thread from then on, and no more than half of the time.
    """

    def __init__(self, post: Callable[[PathsSeen], None], watch: PathWatch | None) -> None:
        """`watch`: None where the kernel gives no inotify descriptor; path units fail then."""
        self._post = post
        self._watch = watch
        self._watching: dict[str, _Watching] = {}
        self._slow: set[str] = set()

    def begin(self, unit: Unit, invocation: str, *, first: bool) -> None:
        """Watch what `unit` names, and tell what is there. `first`: make folders that are to be there."""
        it = _Watching(unit, invocation)
        if first and unit[p.MAKE_DIRECTORY]:
            for row, path in it.wanted:
                if row not in (p.PATH_EXISTS, p.PATH_EXISTS_GLOB):
                    _make(path, unit[p.DIRECTORY_MODE])
        self._watching[unit.name] = it
        problem = "" if self._watch is not None else "the kernel gives no more inotify instances"
        if self._watch is not None:
            paths = [_watched(row, path) for row, path in it.wanted]
            try:
                self._watch.watch(unit.name, paths, partial(self._happened, it))
            except OSError as error:
                problem = f"cannot watch {error.filename}: {error.strerror}"
        self._look(it, partial(self._begun, it, problem))  # after the watch: nothing is missed

    def end(self, name: str) -> None:
        """Watch for that unit no more."""
        self._watching.pop(name, None)
        if self._watch is not None:
            self._watch.forget(name)

    def _begun(self, it: _Watching, problem: str, marks: tuple[str, ...]) -> None:
        it.marks = marks
        seen = PathsSeen(it.unit.name, it.invocation, marks, begun=True, problem=problem)
        self._post(seen)

    def _happened(self, it: _Watching, changed: frozenset[int]) -> None:
        if it.busy:
            it.waiting = (it.waiting or frozenset()) | changed
        else:
            self._look(it, partial(self._seen, it, changed))

    def _seen(self, it: _Watching, changed: frozenset[int], marks: tuple[str, ...]) -> None:
        before, it.marks = it.marks, marks
        replaced = {
            number
            for number, (old, new) in enumerate(zip(before, marks, strict=False))
            if it.wanted[number][0] in _CONTENTS and old and new and _file(old) != _file(new)
        }
        told = frozenset(n for n in changed if it.wanted[n][0] in _CONTENTS) | replaced
        if told or marks != before:
            self._post(PathsSeen(it.unit.name, it.invocation, marks, told))

    def _look(self, it: _Watching, then: Callable[[tuple[str, ...]], None]) -> None:
        if it.unit.name not in self._slow:
            marks, took = _timed(it.unit)
            if took > _LONG:
                self._slow.add(it.unit.name)
            then(marks)
            return
        it.busy = True
        looking = asyncio.get_running_loop().run_in_executor(None, _timed, it.unit)
        looking.add_done_callback(partial(self._looked, it, then))

    def _looked(
        self,
        it: _Watching,
        then: Callable[[tuple[str, ...]], None],
        looking: asyncio.Future[tuple[tuple[str, ...], float]],
    ) -> None:
        if looking.cancelled() or self._watching.get(it.unit.name) is not it:
            return
        marks, took = looking.result()
        then(marks)
        asyncio.get_running_loop().call_later(took, self._rested, it)

    def _rested(self, it: _Watching) -> None:
        it.busy = False
        if it.waiting is not None and self._watching.get(it.unit.name) is it:
            changed, it.waiting = it.waiting, None
            self._happened(it, changed)


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


def _timed(unit: Unit) -> tuple[tuple[str, ...], float]:
    """What is there, and how many seconds it took to see that."""
    begun = time.monotonic()
    return tuple(_mark(row, path) for row, path in watches(unit)), time.monotonic() - begun


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
