"""Whose process a pid is: of who speaks on the notify socket, and of whom others speak."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from gitproc.core.events import Event, Notified
from gitproc.core.notify import may_speak
from gitproc.core.world import World
from gitproc.kernel import notify_fields, processes
from gitproc.kernel.fd_store import FdStore
from gitproc.kernel.resource_controller import ResourceController


class Senders:
    """Answers from the units' groups; `warn` is told what a unit must not do."""

    def __init__(
        self,
        world: World,
        controller: ResourceController,
        post: Callable[[Event], None],
        warn: Callable[[str, str], None],
        store: FdStore,
    ) -> None:
        self._world = world
        self._controller = controller
        self._post = post
        self._warn = warn
        self._store = store

    def attribute(self, pid: int) -> tuple[str, str] | None:
        """Whose process it is: (unit, invocation), or None."""
        unit = self._controller.unit_of(pid)
        state = self._world.units.get(unit) if unit is not None else None
        return (state.name, state.invocation) if state is not None else None

    def notified(self, event: Notified) -> None:
        """A notification, in the manager's own terms."""
        unit, controller = event.unit, self._controller
        fields, problem = notify_fields.translate(
            event.fields,
            event.pid,
            lambda pid: controller.unit_of(pid) == unit,
            lambda: controller.pids(unit),
        )
        if problem:
            self._warn(unit, problem)
        self._post(replace(event, fields=fields))

    def keep(self, event: Notified, fds: list[int]) -> None:
        """FDSTORE=1 and FDSTOREREMOVE=1, where the sender may speak for its unit; what is kept leaves `fds`."""
        state = self._world.units.get(event.unit)
        if state is None or state.invocation != event.invocation or state.down:
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
