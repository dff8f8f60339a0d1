"""Conditions and assertions: checked right before a start, and what it means if they do not hold.

A unit that has some asks its surroundings before anything of it runs, in the state `condition`, and hears what
was found as an event. An unmet condition skips the start: the unit is dead, that is fine with everybody, and
who requires it starts all the same (who is bound to it does not). A broken assertion fails it, and so does a
file system that is not mounted (RequiresMountsFor=), for want of which nothing else is asked. Nothing has
run then, so no command of the unit runs after it either. ExecCondition= goes on in the same state.
"""

from __future__ import annotations

from collections.abc import Iterable

from gitproc.core import beginning, failing, lifecycle
from gitproc.core.actions import CheckConditions
from gitproc.core.checked import Checked, Finding
from gitproc.core.events import ConditionsChecked
from gitproc.core.states import Result, SubState
from gitproc.core.unit_state import UnitState
from gitproc.core.world import World
from gitproc.units.conditions import conditions_of


def checked(world: World, state: UnitState, event: ConditionsChecked) -> None:
    """The tests of this start have been made: go on, or leave it."""
    if state.sub is not SubState.CONDITION or state.checked is not None:
        return
    state.checked = Checked(event.realtime, event.findings)
    world.touch(state.name)
    if missing := state.checked.missing:
        text = f"it needs a file system that is not mounted: {_said(missing)}"
        _leave(world, state, Result.DEPENDENCY, text)
    elif unmet := state.checked.unmet:
        _leave(world, state, Result.SUCCESS, f"start condition unmet: {_said(unmet)}")
    elif broken := state.checked.broken:
        _leave(world, state, Result.ASSERT, f"start assertion failed: {_said(broken)}")
    else:
        beginning.proceed(world, state)


def _said(findings: Iterable[Finding]) -> str:
    return ", ".join(map(str, findings))


def _leave(world: World, state: UnitState, result: Result, message: str) -> None:
    unit = state.definition
    if state.starts:
        state.starts.pop()  # it does not count against the start limit
    if state.activation is not None:
        state.demanded, state.activation = False, None  # it rests until it is triggered again
    if result is not Result.SUCCESS:
        failing.give_up(world, state, unit, result, message)
        return
    state.message = message
    state.done = unit.fingerprint
    lifecycle.enter(world, state, SubState.DEAD)
    world.tell("unit.skipped", state.name, f"Skipped {lifecycle.describe(unit)}: {message}")


def ask_again(world: World, state: UnitState) -> None:
    """The answer may have been lost with the former manager."""
    if state.sub is not SubState.CONDITION or state.control is not None:
        return  # ExecCondition= runs: a commit may have added conditions since
    if state.checked is None and state.unit is not None:
        if conditions_of(state.unit.values):
            world.do(CheckConditions(state.unit, state.invocation))
            return
        # A commit took them away since. Nothing has run: it begins anew, by what is in force.
        lifecycle.enter(world, state, SubState.DEAD)
