"""Noticing that the kernel's OOM killer struck in a unit's group, by its counters.

The counters are the truth and survive a restart of the manager; events only say when to look. The unified
tree signals `memory.events`, of a group and of all above it: one watch on our base tells of every unit,
whoever ran out of memory. v1 signals an eventfd when the group runs out of memory, which is before somebody
is killed, so the counter is looked at again a moment later.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from gitproc.kernel import cgroup_v2
from gitproc.kernel.tree_watch import FileWatch

_LATER_SECONDS = (0.02, 0.2)


class OomWatch:
    """Counts kills per unit. `count` reads a unit's counter (None: it has none)."""

    def __init__(self, count: Callable[[str], int | None]) -> None:
        self._count = count
        self._seen: dict[str, int] = {}
        self._callbacks: dict[str, Callable[[], None]] = {}
        self._tree = ""
        self._total = 0
        self._handles: dict[str, int] = {}

    def start(self, unit: str, counted: int) -> None:
        """The unit has a group, or another one: count from `counted` on. v1 is to be armed anew."""
        self._seen[unit] = counted
        self._disarm(unit)

    def news(self, unit: str) -> int:
        """How many were killed since this was last asked, or since `start`; 0 at first without it."""
        now = self._count(unit) or 0
        before = self._seen.get(unit, now)
        self._seen[unit] = now
        return max(0, now - before)

    def subscribe(self, unit: str, callback: Callable[[], None]) -> None:
        """Call back while somebody of the unit was killed whom `news` has not told of.

        `arm_v2` or `arm_v1` make it happen.
        """
        self._seen.setdefault(unit, self._count(unit) or 0)
        self._callbacks[unit] = callback

    def wants(self, unit: str) -> bool:
        """Whether somebody subscribed."""
        return unit in self._callbacks

    def arm_v2(self, base: str, files: FileWatch) -> None:
        """Watch our part of the unified tree, where that has the memory controller. OSError."""
        path = f"{base}/memory.events"
        if path == self._tree:
            return
        self._total = cgroup_v2.read_key(base, "memory.events", "oom_kill") or 0
        files.add(path, partial(self._look_around, base))
        self._tree = path

    def arm_v1(self, unit: str, group: str) -> None:
        """Watch a group of the v1 memory hierarchy."""
        if unit in self._handles:
            return
        handle = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        try:
            control = os.open(f"{group}/memory.oom_control", os.O_RDONLY | os.O_CLOEXEC)
            try:
                cgroup_v2.write(group, "cgroup.event_control", f"{handle} {control}")
            finally:
                os.close(control)
        except OSError:
            os.close(handle)
            return
        self._handles[unit] = handle
        asyncio.get_running_loop().add_reader(handle, self._struck, unit, handle)

    def forget(self, unit: str) -> None:
        """The unit's group goes."""
        self._seen.pop(unit, None)
        self._callbacks.pop(unit, None)
        self._disarm(unit)

    def close(self, files: FileWatch | None) -> None:
        """Forget every unit."""
        for unit in {*self._seen, *self._callbacks, *self._handles}:
            self.forget(unit)
        if self._tree and files is not None:
            files.remove(self._tree)
        self._tree = ""

    def look(self, unit: str) -> None:
        """Call back if somebody was killed whom `news` has not told of."""
        callback = self._callbacks.get(unit)
        if callback is not None and (self._count(unit) or 0) > self._seen.get(unit, 0):
            callback()

    def _disarm(self, unit: str) -> None:
        handle = self._handles.pop(unit, None)
        if handle is not None:
            asyncio.get_running_loop().remove_reader(handle)
            os.close(handle)

    def _struck(self, unit: str, handle: int) -> None:
        with suppress(BlockingIOError):
            os.eventfd_read(handle)
        self.look(unit)
        for seconds in _LATER_SECONDS:
            asyncio.get_running_loop().call_later(seconds, self.look, unit)

    def _look_around(self, base: str) -> None:
        total = cgroup_v2.read_key(base, "memory.events", "oom_kill") or 0
        if total != self._total:  # limits that are met are events as well
            self._total = total
            for unit in tuple(self._callbacks):
                self.look(unit)
