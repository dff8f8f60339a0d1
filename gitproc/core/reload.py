"""Reloading a service: by commands, by a signal, or by its own wish (systemd.service(5), "notify-reload").

A Type=notify-reload service gets ReloadSignal=, says RELOADING=1 with an instant later than the signal, and
READY=1 when it is done. A reload that fails or takes too long fails alone: the service goes on.
"""

from __future__ import annotations

from gitproc.core.actions import Signal
from gitproc.core.dialogue import RELOADING
from gitproc.core.restart import SIGKILL
from gitproc.core.states import RELOADING as RELOADING_STATES
from gitproc.core.states import SubState
from gitproc.core.transitions import Cause
from gitproc.core.unit_state import UnitState
from gitproc.core.watchdog import dialogue
from gitproc.core.world import World
from gitproc.units import directives as d
from gitproc.units.service_types import ServiceType
from gitproc.units.unit import Unit


def can_reload(unit: Unit) -> bool:
    """Whether there is any way to have it reload."""
    return bool(unit[d.EXEC_RELOAD]) or unit[d.TYPE] is ServiceType.NOTIFY_RELOAD


def send(world: World, state: UnitState) -> None:
    """A reload begins: the signal, where there is to be one, goes out before the commands."""
    said = state.dialogue
    if state.definition[d.TYPE] is ServiceType.NOTIFY_RELOAD and state.main is not None:
        said = dialogue(state)
        world.do(Signal(state.main.process, state.definition[d.RELOAD_SIGNAL]))
    if said is not None:
        said.reload_begun, said.reload_seen, said.phase = world.now, False, ""


def send_again(world: World, state: UnitState) -> None:
    """The signal may have been lost with the former manager."""
    said, signal = state.dialogue, state.definition[d.RELOAD_SIGNAL]
    if state.definition[d.TYPE] is not ServiceType.NOTIFY_RELOAD or state.main is None:
        return
    if said is not None and said.phase != RELOADING and said.reload_begun > world.signalled:
        world.do(Signal(state.main.process, signal))


def after_commands(state: UnitState) -> Cause:
    """What follows when all commands of a reload have succeeded."""
    said = state.dialogue
    if state.main is None and state.last_exit.code:
        return Cause.DONE  # nobody is left to say more
    if said is not None and said.phase == RELOADING:
        return Cause.RELOADING
    signalled = state.definition[d.TYPE] is ServiceType.NOTIFY_RELOAD and state.main is not None
    if signalled and not (said is not None and said.reload_seen):
        return Cause.SIGNALLED
    return Cause.DONE


def heard(state: UnitState, at: float | None) -> None:
    """RELOADING=1, said at the instant `at`: an answer to the signal only if it is newer than that."""
    said = dialogue(state)
    said.phase = RELOADING
    said.reload_seen = at is not None and at >= said.reload_begun


def leave(world: World, state: UnitState) -> None:
    """The reload is over, whatever ended it: a command of it that still runs does not go on."""
    if state.sub is SubState.RELOAD and state.control is not None:
        world.do(Signal(state.control.process, SIGKILL))
        state.control = None


def refused(state: UnitState) -> bool:
    """Whether it goes on by what a commit has changed, as the reload for that has failed."""
    over = not state.reload_wanted and state.sub not in RELOADING_STATES
    return over and bool(state.unread and state.reload_failed)


def failed(world: World, state: UnitState, why: str) -> None:
    """Note that the reload has failed; what it was said to be doing does not count any more."""
    state.reload_failed = why
    if state.dialogue is not None:
        state.dialogue.phase = ""
    world.tell("unit.reload-failed", state.name, why)
