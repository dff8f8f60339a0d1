"""Failing a unit for what is no end of its own: no time left, no sign of life, no memory, nothing to run."""

from __future__ import annotations

from gitproc.core import deadlines, reload
from gitproc.core.actions import Signal
from gitproc.core.lifecycle import enter, fail, move, note_failure, tell_failed
from gitproc.core.restart import SIGKILL
from gitproc.core.states import RELOADING, STARTING, Result, SubState
from gitproc.core.transitions import Cause
from gitproc.core.unit_state import UnitState
from gitproc.core.world import World
from gitproc.units.unit import Unit


def give_up(world: World, state: UnitState, unit: Unit, result: Result, message: str) -> None:
    """Fail a unit of which no process runs; only a start, or a commit that changes it, tries again."""
    state.unit = unit
    state.result, state.message = result, message
    state.done = unit.fingerprint
    state.activation = state.active_since = None
    enter(world, state, SubState.FAILED)
    tell_failed(world, state)


def timed_out(world: World, state: UnitState) -> None:
    """The state's deadline has passed."""
    sub = state.sub
    if sub in (SubState.STOP_SIGKILL, SubState.FINAL_SIGKILL):
        world.tell("unit.survivors", state.name, "processes still around after SIGKILL; going on")
    elif sub in RELOADING:
        reload.failed(world, state, "reload timed out")
    elif sub is SubState.RUNNING:
        note_failure(state, Result.TIMEOUT, "it has run for as long as RuntimeMaxSec= lets it")
    else:
        what = "start" if sub in STARTING else "stop"
        note_failure(state, Result.TIMEOUT, state.message or f"{what} timed out in state {sub}")
    if state.control is not None and sub in (SubState.STOP, SubState.STOP_POST):
        world.do(Signal(state.control.process, SIGKILL))
    move(world, state, deadlines.cause_of(state))


def hung(world: World, state: UnitState, why: str) -> None:
    """The watchdog has had no sign of life in time, or the service itself says that it is broken."""
    world.tell("unit.watchdog", state.name, why)
    fail(world, state, Result.WATCHDOG, why, Cause.HUNG)
