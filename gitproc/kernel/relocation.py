"""A unit that runs is taken to another slice: `Slice=` has changed.

The kernel moves processes, not groups: one is made at the new place, limited and guarded before anybody is in
it, then everybody is moved, and the old one goes. In the unified tree they are frozen meanwhile, so that nobody
forks behind our back; who arrives in it thaws. If one cannot be moved all go back: a unit is never in two slices.

What cannot move is what the group has counted and memory that was taken before, which stays on the former
slice's account until it is freed ("Memory Ownership" in the kernel's cgroup-v2.rst). A launch under way may still
arrive at the former place: that is kept, and looked after again, until there is none.
"""

from __future__ import annotations

import asyncio
import errno
import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from gitproc.errors import HostError
from gitproc.kernel import cgroup_v2, processes
from gitproc.kernel.groups import Groups
from gitproc.kernel.places import Places, place_of
from gitproc.kernel.removal import Removal
from gitproc.units.unit import Unit

if TYPE_CHECKING:
    from gitproc.kernel.cgroup_v1 import Hierarchies

_ROUNDS = 50
_ROUND_SECONDS = 0.001
_AGAIN_SECONDS = 0.05  # then twice that, and so on


class Relocation:
    """`tree`: the group below which units are told apart, `unified` or of a v1 hierarchy.

    `arriving` tells whether a launch of a unit is under way.
    """

    def __init__(
        self,
        tree: str,
        unified: bool,
        v1: Hierarchies | None,
        places: Places,
        groups: Groups,
        removal: Removal,
        arriving: Callable[[str], bool],
    ) -> None:
        self._tree = tree
        self._unified = unified
        self._v1 = v1
        self._places = places
        self._groups = groups
        self._removal = removal
        self._arriving = arriving
        self._later: dict[str, tuple[asyncio.TimerHandle, float]] = {}

    def settle(self, unit: Unit) -> list[str]:
        """Take the unit's processes to where it belongs; why they are not there, if they are not.

        A unit that has no group, as it waits for its restart, gets it there in time.
        """
        old, new = self._places.path(unit.name), place_of(unit)
        if not os.path.isdir(f"{self._tree}/{old}"):
            return []
        if old != new:
            self._places.leave(unit.name, old)
            self._places.settle(unit.name, new)
        try:
            if self._groups.make(unit):
                self._groups.restrict(unit, fresh=True)
                self._groups.limit(unit, fresh=True)
            for former in self._places.former.get(unit.name, ()):
                self._move(former, new)
            self._freeze(new, False)  # if a manager ended on the way from here
        except (OSError, HostError) as error:
            text = error.strerror if isinstance(error, OSError) else error.message
            if old != new:
                self._go_back(unit.name, old, new)
            return [f"Slice= takes effect with the next start only: {text}"]
        self.sweep(unit.name)
        return []

    def sweep(self, unit: str) -> None:
        """Have who arrived at a former place follow, and remove it once nobody can arrive any more."""
        timer, seconds = self._later.pop(unit, (None, _AGAIN_SECONDS))
        if timer is not None:
            timer.cancel()
        arriving, new = self._arriving(unit), self._places.path(unit)
        for former in self._places.former.get(unit, ()):
            with suppress(OSError):
                self._move(former, new)
            if not arriving:
                self._removal.place(unit, former)
        if unit in self._places.former:
            with suppress(RuntimeError):
                loop = asyncio.get_running_loop()
                self._later[unit] = loop.call_later(seconds, self.sweep, unit), seconds * 2

    def close(self) -> None:
        """Nobody is looked after any more."""
        for timer, _ in self._later.values():
            timer.cancel()

    def _go_back(self, unit: str, old: str, new: str) -> None:
        everybody = [*self._left(new), *self._left(old)]
        with suppress(OSError):
            _carry(everybody, self._ways(new, old))
        self._places.leave(unit, new)
        self._places.settle(unit, old)
        self._removal.place(unit, new)

    def _move(self, old: str, new: str) -> None:
        """Move every process from one place to the other, in all hierarchies. OSError."""
        if not self._left(old):
            return
        ways = self._ways(old, new)
        self._freeze(old, True)
        try:
            for number in range(_ROUNDS):
                _carry(self._left(old), ways)
                if all(map(processes.is_leaving, self._left(old))):
                    return  # the kernel moves nobody who ends; `sweep` removes the group after them
                if number:
                    time.sleep(_ROUND_SECONDS)  # who is about to freeze gets to it
            raise OSError(errno.EAGAIN, "its processes are born faster than they can be moved")
        finally:
            self._freeze(old, False)

    def _left(self, path: str) -> list[int]:
        """Who is at a place, in any hierarchy: a process that is being set up joins one after the other."""
        found = dict.fromkeys(cgroup_v2.pids(f"{self._tree}/{path}"))
        if self._v1 is not None:
            for controller in self._v1.joined(path):
                found |= dict.fromkeys(cgroup_v2.pids(self._v1.path(controller, path)))
        return [*found]

    def _freeze(self, path: str, frozen: bool) -> None:
        if self._unified:
            cgroup_v2.freeze(f"{self._tree}/{path}", frozen)
        elif self._v1 is not None:
            self._v1.freeze(path, frozen)

    def _ways(self, old: str, new: str) -> list[str]:
        """The groups to join at the new place; the one by which the unit's processes are found comes last."""
        ways: dict[str, None] = {}
        if self._v1 is not None:
            for controller in (*self._v1.joined(old), *self._v1.joined(new)):
                self._v1.create(controller, new)
                ways[self._v1.path(controller, new)] = None
        last = f"{self._tree}/{new}"
        ways.pop(last, None)
        return [*ways, last]


def _carry(pids: Sequence[int], ways: Sequence[str]) -> None:
    """Have processes join groups, those that live. OSError."""
    for pid in pids:
        with suppress(ProcessLookupError):
            for way in ways:
                cgroup_v2.write(way, "cgroup.procs", str(pid))
