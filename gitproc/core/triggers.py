"""One unit starts another because its time has come: what a timer, a path and a socket have in common.

Which unit starts which is an edge of the graph (`triggers`; `edges.py` adds it and the order that goes with
it). Such a unit is settled after the rules have come to rest: `step.py` calls the `settle` of its kind for
each one that was looked at, and it is looked at whenever it, or the unit that it starts, has changed. So a
`settle` reads what is, as every rule does, and may call `trigger`; what that wants is started by the rules.
"""

from __future__ import annotations

from enum import Enum

from gitproc.core import choice, failing, standing
from gitproc.core.restart import start_limit_hit
from gitproc.core.states import Result, SubState
from gitproc.core.unit_state import Activation, UnitState
from gitproc.core.world import World


class Outcome(Enum):
    """What came of a trigger."""

    STARTED = "it is being started"
    RUNNING = "it runs already"
    KEPT_DOWN = "it must not run: held, masked, in conflict with what runs, or all is being stopped"
    LIMIT = "it was started too often, and has failed"


def started_by(world: World, name: str) -> str | None:
    """The unit that `name`, a timer, path or socket, starts."""
    return next(iter(world.graph.triggers.of(name)), None)


def trigger(world: World, by: str, name: str, *variables: str) -> Outcome:
    """Start `name`, and what it pulls in, because of unit `by`: on demand, for this one run.

    Unlike an operator's `start` it ends no hold, stops nothing that the commit wants, and counts for
    StartLimitBurst=. What runs already, or is about to be restarted, is left alone; a oneshot that has
    finished runs again. `variables`: `TRIGGER_PATH=...` for its processes, beside TRIGGER_UNIT=.
    """
    state = world.state(name)
    chosen = choice.chosen(world, name)
    along = chosen.along
    obstacle = _obstacle(world, state, chosen)
    # A unit whose end starts another (OnFailure=) has a message already: why it ended.
    starter = world.state(by) if world.graph.triggers.has(by, name) else UnitState(by)
    if obstacle:
        text = f"{by} would start {name}, but {obstacle}"
        if starter.message != text:  # said once, and not each time
            world.tell("unit.not-triggered", name, text, by=by)
        starter.message = text
        return Outcome.KEPT_DOWN
    starter.message = ""
    if state.up or state.starting or state.sub is SubState.AUTO_RESTART or is_due(world, state):
        return Outcome.RUNNING
    unit = world.wanted_unit(name)
    if unit is not None and state.down and start_limit_hit(state, unit, world.settings, world.now):
        failing.give_up(
            world, state, unit, Result.START_LIMIT_HIT, f"{by} has started it too often"
        )
        return Outcome.LIMIT
    world.tell("unit.triggered", name, f"{by} triggered {name}", by=by)
    choice.tell(world, name, chosen)
    for rival in {other for each in along for other in world.graph.rivals(each)}:
        world.state(rival).demanded = False  # the commit does not want it, or it were an obstacle
        world.touch(rival)
    for current in along:
        other = world.state(current)
        if not other.finished or current == name:
            other.done = ""
        if current not in world.pulled:
            other.demanded = True
        other.taken_along = ""
        world.touch(current)
    if state.stopping:
        state.restart_wanted = f"triggered by {by}"
    state.activation = Activation(by, [f"TRIGGER_UNIT={by}", *variables])
    return Outcome.STARTED


def withdraw_if_vain(world: World, state: UnitState) -> None:
    """A start that was triggered and cannot happen, as what it needs has failed, is not left pending."""
    activation = state.activation
    if activation is None or not state.triggered or not state.down:
        return
    root = standing.dead_end(world, state.name)
    if root is not None:
        state.activation = None
        state.demanded = False
        text = f"{activation.by} triggered {state.name}, but it needs {root}, which is not up"
        world.tell("unit.not-triggered", state.name, text, by=activation.by)
        world.touch(state.name)


def is_due(world: World, state: UnitState) -> bool:
    """Whether its start is wanted already, and only has to wait for others."""
    unit = standing.wanted(world, state.name)
    if not state.down or unit is None or state.done == unit.fingerprint:
        return False
    return standing.missed_along(world, state.name) is None  # for that, nobody knows how long


def _obstacle(world: World, state: UnitState, chosen: choice.Choice) -> str:
    """What forbids to start the unit with all that goes along; empty if nothing does."""
    name = state.name
    unit = world.wanted_unit(name)
    if world.stopping:
        return "everything is being stopped"
    if unit is None or unit.masked:
        return "it is masked" if unit is not None else "no commit in force has it"
    if state.hold is not None:
        return f"{state.hold.who} stopped it"
    held = [world.blocked.get(name), *(_held(world, x) for x in world.graph.requirements(name))]
    if root := next(filter(None, held), None):
        return f"it needs {root}, which is held"
    if chosen.obstacle:
        return chosen.obstacle
    for each in chosen.along:
        for other in world.graph.rivals(each):
            if other in world.pulled and standing.wanted(world, other):
                return f"{each} conflicts with {other}"
    return ""


def _held(world: World, name: str) -> str | None:
    """What is held so that `name` is down: an instance made on demand has not been looked at for that."""
    state = world.units.get(name)
    return name if state is not None and state.hold is not None else world.blocked.get(name)
