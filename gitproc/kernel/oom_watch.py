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
from gitproc.kernel.enforcement import Enforcement
from gitproc.kernel.places import Places
from gitproc.kernel.tree_watch import FileWatch

_LATER_SECONDS = (0.02, 0.2, 2.0)


class OomWatch:
    """Counts kills per unit in the groups that `limits` has, and tells of them.

    `files` is the shared watch, made when it is first asked for.
    """

    def __init__(self, limits: Enforcement, places: Places, files: Callable[[], FileWatch]) -> None:
        self._limits = limits
        self._places = places
        self._files = files
        self._seen: dict[str, int] = {}
        self._callbacks: dict[str, Callable[[], None]] = {}
        self._tree = ""
        self._total = 0
        self._handles: dict[str, int] = {}

    def kills(self, unit: str) -> int | None:
        """How often the OOM killer struck in the unit's group so far; None where nobody counts."""
        count, path = None, self._places.path(unit)
        if "memory" in self._limits.controllers:
            group = f"{self._limits.base}/{path}"
            count = cgroup_v2.read_key(group, "memory.events", "oom_kill")
        if count is None and self._limits.v1 is not None:
            count = self._limits.v1.oom_kills(path)
        return count

    def start(self, unit: str, *, fresh: bool) -> None:
        """The unit has a group, or another one: count from now on; a `fresh` group has seen none."""
        self._seen[unit] = 0 if fresh else self.kills(unit) or 0
        self._disarm(unit)
        self.arm(unit)

    def news(self, unit: str) -> int:
        """How many were killed since this was last asked, or since `start`.

        0 at the first question about a group that an earlier manager made.
        """
        now = self.kills(unit) or 0
        before = self._seen.get(unit, now)
        self._seen[unit] = now
        return max(0, now - before)

    def watch(self, unit: str, callback: Callable[[], None], *, limited: bool = True) -> None:
        """Call back while somebody of the unit was killed whom `news` has not told of, until it is forgotten.

        The memory limit need not be set yet; of a unit that is not to be `limited`, only the unified tree can
        tell. After a restart of the manager counting starts anew.
        """
        if limited or "memory" in self._limits.controllers:
            self._seen.setdefault(unit, self.kills(unit) or 0)
            self._callbacks[unit] = callback
            self.arm(unit)

    def arm(self, unit: str) -> None:
        """The unit's memory may be limited from now on."""
        if unit not in self._callbacks:
            return
        v1, path = self._limits.v1, self._places.path(unit)
        if "memory" in self._limits.controllers:
            with suppress(OSError):  # without a watch the counter is still read at each exit
                self._arm_v2(self._limits.base)
        elif v1 is not None and "memory" in v1.joined(path):
            self._arm_v1(unit, v1.path("memory", path))

    def forget(self, unit: str) -> None:
        """The unit's group goes."""
        self._seen.pop(unit, None)
        self._callbacks.pop(unit, None)
        self._disarm(unit)

    def close(self) -> None:
        """Forget every unit."""
        for unit in {*self._seen, *self._callbacks, *self._handles}:
            self.forget(unit)
        if self._tree:
            self._files().remove(self._tree)
        self._tree = ""

    def look(self, unit: str) -> None:
        """Call back if somebody was killed whom `news` has not told of."""
        callback = self._callbacks.get(unit)
        if callback is not None and (self.kills(unit) or 0) > self._seen.get(unit, 0):
            callback()

    def _arm_v2(self, base: str) -> None:
        path = f"{base}/memory.events"
        if path == self._tree:
            return
        self._total = cgroup_v2.read_key(base, "memory.events", "oom_kill") or 0
        self._files().add(path, partial(self._look_around, base))
        self._tree = path

    def _arm_v1(self, unit: str, group: str) -> None:
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
