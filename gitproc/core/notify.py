"""What services say of themselves: the notify protocol (sd_notify(3)), as far as it moves a unit.

Who may speak is NotifyAccess=; a Type=notify service that does not set it lets its main process speak
(systemd.service(5)). Unknown keys are ignored.
"""

from __future__ import annotations

from gitproc.core import lifecycle
from gitproc.core.actions import Adopt
from gitproc.core.events import Notified, Slot
from gitproc.core.states import SubState
from gitproc.core.transitions import Cause
from gitproc.core.world import Running, UnitState, World
from gitproc.units import directives as d
from gitproc.units.service_types import NotifyAccess, ServiceType

_MAX_TEXT = 256


def notified(world: World, state: UnitState, event: Notified) -> None:
    """Take in one datagram from a process of this instance."""
    if state.unit is None or not _may_speak(state, event.pid):
        return
    fields = dict(event.fields)
    if "STATUS" in fields:
        state.status_text = fields["STATUS"][:_MAX_TEXT]
        world.touch(state.name)
    if fields.get("MAINPID", "").isdigit():
        _new_main(world, state, int(fields["MAINPID"]))
    if fields.get("READY") == "1" and state.sub is SubState.START:
        if state.unit[d.TYPE] in (ServiceType.NOTIFY, ServiceType.NOTIFY_RELOAD):
            lifecycle.move(world, state, Cause.READY)


def _may_speak(state: UnitState, pid: int) -> bool:
    unit = state.definition
    access = unit[d.NOTIFY_ACCESS]
    if access is NotifyAccess.NONE and unit[d.TYPE] is ServiceType.NOTIFY:
        access = NotifyAccess.MAIN
    if access is NotifyAccess.ALL:
        return True
    if access is NotifyAccess.NONE:
        return False
    # A datagram may overtake the news of its sender's birth.
    main = state.main is not None and state.main.pid in (pid, 0)
    control = state.control is not None and state.control.pid == pid
    return main or (control and access is NotifyAccess.EXEC)


def _new_main(world: World, state: UnitState, pid: int) -> None:
    """MAINPID=: another process of the unit is the main one from now on (checked by who adopts it)."""
    if state.main is not None and state.main.pid != pid and state.sub is not SubState.STOP_POST:
        state.main = Running(world.new_process(state, Slot.MAIN), pid, executed=True)
        world.do(Adopt(state.main.process, pid, 0))
        world.touch(state.name)
