"""The end of a process as the machine sees it: what the shim cannot know of it.

That is whether anything of its unit is left, whether the OOM killer was about, and whether it has handed its
work on to another process of its unit. What it said before it ended comes before its end.
"""

from __future__ import annotations

from collections.abc import Callable

from gitproc.core.events import Event, Exited, MainFound, OutOfMemory
from gitproc.core.overlap import present
from gitproc.core.unit_state import Running, UnitState
from gitproc.core.world import World
from gitproc.daemon.senders import Senders
from gitproc.immutable import replaced
from gitproc.kernel import main_process
from gitproc.kernel.resource_controller import ResourceController
from gitproc.units import directives as d
from gitproc.units.service_types import ServiceType
from gitproc.units.unit import Unit


class Ends:
    """Completes exits, and finds main processes. `warn`: told what is odd about a unit."""

    def __init__(
        self,
        world: World,
        controller: ResourceController,
        post: Callable[[Event], None],
        warn: Callable[[str, str], None],
        senders: Senders,
        shim_pid: int,
    ) -> None:
        self._world = world
        self._controller = controller
        self._post = post
        self._warn = warn
        self._senders = senders
        self._shim_pid = shim_pid
        self.hear: Callable[[], None] = lambda: None
        """Takes in what services have said so far."""

    def completed(self, event: Exited) -> Exited:
        """With all that is known of it here; of an instance that is over there is nothing to add."""
        unit, invocation = event.process.unit, event.process.invocation
        state = present(self._world, unit, invocation)
        if state is None:
            return event
        slot = state.running(event.process)
        self._senders.ending = (slot.pid, unit, invocation) if slot is not None else None
        self.hear()
        self._senders.ending = None
        if self._controller.oom.news(unit):
            self._post(OutOfMemory(unit, invocation))
        empty = self._controller.is_empty(unit)
        successor = self._successor(state, slot) if slot is not None and not empty else None
        return replaced(event, tree_empty=empty, successor=successor)

    def _successor(self, state: UnitState, ended: Running) -> tuple[int, int] | None:
        """Pid and start time of the main process by its PID file, where that is another one by now."""
        unit = state.definition
        if ended is not state.main or unit[d.TYPE] is not ServiceType.FORKING:
            return None
        if not unit[d.PID_FILE]:
            return None
        found, _ = main_process.find(unit, lambda: self._controller.pids(unit.name), self._shim_pid)
        others = [x.pid for x in (ended, state.control) if x is not None]
        if found is None or found.pid in others:
            return None
        return found.pid, found.start_time

    def find_main(self, unit: Unit, invocation: str) -> MainFound:
        """The main process of a forking service whose parent has ended."""
        found, why = main_process.find(
            unit, lambda: self._controller.pids(unit.name), self._shim_pid
        )
        if found is None:
            return MainFound(unit.name, invocation, None, message=why)
        if found.warning:
            self._warn(unit.name, found.warning)
        return MainFound(unit.name, invocation, found.pid, found.start_time)
