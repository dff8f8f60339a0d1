"""Whose process a pid is: of who speaks on the notify socket, and of whom others speak."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from gitproc.core.events import Event, Notified, Process
from gitproc.core.notify import may_speak
from gitproc.core.overlap import present, sitting
from gitproc.core.world import World
from gitproc.immutable import replaced
from gitproc.kernel import notify_fields, processes, reaped
from gitproc.kernel.fd_store import FdStore
from gitproc.kernel.resource_controller import ResourceController
from gitproc.units.directives import FILE_DESCRIPTOR_STORE_MAX


class Senders:
    """Answers from the units' groups; `warn` is told what a unit must not do.

    `process_of` knows by pid what we have made and not heard the end of, `is_init` the inits that belong to the shim.
    """

    def __init__(
        self,
        world: World,
        controller: ResourceController,
        post: Callable[[Event], None],
        warn: Callable[[str, str], None],
        store: FdStore,
        process_of: Callable[[int], Process | None],
        is_init: Callable[[int], bool],
    ) -> None:
        self._world = world
        self._controller = controller
        self._post = post
        self._warn = warn
        self._store = store
        self._process_of = process_of
        self._is_init = is_init
        self.ending: tuple[int, str, str] | None = None
        """Pid, unit and invocation of a process whose end is being taken in: it may have spoken before."""

    def attribute(self, pid: int, pidfd: int) -> tuple[str, str] | None:
        """Whose process it is: (unit, invocation), or None. `pidfd`: of the one that is meant, or negative."""
        if self.ending is not None and self.ending[0] == pid:
            return self.ending[1:]
        found = self._controller.unit_of(pid)
        if (
            found is not None
            and reaped.is_gone(pidfd)
            and self._controller.unit_of(pid) is not None
        ):
            return None  # the pid has come again, as somebody else's
        return self._instance(found)

    def gone(self, pid: int, pidfd: int) -> tuple[str, str] | None:
        """Whose process it was, of one that is gone: by where it was, or as one that we had made."""
        unit = self._controller.unit_of_gone(pidfd) if pidfd >= 0 else None
        if unit is not None:
            return self._instance(unit)
        if Path(f"/proc/{pid}").exists():
            return None
        process = self._process_of(pid)
        return (process.unit, process.invocation) if process is not None else None

    def _instance(self, unit: str | None) -> tuple[str, str] | None:
        state = sitting(self._world, unit) if unit is not None else None
        return (state.seat, state.invocation) if state is not None else None

    def notified(self, event: Notified) -> None:
        """A notification, in the manager's own terms."""
        unit, controller = event.unit, self._controller
        fields, problem = notify_fields.translate(
            event.fields,
            event.pid,
            lambda pid: controller.unit_of(pid) == unit and not self._is_init(pid),
            lambda: controller.pids(unit),
        )
        if problem:
            self._warn(unit, problem)
        self._post(replaced(event, fields=fields))

    def counts(self, event: Notified) -> bool:
        """Whether its unit heeds what this process says."""
        state = present(self._world, event.unit, event.invocation)
        return state is not None and state.unit is not None and may_speak(state, event.pid)

    def stores(self, pid: int) -> bool:
        """Whether its unit has descriptors kept, and heeds what this process says."""
        found = self.attribute(pid, -1)
        state = present(self._world, *found) if found is not None else None
        if state is None or state.unit is None or not may_speak(state, pid):
            return False
        return bool(state.unit[FILE_DESCRIPTOR_STORE_MAX])

    def keep(self, event: Notified, fds: list[int]) -> None:
        """FDSTORE=1 and FDSTOREREMOVE=1, where the sender may speak for its unit; what is kept leaves `fds`."""
        state = present(self._world, event.unit, event.invocation)
        if state is None or state.down:
            return
        if state.unit is None or not may_speak(state, event.pid):
            return
        fields = dict(event.fields)
        if fields.get("FDSTOREREMOVE") == "1":
            self._store.remove(event.unit, fields.get("FDNAME", ""))
        elif fields.get("FDSTORE") == "1":
            poll = fields.get("FDPOLL") != "0"
            problem = self._store.keep(state.unit, fields.get("FDNAME", ""), fds, poll=poll)
            if problem:
                self._warn(event.unit, problem)

    def identity(self, unit: str, pid: int) -> int:
        """The start time of the unit's process `pid`; -1, which no process has, if it is not the unit's.

        The pid may be another process's by the time the shim looks. By this it is found out: who has this
        start time then has had the pid all along, and so is who was looked up in between.
        """
        started = processes.start_time(pid)
        return started if started and self._controller.unit_of(pid) == unit else -1
