"""The units' groups: made, limited, watched, killed and removed, whatever cgroups the machine has.

On pure v2 everything happens in the unified tree. On a hybrid machine units are tracked and killed there
and join a v1 hierarchy only for a limit that is set. With v1 alone one hierarchy tracks them; with nothing,
the process table does. What is missing is said by `describe()` and by the warnings of a unit that asks for
it. Nothing here remembers what the kernel knows: a manager that starts anew finds the groups as they are.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from gitproc.errors import HostError
from gitproc.kernel import cgroup_base, cgroup_v2, processes
from gitproc.kernel.cgroup_layout import Kind, Layout, group_name, parse_membership, unit_name
from gitproc.kernel.limits import Limits, limits_of
from gitproc.kernel.live_limits import differences, read_limits
from gitproc.kernel.loose_tracker import LooseTracker
from gitproc.kernel.oom_watch import OomWatch
from gitproc.kernel.tree_watch import FileWatch, MemberWatch
from gitproc.kernel.usage import Usage, read_usage
from gitproc.units import directives as d
from gitproc.units.service_types import OOMPolicy
from gitproc.units.unit import Unit

if TYPE_CHECKING:
    from gitproc.kernel.cgroup_v1 import Hierarchies

__all__ = ["CgroupPaths", "ResourceController", "Usage"]

#: A group whose last process is still being buried is busy for a moment.
_RETRY_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class CgroupPaths:
    """Where a process goes: `directory` for CLONE_INTO_CGROUP ("" without v2), v1 `procs` files to join."""

    directory: str = ""
    procs: tuple[str, ...] = ()


class ResourceController:
    """The one who makes and unmakes groups. Units are named in full (`nginx.service`).

    `shim_pid`: the parent of all services. `name`: of our base group, one path component.
    """

    def __init__(self, layout: Layout, shim_pid: int, name: str = "gitproc") -> None:
        self.layout = layout
        self._shim = shim_pid
        self._name = cgroup_base.check_name(name)
        self._base = cgroup_base.v2_base(layout, name)
        self._controllers: frozenset[str] = frozenset()
        self._v1: Hierarchies | None = None
        self._tracker = ""
        self._loose = LooseTracker(shim_pid)
        self._files: FileWatch | None = None
        self._member_watches: dict[str, MemberWatch] = {}
        self._empty_callbacks: dict[str, Callable[[], None]] = {}
        self._oom = OomWatch(self.oom_kills)
        self._removals: dict[str, asyncio.TimerHandle] = {}

    def prepare(self) -> None:
        """Make our base and pass the controllers on to it.

        Where the base cannot be made there are no cgroups for us, and `describe` says why.
        """
        if self.layout.v1:
            from gitproc.kernel.cgroup_v1 import Hierarchies

            self._v1 = Hierarchies(cgroup_base.v1_bases(self.layout, self._name))
            if not self._base:
                self._tracker = self._v1.tracker()
        if self._base:
            try:
                self._controllers = cgroup_base.prepare(self.layout, self._name, self._shim)
            except HostError as error:
                self.layout = Layout(Kind.NONE, reason=error.message)
                self._base, self._v1 = "", None

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
        ):
            if not self._has(controller):
                missing.append(f"no {controller} controller: {directive} is not enforced")
        return missing

    def existing(self) -> list[str]:
        """The units that have a group now: what an earlier manager left."""
        if self.layout.kind is Kind.NONE:
            return self._loose.units()
        base = self._base or os.path.dirname(self._directory("x.service"))
        with suppress(OSError), os.scandir(base) as entries:
            return [unit_name(each.name) for each in entries if each.is_dir(follow_symlinks=False)]
        return []

    def create(self, unit: Unit) -> list[str]:
        """Make the unit's group and set its limits; returns what could not be set, one sentence each.

        A group that is there already is taken over as it is. HostError if it cannot be made.
        """
        timer = self._removals.pop(unit.name, None)
        if timer is not None:
            timer.cancel()
        if self.layout.kind is Kind.NONE:
            return self._apply(unit, limits_of(unit), fresh=True)
        directory = self._directory(unit.name)
        fresh = True
        try:
            if self._tracker and self._v1 is not None:
                fresh = self._v1.create(self._tracker, group_name(unit.name))
            else:
                os.mkdir(directory, 0o755)
        except FileExistsError:
            fresh = False
        except OSError as error:
            raise HostError(f"cannot make cgroup {directory}: {error.strerror}") from error
        self._oom.start(unit.name, 0 if fresh else self.oom_kills(unit.name) or 0)
        if unit[d.OOM_POLICY] is OOMPolicy.KILL and "memory" in self._controllers:
            with suppress(OSError):  # else it is ended as soon as the kill is seen
                cgroup_v2.write(directory, "memory.oom.group", "1")
        return self._apply(unit, limits_of(unit), fresh)

    def set_limits(self, unit: Unit) -> list[str]:
        """Apply the unit's limits to its running group; returns what could not be set."""
        return self._apply(unit, limits_of(unit), fresh=False)

    def differing_limits(self, unit: Unit) -> list[str]:
        """Limits of the running group that are not the unit's: changed by hand. One sentence each."""
        live = read_limits(
            self._directory(unit.name) if self._base else "",
            self._controllers,
            self._v1,
            group_name(unit.name),
        )
        return differences(live, limits_of(unit))

    def paths(self, unit: str) -> CgroupPaths:
        """Where the unit's next process goes; its group must have been made."""
        group = group_name(unit)
        procs: tuple[str, ...] = ()
        if self._v1 is not None:
            procs = tuple(
                f"{self._v1.path(controller, group)}/cgroup.procs"
                for controller in self._v1.joined(group)
            )
        return CgroupPaths(f"{self._base}/{group}" if self._base else "", procs)

    def attach(self, unit: str, invocation: str, pid: int) -> None:
        """A process was spawned or adopted. Only a machine without cgroups needs to know."""
        if self.layout.kind is Kind.NONE:
            self._loose.attach(unit, invocation, pid)

    def pids(self, unit: str) -> list[int]:
        """Every process of the unit."""
        if self.layout.kind is Kind.NONE:
            return self._loose.members(unit)
        return cgroup_v2.pids(self._directory(unit))

    def is_empty(self, unit: str) -> bool:
        """Whether no process of the unit lives."""
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
        prefix = os.path.dirname(self._directory("x.service"))[len(mount) :] + "/"
        below = self.layout.below_mount(self._tracker, path)
        if below is None or not below.startswith(prefix):
            return None
        return unit_name(below[len(prefix) :].partition("/")[0])

    def kill(self, unit: str, signo: int, spare: tuple[int, ...] = ()) -> None:
        """Signal every process of the unit but those of `spare`; SIGCONT follows where it makes sense.

        For SIGKILL the tree is frozen, so that nobody forks away from it.
        """
        if self._base:
            cgroup_v2.kill(self._directory(unit), signo, spare)
            return
        group = group_name(unit)
        if signo == signal.SIGKILL and self._v1 is not None:
            self._v1.freeze(group, True)
        try:
            processes.signal_members(lambda: self.pids(unit), signo, spare)
        finally:
            if signo == signal.SIGKILL and self._v1 is not None:
                self._v1.freeze(group, False)

    def watch_empty(self, unit: str, callback: Callable[[], None]) -> None:
        """Call back once, as soon as no process of the unit is left; never before this returns."""
        self.unwatch_empty(unit)
        if self._base:
            try:
                path = f"{self._directory(unit)}/cgroup.events"
                self._file_watch().add(path, partial(self._look, unit))
                self._empty_callbacks[unit] = callback
                asyncio.get_running_loop().call_soon(self._look, unit)
                return
            except OSError:
                pass  # the group is gone, or the user's inotify watches are used up
        self._member_watches[unit] = MemberWatch(
            lambda: self.pids(unit), partial(self._emptied, unit, callback)
        )

    def unwatch_empty(self, unit: str) -> None:
        """Take `watch_empty` back."""
        watch = self._member_watches.pop(unit, None)
        if watch is not None:
            watch.close()
        if self._empty_callbacks.pop(unit, None) is not None and self._files is not None:
            self._files.remove(f"{self._directory(unit)}/cgroup.events")

    def watch_oom(self, unit: str, callback: Callable[[], None]) -> None:
        """Call back when the OOM killer struck, until `new_oom_kills` has told or the group is removed.

        The memory limit need not be set yet. After a restart of the manager counting starts anew.
        """
        self._oom.subscribe(unit, callback)
        self._arm_oom(unit)

    def new_oom_kills(self, unit: str) -> int:
        """How often the OOM killer struck since this was last asked, or since the group was made.

        0 at the first question about a group that an earlier manager made.
        """
        return self._oom.news(unit)

    def oom_kills(self, unit: str) -> int | None:
        """How often the OOM killer struck in the unit's group so far; None where nobody counts."""
        count = None
        if self._base:
            count = cgroup_v2.read_key(self._directory(unit), "memory.events", "oom_kill")
        if count is None and self._v1 is not None:
            count = self._v1.oom_kills(group_name(unit))
        return count

    def usage(self, unit: str) -> Usage:
        """What the unit uses now: a few reads of kernel files, no waiting."""
        directory = self._directory(unit) if self._base else ""
        members = partial(self.pids, unit)
        return read_usage(directory, self._controllers, self._v1, group_name(unit), members)

    def remove(self, unit: str) -> None:
        """Remove the unit's groups, those below included; tried once more later if one is still busy."""
        self.unwatch_empty(unit)
        self._oom.forget(unit, self._files)
        self._loose.forget(unit)
        if not self._rmdir(unit):
            with suppress(RuntimeError):
                loop = asyncio.get_running_loop()
                self._removals[unit] = loop.call_later(_RETRY_SECONDS, self._remove_again, unit)

    def remove_base(self) -> None:
        """Remove our base where nothing is left in it: the last act of a manager that stopped all units."""
        if self._base:
            with suppress(OSError):
                os.rmdir(self._base)
        if self._v1 is not None:
            self._v1.remove_bases()

    def close(self) -> None:
        """Give every watch back. Groups and processes stay."""
        for unit in list(self._member_watches):
            self.unwatch_empty(unit)
        for timer in self._removals.values():
            timer.cancel()
        self._oom.close(self._files)
        if self._files is not None:
            self._files.close()
            self._files = None

    def _apply(self, unit: Unit, limits: Limits, fresh: bool) -> list[str]:
        problems = []
        for controller, directive, value in (
            ("memory", "MemoryMax", limits.memory),
            ("cpu", "CPUQuota", limits.cpu),
            ("pids", "TasksMax", limits.tasks),
        ):
            if value is None and fresh:
                continue
            try:
                self._limit(unit.name, controller, value)
            except OSError as error:
                problems.append(f"cannot set {directive}=: {error.strerror}")
            except HostError as error:
                problems.append(f"{directive}= is not enforced: {error.message}")
        self._arm_oom(unit.name)
        return problems

    def _limit(self, unit: str, controller: str, value: float | None) -> None:
        if controller in self._controllers:
            group = self._directory(unit)
            if controller == "cpu":
                cgroup_v2.write(group, "cpu.max", cgroup_v2.cpu_max(value))
            else:
                text = "max" if value is None else str(int(value))
                cgroup_v2.write(group, f"{controller}.max", text)
        elif self._v1 is not None and self._v1.has(controller):
            self._v1.limit(controller, group_name(unit), value, partial(self.pids, unit))
        elif value is not None:
            raise HostError(f"this machine has no {controller} controller for us")

    def _arm_oom(self, unit: str) -> None:
        if not self._oom.wants(unit):
            return
        if "memory" in self._controllers:
            with suppress(OSError):  # without a watch the counter is still read at each exit
                self._oom.arm_v2(unit, self._directory(unit), self._file_watch())
        elif self._v1 is not None and "memory" in self._v1.joined(group_name(unit)):
            self._oom.arm_v1(unit, self._v1.path("memory", group_name(unit)))

    def _directory(self, unit: str) -> str:
        """The group that tracks the unit's processes. HostError for what cannot be a unit's name."""
        if self._tracker and self._v1 is not None:
            return self._v1.path(self._tracker, group_name(unit))
        return f"{self._base}/{group_name(unit)}"

    def _has(self, controller: str) -> bool:
        v1 = self._v1 is not None and self._v1.has(controller)
        return v1 or controller in self._controllers

    def _file_watch(self) -> FileWatch:
        if self._files is None:
            self._files = FileWatch()
        return self._files

    def _look(self, unit: str) -> None:
        callback = self._empty_callbacks.get(unit)
        if callback is not None and self.is_empty(unit):
            self.unwatch_empty(unit)
            callback()

    def _emptied(self, unit: str, callback: Callable[[], None]) -> None:
        self._member_watches.pop(unit, None)
        callback()

    def _rmdir(self, unit: str) -> bool:
        done = True
        if self._base:
            done = cgroup_v2.remove(self._directory(unit))
        if self._v1 is not None:
            done = self._v1.remove(group_name(unit)) and done
        return done

    def _remove_again(self, unit: str) -> None:
        del self._removals[unit]
        self._rmdir(unit)
