"""The units' groups: made, limited, watched, killed and removed, whatever cgroups the machine has.

On pure v2 everything happens in the unified tree. On a hybrid machine units are tracked and killed there
and join a v1 hierarchy only for a limit that is set. With v1 alone one hierarchy tracks them; with nothing,
the process table does. What is missing is said by `describe()` and by the warnings of a unit that asks for
it. Nothing here remembers what the kernel knows: a manager that starts anew finds the groups as they are.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from gitproc.errors import HostError
from gitproc.immutable import immutable
from gitproc.kernel import cgroup_base, cgroup_v2, processes, reaped
from gitproc.kernel.cgroup_layout import Kind, Layout, parse_membership
from gitproc.kernel.empty_watch import EmptyWatch
from gitproc.kernel.enforcement import Enforcement
from gitproc.kernel.groups import Groups, Restriction
from gitproc.kernel.loose_tracker import LooseTracker
from gitproc.kernel.oom_watch import OomWatch
from gitproc.kernel.places import Places, unit_at
from gitproc.kernel.relocation import Relocation
from gitproc.kernel.removal import Removal
from gitproc.kernel.tree_watch import FileWatch
from gitproc.kernel.usage import Details, Usage, read_details, read_usage
from gitproc.units import directives_resources as r
from gitproc.units.control import ROOT
from gitproc.units.unit import Unit

if TYPE_CHECKING:
    from gitproc.kernel.cgroup_v1 import Hierarchies

__all__ = ["CgroupPaths", "ResourceController", "Usage"]


@immutable
class CgroupPaths:
    """Where a process goes: `directory` for CLONE_INTO_CGROUP ("" without v2), v1 `procs` files to join."""

    directory: str = ""
    procs: tuple[str, ...] = ()


class ResourceController:
    """The one who makes and unmakes groups. Units are named in full (`nginx.service`).

    `shim_pid`: the parent of all services. `name`: of our base group, one path component. `slice_of` finds
    the definition of a slice that is up; `arriving` tells whether a process is being launched into a unit's group.
    """

    def __init__(
        self,
        layout: Layout,
        shim_pid: int,
        name: str = "gitproc",
        slice_of: Callable[[str], Unit | None] = lambda _: None,
        arriving: Callable[[str], bool] = lambda _: False,
    ) -> None:
        self.layout = layout
        self._shim = shim_pid
        self._name = cgroup_base.check_name(name)
        self._base = cgroup_base.v2_base(layout, name)
        self._v1: Hierarchies | None = None
        self._places = Places()
        self._tracker = ""
        self._limits = Enforcement(self._base, frozenset(), None, self._pass_on)
        self._slice_of = slice_of
        self._arriving = arriving
        self._files: FileWatch | None = None
        self._make_parts()
        self._loose = LooseTracker(shim_pid)
        self._empty = EmptyWatch(self._events_of, self.is_empty, self.pids, self._file_watch)

    def prepare(self) -> None:
        """Make our base and pass the controllers on to it.

        Where it cannot be made there are no cgroups for us, and `describe` says why.
        """
        if self.layout.v1:
            from gitproc.kernel.cgroup_v1 import Hierarchies

            self._v1 = Hierarchies(cgroup_base.v1_bases(self.layout, self._name))
            if not self._base:
                self._tracker = self._v1.tracker()
        if self._base:
            try:
                controllers = cgroup_base.prepare(self.layout, self._name, self._shim)
                on_demand = cgroup_base.ON_DEMAND
                controllers |= on_demand & cgroup_v2.controllers(
                    self._base, "cgroup.subtree_control"
                )
            except HostError as error:
                self.layout = Layout(Kind.NONE, reason=error.message)
                self._base, self._v1 = "", None
                controllers = frozenset()
        else:
            controllers = frozenset()
        self._limits = Enforcement(self._base, controllers, self._v1, self._pass_on)
        self._make_parts()
        self.existing()

    def describe(self) -> list[str]:
        """What this machine cannot do for units, one sentence each; empty where nothing is missing."""
        if self.layout.kind is Kind.NONE:
            reason = self.layout.reason
            return [f"no cgroups ({reason}): limits are not enforced, a daemon's tree is a guess"]
        missing = []
        if self.layout.kind is Kind.V1:
            missing.append("no unified cgroup tree: processes are killed one by one")
        for controller, directive in (
            ("memory", "MemoryMax="),
            ("cpu", "CPUQuota="),
            ("pids", "TasksMax="),
            ("io", "IOReadBandwidthMax="),
            ("cpuset", "AllowedCPUs="),
        ):
            if not self._limits.has(controller):
                missing.append(f"no {controller} controller: {directive} is not enforced")
        return missing

    @property
    def tree(self) -> str:
        """The group below which all units are told apart; "" without cgroups."""
        return self._v1.base(self._tracker) if self._tracker and self._v1 else self._base

    def existing(self) -> list[str]:
        """The units that have a group now: what an earlier manager left."""
        if self.layout.kind is Kind.NONE:
            return self._loose.units()
        return self._places.scan(self.tree)

    def create(self, unit: Unit) -> list[str]:
        """Make the unit's group and set its limits; returns what could not be set, one sentence each.

        A group that is there already is taken over as it is. HostError if it cannot be made.
        """
        self._removal.cancel(unit.name)
        if not self._places.at_home(unit) and os.path.isdir(self._directory(unit.name)):
            self._places.leave(unit.name, self._places.path(unit.name))  # an earlier instance's
        self._places.put(unit)
        if self.layout.kind is Kind.NONE:
            return self._groups.limit(unit, fresh=True)
        fresh = self._groups.make(unit)
        if not fresh:
            self._groups.restrict(unit, fresh=False)
        self.oom.start(unit.name, fresh=fresh)
        if unit[r.DELEGATE] is not None:
            self._groups.hand_over(unit)
        problems = self._groups.limit(unit, fresh=fresh)
        self.oom.arm(unit.name)
        return problems

    def set_limits(self, unit: Unit) -> list[str]:
        """Apply the unit's limits to its running group; returns what could not be set.

        For a slice also what its units take over from it; a slice without a group gets one.
        """
        problems = self.settle(unit)
        problems += self._groups.set_limits(unit)
        self.oom.arm(unit.name)
        return problems

    def settle(self, unit: Unit) -> list[str]:
        """Have a unit that runs be in the slice that it names, and own its group if it is to; what could not be.

        Nothing to do is the common case, also after a crash in the middle of it.
        """
        if unit.kind == "slice" or self.layout.kind is Kind.NONE:
            return []
        problems = []
        if not self._places.at_home(unit):
            self.oom.look(unit.name)
            problems = self._relocation.settle(unit)
            self.oom.start(unit.name, fresh=False)
            self._empty.renew(unit.name)
        if unit[r.DELEGATE] is not None and os.path.isdir(self._directory(unit.name)):
            try:
                self._groups.hand_over(unit)
            except HostError as error:
                problems.append(error.message)
        return problems

    def release_slice(self, unit: Unit) -> list[str]:
        """A slice is down: its limits are lifted, and its group goes unless units are in it."""
        problems = self._groups.lift(unit)
        self.oom.forget(unit.name)
        if unit.name != ROOT:
            self._removal.slice(self._places.path(unit.name))
        return problems

    def restrict(self, unit: Unit, *, fresh: bool = False) -> Restriction:
        """Guard the devices and addresses of a unit whose group is there (`fresh`: and has no guard yet)."""
        return self._groups.restrict(unit, fresh=fresh)

    def units_in(self, name: str) -> list[str]:
        """The units whose groups lie in a slice."""
        return self.existing() if name == ROOT else self._places.within(name)

    def differing_limits(self, unit: Unit) -> list[str]:
        """Limits of the running group that are not the unit's: changed by hand. One sentence each."""
        found = self._groups.differences(unit)
        if self.layout.kind is not Kind.NONE and not self._places.at_home(unit):
            found.append(f"Slice= is not in force: its group is {self._places.path(unit.name)}")
        return found

    def paths(self, unit: str, leaf: str = "") -> CgroupPaths:
        """Where the unit's next process goes; its group must have been made.

        `leaf`: into this group below it, which is made if need be. HostError if it cannot be.
        """
        group = self._places.path(unit)
        procs: tuple[str, ...] = ()
        if self._v1 is not None:
            procs = tuple(
                f"{self._v1.path(controller, group)}/cgroup.procs"
                for controller in self._v1.joined(group)
            )
        directory = f"{self._base}/{group}" if self._base else ""
        if leaf and directory:
            directory = f"{directory}/{leaf}"
            try:
                with suppress(FileExistsError):
                    os.mkdir(directory, 0o755)
            except OSError as error:
                raise HostError(f"cannot make cgroup {directory}: {error.strerror}") from error
        return CgroupPaths(directory, procs)

    def attach(self, unit: str, invocation: str, pid: int) -> None:
        """A process was spawned or adopted. A machine without cgroups needs to know, and a unit that moves."""
        if self.layout.kind is Kind.NONE:
            self._loose.attach(unit, invocation, pid)
        self._gather(unit)

    def pids(self, unit: str) -> list[int]:
        """Every process of the unit."""
        if self.layout.kind is Kind.NONE:
            return self._loose.members(unit)
        return cgroup_v2.pids(self._directory(unit))

    def is_empty(self, unit: str) -> bool:
        """Whether no process of the unit lives."""
        self._gather(unit)
        if self._base:
            return not cgroup_v2.populated(self._directory(unit))
        return not self.pids(unit)

    def unit_of(self, pid: int) -> str | None:
        """The unit whose group a process is in; None if it is not ours, or gone."""
        if self.layout.kind is Kind.NONE:
            return self._loose.unit_of(pid)
        try:
            with open(f"/proc/{pid}/cgroup", encoding="utf-8", errors="surrogateescape") as file:
                path = parse_membership(file.read()).get(self._tracker, "/")
        except OSError:
            return None
        mount = self.layout.v1[self._tracker] if self._tracker else self.layout.v2_mount
        prefix = self.tree[len(mount) :] + "/"
        below = self.layout.below_mount(self._tracker, path)
        if below is None or not below.startswith(prefix):
            return None
        return unit_at(below[len(prefix) :])

    def unit_of_gone(self, pidfd: int) -> str | None:
        """The unit whose group a process was in that is gone; None if it was not ours, or nobody can tell."""
        found = reaped.group_below(self._base, pidfd) if self._base else ""
        return unit_at(found) if found else None

    def kill(
        self, unit: str, signo: int, spare: tuple[int, ...] = (), known: tuple[int, int] = (0, -1)
    ) -> None:
        """Signal every process of the unit but those of `spare`; SIGCONT follows where it makes sense.

        `known`: a pid, and a pidfd that is of it.

        For SIGKILL the tree is frozen, so that nobody forks away from it.
        """
        self._gather(unit)
        if self._base:
            cgroup_v2.kill(self._directory(unit), signo, spare, known)
            return
        group = self._places.path(unit)
        if signo == signal.SIGKILL and self._v1 is not None:
            self._v1.freeze(group, True)
        try:
            processes.signal_members(lambda: self.pids(unit), signo, spare)
        finally:
            if signo == signal.SIGKILL and self._v1 is not None:
                self._v1.freeze(group, False)

    def watch_empty(self, unit: str, callback: Callable[[], None]) -> None:
        """Call back once, as soon as no process of the unit is left; never before this returns."""
        self._empty.add(unit, callback)

    def unwatch_empty(self, unit: str) -> None:
        """Take `watch_empty` back."""
        self._empty.remove(unit)

    def usage(self, unit: str) -> Usage:
        """What the unit uses now: a few reads of kernel files, no waiting."""
        directory = self._directory(unit) if self._base else ""
        members, many = partial(self.pids, unit), unit.endswith(".slice")
        group = self._places.path(unit)
        return read_usage(directory, self._limits.controllers, self._v1, group, members, many=many)

    def details(self, unit: str) -> Details:
        """More of what it uses, for who asks about few units."""
        directory = self._directory(unit) if self._base else ""
        group, kills = self._places.path(unit), self.oom.kills(unit)
        return read_details(directory, self._limits.controllers, self._v1, group, kills)

    def remove(self, unit: str) -> None:
        """Remove the unit's groups, those below included; tried once more later if one is still busy."""
        self.unwatch_empty(unit)
        self.oom.forget(unit)
        self._loose.forget(unit)
        self._removal.soon(unit)

    def remove_base(self) -> None:
        """Remove our base where nothing is left in it: the last act of a manager that stopped all units."""
        self._removal.base()

    def close(self) -> None:
        """Give every watch back. Groups and processes stay."""
        self._empty.close()
        self._removal.close()
        self._relocation.close()
        self.oom.close()
        if self._files is not None:
            self._files.close()
            self._files = None

    def _make_parts(self) -> None:
        limits, places = self._limits, self._places
        self.oom = OomWatch(limits, places, self._file_watch)
        self._groups = Groups(limits, places, self._tracker, self.pids, self._slice_of)
        self._removal = Removal(self._base, self._v1, places, self._slice_of)
        unified = bool(self._base)
        self._relocation = Relocation(
            self.tree, unified, self._v1, places, self._groups, self._removal, self._arriving
        )

    def _gather(self, unit: str) -> None:
        if unit in self._places.former:
            self._relocation.sweep(unit)

    def _pass_on(self, controllers: frozenset[str]) -> frozenset[str]:
        return cgroup_base.prepare(self.layout, self._name, self._shim, controllers)

    def _directory(self, unit: str) -> str:
        """The group that tracks the unit's processes. HostError for what cannot be a unit's name."""
        path = self._places.path(unit)
        return f"{self.tree}/{path}" if path else self.tree

    def _file_watch(self) -> FileWatch:
        if self._files is None:
            self._files = FileWatch()
        return self._files

    def _events_of(self, unit: str) -> str:
        return f"{self._directory(unit)}/cgroup.events" if self._base else ""
