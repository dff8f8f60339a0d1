"""Telling once that a unit's last process is gone: by its group's events, or by watching its members."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

from gitproc.kernel.tree_watch import FileWatch, MemberWatch


class EmptyWatch:
    """`events` names a unit's `cgroup.events` ("" where there is none); `files` is the shared watch."""

    def __init__(
        self,
        events: Callable[[str], str],
        is_empty: Callable[[str], bool],
        pids: Callable[[str], list[int]],
        files: Callable[[], FileWatch],
    ) -> None:
        self._events = events
        self._is_empty = is_empty
        self._pids = pids
        self._files = files
        self._members: dict[str, MemberWatch] = {}
        self._callbacks: dict[str, tuple[Callable[[], None], str]] = {}

    def add(self, unit: str, callback: Callable[[], None]) -> None:
        """Call back once, as soon as no process of the unit is left; never before this returns."""
        self.remove(unit)
        if path := self._events(unit):
            try:
                self._files().add(path, partial(self._look, unit))
                self._callbacks[unit] = callback, path
                asyncio.get_running_loop().call_soon(self._look, unit)
                return
            except OSError:
                pass  # the group is gone, or the user's inotify watches are used up
        self._members[unit] = MemberWatch(
            lambda: self._pids(unit),
            partial(self._emptied, unit, callback),
            lambda: self._is_empty(unit),
        )

    def renew(self, unit: str) -> None:
        """The unit has another group."""
        known = self._callbacks.get(unit)
        if known is not None:
            self.add(unit, known[0])

    def remove(self, unit: str) -> None:
        """Take `add` back."""
        watch = self._members.pop(unit, None)
        if watch is not None:
            watch.close()
        known = self._callbacks.pop(unit, None)
        if known is not None:
            self._files().remove(known[1])

    def close(self) -> None:
        """Give the watches of members back."""
        for unit in list(self._members):
            self.remove(unit)

    def _look(self, unit: str) -> None:
        known = self._callbacks.get(unit)
        if known is not None and self._is_empty(unit):
            self.remove(unit)
            known[0]()

    def _emptied(self, unit: str, callback: Callable[[], None]) -> None:
        self._members.pop(unit, None)
        callback()
