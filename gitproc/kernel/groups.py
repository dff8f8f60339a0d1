"""The groups of units and slices: made where they belong, limited, handed over.

A slice is a group around groups. It gets its limits when it comes up or changes; a unit that finds no group of
its slice makes it anew, limits included, so that no order of events lets a unit run outside its budget.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from gitproc.errors import HostError
from gitproc.immutable import NamedTuple
from gitproc.kernel import cgroup_base, cgroup_v2, guards
from gitproc.kernel.accounts import account_of
from gitproc.kernel.bpf import Hook
from gitproc.kernel.delegation import CONTROL, hand_over
from gitproc.kernel.enforcement import Enforcement, disabled_by
from gitproc.kernel.knobs import plain
from gitproc.kernel.launch import LaunchError
from gitproc.kernel.places import Places
from gitproc.units import directives_resources as r
from gitproc.units.control import ROOT, asks, slices_of
from gitproc.units.specifiers import Host
from gitproc.units.unit import Unit


class Restriction(NamedTuple):
    """What of a guard is not in force, and what is odd about it; one sentence each."""

    problems: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


_UNRESTRICTED = Restriction()


class Groups:
    """`tracker`: the v1 hierarchy that keeps units together ("" with a unified tree).

    `pids` lists a unit's processes; `slice_of` finds the definition of a slice that is up.
    """

    def __init__(
        self,
        limits: Enforcement,
        places: Places,
        tracker: str,
        pids: Callable[[str], list[int]],
        slice_of: Callable[[str], Unit | None],
    ) -> None:
        self._limits = limits
        self._places = places
        self._tracker = tracker
        self._pids = pids
        self._slice_of = slice_of

    def above(self, unit: Unit) -> tuple[Unit, ...]:
        """The slices around a unit, as far as they are defined: innermost first, the root last."""
        names = (*slices_of(unit), ROOT) if unit.name != ROOT else ()
        return tuple(found for name in names if (found := self._slice_of(name)) is not None)

    def make(self, unit: Unit) -> bool:
        """Make the group at the unit's place; False if it was there. HostError if it cannot be made."""
        path, above, v1 = self._places.path(unit.name), self.above(unit), self._limits.v1
        place = f"{self._limits.base}/{path}"
        try:
            if self._tracker and v1 is not None:
                return v1.create(self._tracker, path)
            if "/" in path or above:
                self._open(unit, path, above)
            os.mkdir(place, 0o755)
        except FileExistsError:
            return False
        except OSError as error:
            raise HostError(f"cannot make cgroup {place}: {error.strerror}") from error
        return True

    def _open(self, unit: Unit, path: str, above: tuple[Unit, ...]) -> None:
        names = slices_of(unit)
        missing = [
            name
            for name in names[::-1]
            if not os.path.isdir(f"{self._limits.base}/{self._places.path(name)}")
        ]
        self._limits.open_path(path, above)
        for name in missing:
            found = self._slice_of(name)
            if found is not None:
                self.limit(found, fresh=True)

    def limit(self, unit: Unit, *, fresh: bool) -> list[str]:
        """Turn the knobs of a group that is there; what could not be done, one sentence each."""
        path, above = self._places.path(unit.name), self.above(unit)
        if unit.kind == "slice":
            # Processes join the hierarchies of v1 in the groups of their own units.
            problems = self._limits.apply(unit, above, path, list, fresh=fresh)
            for name in self._inside(unit) if asks(unit) else ():
                members = partial(self._pids, name)
                self._limits.join_v1((unit,), self._places.path(name), members)
            return problems
        members = partial(self._pids, unit.name)
        problems = []
        if not fresh or not plain(unit, above):
            problems = self._limits.apply(unit, above, path, members, fresh=fresh)
        if above:
            self._limits.join_v1(above, path, members)
        return problems

    def _inside(self, unit: Unit) -> list[str]:
        """The units that are in no group of the slice yet in v1 hierarchies, as they join on demand."""
        v1 = self._limits.v1
        if v1 is None or unit.name != ROOT:
            return self._places.within(unit.name) if v1 is not None else []
        return self._places.scan(self._limits.base or v1.path(self._tracker, ""))

    def set_limits(self, unit: Unit) -> list[str]:
        """Turn the knobs of a unit that runs, or of a slice that is up, which gets a group if it has none."""
        problems = []
        if unit.kind == "slice" and (self._limits.base or self._tracker):
            if unit.name != ROOT:
                self.make(unit)
            path = self._places.path(unit.name)
            problems = self._limits.reopen(path, disabled_by(unit))
        return problems + self.limit(unit, fresh=False)

    def lift(self, unit: Unit) -> list[str]:
        """Set the group of a slice back to what it is without limits."""
        free = Unit(unit.name, "", (), Host())
        path = self._places.path(unit.name)
        problems = self._limits.reopen(path, frozenset())
        return problems + self._limits.apply(free, self.above(free), path, list, fresh=False)

    def differences(self, unit: Unit) -> list[str]:
        """Knobs and filters that are not as the unit wants them: changed by hand."""
        above, path = self.above(unit), self._places.path(unit.name)
        found = self._limits.differences(unit, above, path)
        if self._limits.base:
            found += guards.differences(f"{self._limits.base}/{path}", unit, above)
        return found

    def restrict(self, unit: Unit, *, fresh: bool) -> Restriction:
        """Guard devices and addresses as the unit says; a fresh group has no guard yet."""
        above = self.above(unit)
        if fresh and not above and guards.asks_nothing(unit):
            return _UNRESTRICTED
        devices, addresses = guards.wanted(unit, above)
        if fresh and not devices and not addresses:
            return _UNRESTRICTED
        path = self._places.path(unit.name)
        problems = []
        for asked, hooks, directive in (
            (devices, (Hook.DEVICE,), "DevicePolicy"),
            (addresses, (Hook.INGRESS, Hook.EGRESS), "IPAddressDeny"),
        ):
            if fresh and not asked:
                continue
            problem = self._filter(unit, above, path, hooks)
            if problem and directive == "DevicePolicy" and self._devices_v1(unit, path):
                problem = ""
            if problem and asked:
                problems.append(f"{directive}= is not enforced: {problem}")
        missing = guards.device_rules(unit)
        return Restriction(tuple(problems), missing.problems if missing is not None else ())

    def _filter(
        self, unit: Unit, above: tuple[Unit, ...], path: str, hooks: tuple[Hook, ...]
    ) -> str:
        if not self._limits.base:
            return "there is no unified cgroup tree"
        try:
            guards.apply(f"{self._limits.base}/{path}", unit, above, hooks)
        except OSError as error:
            return f"the kernel takes no program for it: {error.strerror}"
        return ""

    def _devices_v1(self, unit: Unit, path: str) -> bool:
        v1, nodes = self._limits.v1, guards.allowed_nodes(unit)
        if v1 is None or not v1.has("devices"):
            return False
        try:
            return v1.devices(path, nodes, partial(self._pids, unit.name))
        except OSError:
            return False

    def hand_over(self, unit: Unit) -> None:
        """Delegate the unit's group, with the controllers it asks for. HostError.

        Who runs in it already goes to the group that is named for that; later its owner alone moves them.
        """
        if not self._limits.base:
            return
        path, controllers = self._places.path(unit.name), unit[r.DELEGATE] or ()
        extra = {*controllers} & cgroup_base.ON_DEMAND
        if extra - self._limits.controllers:
            self._limits.want(extra)
            self._limits.open_path(path, self.above(unit))
        uid, gid = -1, -1
        with suppress(
            LaunchError
        ):  # who is not there fails the start a moment later, with its name
            account = account_of(unit, os.geteuid() == 0)
            uid, gid = account.uid, account.gid
        directory, inner = f"{self._limits.base}/{path}", unit[r.DELEGATE_SUBGROUP]
        first = not os.path.isdir(f"{directory}/{CONTROL}")
        try:
            hand_over(directory, uid, gid)
            # The first now: the new owner may make as many as can be.
            for name in filter(None, (CONTROL, inner)):
                with suppress(FileExistsError):
                    os.mkdir(f"{directory}/{name}", 0o755)
            if inner:
                hand_over(f"{directory}/{inner}", uid, gid)
                if first:
                    cgroup_v2.evacuate(directory, inner)
        except OSError as error:
            raise HostError(f"cannot hand {unit.name}'s cgroup over: {error.strerror}") from error
