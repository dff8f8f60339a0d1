"""Groups that go: a unit's with its last instance, a slice's with whoever is last in it.

A group whose last process is still being buried is busy for a moment, on a busy host for longer: it is tried again
for some seconds, and what is left then is found by the next instance, or goes with the base.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from gitproc.kernel import cgroup_v2
from gitproc.kernel.cgroup_layout import unit_name
from gitproc.kernel.places import Places, parents
from gitproc.units.unit import Unit

if TYPE_CHECKING:
    from gitproc.kernel.cgroup_v1 import Hierarchies

_RETRY_SECONDS = 0.05  # and twice as long each time
_LAST_RETRY_SECONDS = 3.2


class Removal:
    """`base`: in the unified tree, "" without one; `slice_of` finds the definition of a slice that is up."""

    def __init__(
        self,
        base: str,
        v1: Hierarchies | None,
        places: Places,
        slice_of: Callable[[str], Unit | None],
    ) -> None:
        self._base = base
        self._v1 = v1
        self._places = places
        self._slice_of = slice_of
        self._later: dict[str, asyncio.TimerHandle] = {}

    def cancel(self, unit: str) -> None:
        """The unit begins anew: what was to go of it goes now, as far as it can."""
        if self._waits_no_more(unit):
            self.unit(unit)  # it may come back elsewhere

    def soon(self, unit: str) -> None:
        """Remove the unit's groups, those below included; tried again later if one is still busy."""
        self._waits_no_more(unit)
        self._try(unit, _RETRY_SECONDS)

    def _waits_no_more(self, unit: str) -> bool:
        timer = self._later.pop(unit, None)
        if timer is not None:
            timer.cancel()
        return timer is not None

    def _try(self, unit: str, pause: float) -> None:
        if not self.unit(unit) and pause <= _LAST_RETRY_SECONDS:
            with suppress(RuntimeError):
                loop = asyncio.get_running_loop()
                self._later[unit] = loop.call_later(pause, self._again, unit, 2 * pause)

    def unit(self, unit: str) -> bool:
        """Remove the unit's groups wherever it has any; False if one is still busy."""
        former = [self.place(unit, path) for path in self._places.former.get(unit, ())]
        done = self.group(self._places.path(unit))
        if done:
            self._places.forget(unit)
        return done and all(former)

    def place(self, unit: str, path: str) -> bool:
        """Remove what a unit had where it is no longer; False if it is still busy."""
        done = self.group(path)
        if done:
            self._places.left(unit, path)
        return done

    def group(self, path: str) -> bool:
        """Remove the groups at a path, and the slices that nothing defines which it was the last in."""
        done = True
        if self._base:
            done = cgroup_v2.remove(f"{self._base}/{path}")
        if self._v1 is not None:
            done = self._v1.remove(path) and done
        for each in parents(path) if done else ():
            if self._slice_of(unit_name(os.path.basename(each))) is None:
                self.slice(each)
        return done

    def slice(self, path: str) -> None:
        """Remove a slice's groups, unless something is in them: a unit may just be about to start there."""
        with suppress(OSError):
            if self._base:
                os.rmdir(f"{self._base}/{path}")
        if self._v1 is not None:
            self._v1.remove_empty(path)

    def base(self) -> None:
        """Remove the base where nothing is left in it: the last act of a manager that stopped all units."""
        if self._base:
            for each in cgroup_v2.subgroups(self._base):
                with suppress(OSError):
                    os.rmdir(each)
        if self._v1 is not None:
            self._v1.remove_bases()

    def close(self) -> None:
        """Nothing is tried again."""
        for timer in self._later.values():
            timer.cancel()

    def _again(self, unit: str, pause: float) -> None:
        del self._later[unit]
        self._try(unit, pause)
