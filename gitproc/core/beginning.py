"""How an instance begins: a fresh start of its state, its conditions, and then its first step."""

from __future__ import annotations

from gitproc.core import job_timeout
from gitproc.core.actions import Keep, SetLimits
from gitproc.core.lifecycle import describe, enter, move, next_command
from gitproc.core.states import RESTS, Result, SubState
from gitproc.core.transitions import LIVES, Cause
from gitproc.core.unit_state import NO_EXIT, Health, UnitState
from gitproc.core.world import World
from gitproc.units import directives as d
from gitproc.units.conditions import conditions_of
from gitproc.units.unit import Unit


def begin(world: World, state: UnitState, unit: Unit) -> None:
    """Start a new instance of `unit`, whatever ended before."""
    if state.sub is not SubState.AUTO_RESTART:
        state.restarts = 0
        if state.activation is not None and not state.activation.begun:
            state.activation.begun = True
        else:
            # One that was replaced while it ran for a trigger goes on for the same.
            if not state.demanded:
                state.activation = None
            state.starts = []
    state.starts.append(world.now)
    job_timeout.begins(world, state, unit)
    state.unit = unit
    state.invocation = world.new_invocation()
    state.result = Result.SUCCESS
    state.main = state.control = state.probe = None
    state.tree_empty = True
    state.born = False
    state.restart_at = None
    state.restart_wanted = state.reload_wanted = state.reload_failed = state.unread = ""
    state.taken_along = ""
    state.ordered_stop = state.restarting = state.forced_restart = state.oom = False
    state.finished = state.drains = False
    state.done = state.status_text = state.message = ""
    state.waits_for = state.waits_because = state.obstacle = ""
    state.health = Health()
    state.dialogue = None
    state.last_exit = NO_EXIT
    state.checked = None
    if conditions_of(unit.values):
        world.do(Keep(unit))  # so that it is known after a crash what is being checked
        move(world, state, Cause.CHECK)
        return
    proceed(world, state)


def proceed(world: World, state: UnitState) -> None:
    """The conditions are met, if there are any: start what `begin` has prepared."""
    unit = state.definition
    if unit.kind != "service":
        world.do(Keep(unit))  # nothing is spawned by it, which would do that
    if unit.kind == "slice":
        world.do(SetLimits(unit, state.invocation))
    if unit.kind not in LIVES:
        enter(world, state, RESTS.get(unit.kind, SubState.ACTIVE))
        return
    world.tell("unit.starting", state.name, f"Starting {describe(unit)}")
    if state.sub is SubState.CONDITION:
        next_command(world, state)
    else:
        move(world, state, Cause.CHECK if unit[d.EXEC_CONDITION] else Cause.BEGIN)
