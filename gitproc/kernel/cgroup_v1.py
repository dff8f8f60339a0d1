"""The version 1 hierarchies, through cgroupspy's nodes and controllers: limits where the v2 tree has none.

Only the groups asked for are touched, never a whole hierarchy. A process joins a v1 hierarchy only for a
limit that is set: the write to `cgroup.procs` waits for a grace period of the kernel, milliseconds each.
Where there is no v2 tree at all, one hierarchy also keeps the units' processes together.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress

from cgroupspy.controllers import Controller
from cgroupspy.interfaces import BaseFileInterface, IntegerFile
from cgroupspy.nodes import Node

from gitproc.errors import HostError
from gitproc.kernel import cgroup_v2

#: Larger values mean "no limit": the kernel shows its own maximum, rounded to pages.
_UNLIMITED = 1 << 62


class _Maximum(BaseFileInterface):  # type: ignore[misc]
    """A number, or `max` as None."""

    def sanitize_get(self, value: str) -> int | None:
        return None if value == "max" else int(value)

    def sanitize_set(self, value: int | None) -> str:
        return "max" if value is None else str(value)


class PidsController(Controller):  # type: ignore[misc]
    """The pids hierarchy, which cgroupspy does not know."""

    max = _Maximum("pids.max")
    current = IntegerFile("pids.current", readonly=True)


class FreezerController(Controller):  # type: ignore[misc]
    """The freezer hierarchy, which cgroupspy does not know."""

    state = BaseFileInterface("freezer.state")


class Group(Node):  # type: ignore[misc]
    """One group by its absolute path, whatever its hierarchy is called (`cpu,cpuacct` is common)."""

    CONTROLLERS: Mapping[bytes, type[Controller]] = {
        **Node.CONTROLLERS,
        b"pids": PidsController,
        b"freezer": FreezerController,
    }

    def __init__(self, path: str, controller: str) -> None:
        self._controller_name = controller.encode()
        super().__init__(path)

    def _get_controller_type(self) -> bytes:
        return self._controller_name


class Hierarchies:
    """Our groups in the v1 hierarchies. `bases`: controller -> absolute path of our base there."""

    def __init__(self, bases: Mapping[str, str]) -> None:
        self._bases = dict(bases)

    def has(self, controller: str) -> bool:
        """Whether we may make groups in that controller's hierarchy."""
        return controller in self._bases

    def tracker(self) -> str:
        """The hierarchy that keeps units together where there is no v2 tree."""
        for controller in ("freezer", "pids", *self._bases):
            if controller in self._bases:
                return controller
        raise HostError("no cgroup hierarchy may be written")

    def path(self, controller: str, group: str) -> str:
        """Where the unit's group in that hierarchy is, or would be."""
        return f"{self._bases[controller]}/{group}"

    def joined(self, group: str) -> list[str]:
        """The controllers in which the unit has a group, each hierarchy once."""
        seen: dict[str, str] = {}
        for controller in self._bases:
            path = self.path(controller, group)
            if os.path.isdir(path):
                seen.setdefault(path, controller)
        return list(seen.values())

    def create(self, controller: str, group: str) -> bool:
        """Make the unit's group in one hierarchy; False if it was there. OSError as the kernel answers."""
        os.makedirs(self._bases[controller], 0o755, exist_ok=True)
        try:
            os.mkdir(self.path(controller, group), 0o755)
        except FileExistsError:
            return False
        return True

    def limit(
        self,
        controller: str,
        group: str,
        value: float | None,
        members: Callable[[], Collection[int]],
    ) -> None:
        """Set a limit (bytes, CPUs or threads; None lifts it). OSError as the kernel answers.

        The unit's running processes (`members`) join the hierarchy with their first limit there; memory
        they took before stays on its former account.
        """
        if value is None and not os.path.isdir(self.path(controller, group)):
            return
        made = self.create(controller, group)
        held = self._open(controller, group)
        if controller == "memory":
            held.limit_in_bytes = -1 if value is None else int(value)
        elif controller == "cpu":
            held.cfs_period_us = cgroup_v2.CPU_PERIOD
            held.cfs_quota_us = -1 if value is None else cgroup_v2.cpu_quota(value)
        else:
            held.max = None if value is None else int(value)
        if made:
            for pid in members():
                with suppress(ProcessLookupError):
                    cgroup_v2.write(self.path(controller, group), "cgroup.procs", str(pid))

    def limit_of(self, controller: str, group: str) -> float | None:
        """The limit a unit has there (bytes, CPUs or threads); None without one, or without a group."""
        with suppress(OSError, ValueError):
            if controller == "memory":
                found = self.memory(group)
                return found[2] if found is not None else None
            if controller == "pids":
                tasks = self.tasks(group)
                return tasks[1] if tasks is not None else None
            held = self._open(controller, group)
            quota, period = int(held.cfs_quota_us), int(held.cfs_period_us)
            return quota / period if quota > 0 else None
        return None

    def freeze(self, group: str, frozen: bool) -> None:
        """Stop or resume every process of the group, where the machine has a freezer."""
        if self.has("freezer"):
            with suppress(OSError):
                self._open("freezer", group).state = "FROZEN" if frozen else "THAWED"

    def oom_kills(self, group: str) -> int | None:
        """How often the kernel's OOM killer struck in the group; None if it is not there."""
        if not self.has("memory"):
            return None
        with suppress(OSError, ValueError, AttributeError, KeyError, TypeError):
            return int(self._open("memory", group).oom_control["oom_kill"])
        return None

    def memory(self, group: str) -> tuple[int, int, int | None] | None:
        """Bytes now, at most so far, and the limit (None: none) of a group; None if it has none."""
        if not self.has("memory"):
            return None
        with suppress(OSError, ValueError):
            held = self._open("memory", group)
            limit = int(held.limit_in_bytes)
            now, peak = int(held.usage_in_bytes), int(held.max_usage_in_bytes)
            return now, peak, None if limit >= _UNLIMITED else limit
        return None

    def tasks(self, group: str) -> tuple[int, int | None] | None:
        """Threads now and the limit (None: none); None where the unit has no group in that hierarchy."""
        if not self.has("pids"):
            return None
        with suppress(OSError, ValueError):
            held = self._open("pids", group)
            return int(held.current), held.max
        return None

    def remove(self, group: str) -> bool:
        """Remove the unit's groups everywhere; False if one is still busy."""
        busy = [each for each in self.joined(group) if not cgroup_v2.remove(self.path(each, group))]
        return not busy

    def remove_bases(self) -> None:
        """Remove our bases, those that are empty."""
        for base in set(self._bases.values()):
            with suppress(OSError):
                os.rmdir(base)

    def _open(self, controller: str, group: str) -> Controller:
        return Group(self.path(controller, group), controller).controller
