"""What services say of themselves: the notify protocol (sd_notify(3)), as far as it moves a unit.

Who may speak is NotifyAccess=, until NOTIFYACCESS= says otherwise. Unknown keys are ignored, and so is
what makes no sense: a message can move its own unit and nothing else. Of STOPPING=1, READY=1 and
RELOADING=1 in one message the first of these counts.
"""

from __future__ import annotations

import math

from gitproc.core import deadlines, failing, lifecycle, reload, watchdog
from gitproc.core.actions import Adopt
from gitproc.core.dialogue import STOPPING
from gitproc.core.events import Notified, Process, Slot
from gitproc.core.states import RELOADING, SubState
from gitproc.core.transitions import Cause
from gitproc.core.unit_state import Running, UnitState
from gitproc.core.world import World
from gitproc.units import directives as d
from gitproc.units.service_types import NotifyAccess, ServiceType

_MAX_TEXT = 256
_ERRNO_MAX = 4095
_STATUS_MAX = 255
_FOREVER = (1 << 64) - 1  # microseconds: systemd's infinity


def notified(world: World, state: UnitState, event: Notified) -> None:
    """Take in one datagram from a process of this instance."""
    if state.unit is None or not may_speak(state, event.pid):
        return
    fields = dict(event.fields)
    if _number(fields.get("MAINPID", "")):
        _new_main(world, state, int(fields["MAINPID"]))
    if "STATUS" in fields:
        state.status_text = fields["STATUS"][:_MAX_TEXT]
        world.touch(state.name)
    _informed(world, state, fields)
    if fields.get("STOPPING") == "1":
        _stopping(world, state)
    elif fields.get("READY") == "1":
        _ready(world, state)
    elif fields.get("RELOADING") == "1":
        _reloading(world, state, _seconds(fields.get("MONOTONIC_USEC", "")))
    _timed(world, state, fields)


def access_of(state: UnitState) -> NotifyAccess:
    """Whose messages count for this instance."""
    said = state.dialogue.access if state.dialogue is not None else ""
    return NotifyAccess(said) if said else state.definition[d.NOTIFY_ACCESS]


def may_speak(state: UnitState, pid: int) -> bool:
    """Whether this process may speak for its unit (NotifyAccess=)."""
    access = access_of(state)
    if access is NotifyAccess.ALL:
        return True
    if access is NotifyAccess.NONE:
        return False
    # A datagram may overtake the news of its sender's birth.
    main = state.main is not None and state.main.pid in (pid, 0)
    control = state.control is not None and state.control.pid == pid
    forks = state.sub is SubState.START and state.definition[d.TYPE] is ServiceType.FORKING
    return main or (control and (access is NotifyAccess.EXEC or forks))


def _ready(world: World, state: UnitState) -> None:
    if state.dialogue is not None:
        state.dialogue.phase = ""
        world.dirty[state.name] = None
    kind = state.definition[d.TYPE]
    if state.sub is SubState.START:
        if kind in (ServiceType.NOTIFY, ServiceType.NOTIFY_RELOAD):
            lifecycle.move(world, state, Cause.READY)
    elif state.sub is SubState.RELOAD_NOTIFY:
        lifecycle.reloaded(world, state)
        lifecycle.move(world, state, Cause.READY)


def _reloading(world: World, state: UnitState, at: float | None) -> None:
    if not (state.starting or state.up):
        return
    reload.heard(state, at)
    world.dirty[state.name] = None
    answered = state.sub is SubState.RELOAD_SIGNAL and watchdog.dialogue(state).reload_seen
    if answered or state.sub is SubState.RUNNING:
        if state.sub is SubState.RUNNING:
            state.reload_failed = ""
        lifecycle.move(world, state, Cause.RELOADING)


def _stopping(world: World, state: UnitState) -> None:
    if not (state.starting or state.up):
        return
    watchdog.dialogue(state).phase = STOPPING
    world.dirty[state.name] = None
    if state.sub in (SubState.RUNNING, *(RELOADING - {SubState.RELOAD})):
        lifecycle.leave(world, state)


def _informed(world: World, state: UnitState, fields: dict[str, str]) -> None:
    """What is kept for people, and who may speak from here on."""
    said = {key: fields[key] for key in _KEPT if key in fields}
    if not said:
        return
    dialogue = watchdog.dialogue(state)
    if _number(said.get("ERRNO", "")) and int(said["ERRNO"]) <= _ERRNO_MAX:
        dialogue.errno = int(said["ERRNO"])
    if _number(said.get("EXIT_STATUS", "")) and int(said["EXIT_STATUS"]) <= _STATUS_MAX:
        dialogue.exit_status = int(said["EXIT_STATUS"])
    if "BUSERROR" in said:
        dialogue.bus_error = said["BUSERROR"][:_MAX_TEXT]
    if said.get("NOTIFYACCESS") in set(NotifyAccess):
        dialogue.access = said["NOTIFYACCESS"]
    world.touch(state.name)


_KEPT = ("ERRNO", "EXIT_STATUS", "BUSERROR", "NOTIFYACCESS")


def _timed(world: World, state: UnitState, fields: dict[str, str]) -> None:
    seconds = _seconds(fields.get("EXTEND_TIMEOUT_USEC", ""))
    if seconds and seconds != math.inf:  # nobody can put its end off for ever
        deadlines.extend(world, state, seconds)
        watchdog.extend(world, state, seconds)
    beat = fields.get("WATCHDOG")
    if beat == "1":
        watchdog.ping(world, state)
    elif beat == "trigger":
        failing.hung(world, state, "it says that it is broken (WATCHDOG=trigger)")
    seconds = _seconds(fields.get("WATCHDOG_USEC", ""))
    if seconds is not None:
        watchdog.change(world, state, seconds)


def _number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= 10


def _seconds(text: str) -> float | None:
    """Microseconds as seconds; None if it is no such number."""
    if not (text.isascii() and text.isdecimal() and len(text) <= 20):
        return None
    number = int(text)
    return math.inf if number >= _FOREVER else number / 1e6


def _new_main(world: World, state: UnitState, pid: int) -> None:
    """MAINPID=: another process of the unit is the main one from now on (checked by who adopts it)."""
    old = state.main
    if old is None or old.pid == pid or state.sub is SubState.STOP_POST:
        return
    said = watchdog.dialogue(state)
    known = next((x for x in said.former if x[0] == pid), None)
    if known is not None:  # the shim has it in its table already
        state.main = Running(Process.from_cookie(known[2]), pid, known[1], executed=True)
        said.forget(known[2])
    else:
        state.main = Running(world.new_process(state, Slot.MAIN), pid, executed=True)
        world.do(Adopt(state.main.process, pid, 0))
    if old.pid:
        said.former = [*said.former, [old.pid, old.start_time, old.process.cookie()]]
    world.touch(state.name)
