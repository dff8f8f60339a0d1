"""When an operator's request is answered, and how: as soon as each unit has come to what was asked, or to rest."""

from __future__ import annotations

from typing import Any

from gitproc.core import foreign, overlap, standing
from gitproc.core.actions import Reply
from gitproc.core.events import Verb
from gitproc.core.job import JobKind
from gitproc.core.states import FINE, RELOADING, Result, SubState
from gitproc.core.unit_state import UnitState
from gitproc.core.world import Request, World
from gitproc.units import directives as d
from gitproc.units.service_types import ServiceType

STARTS = frozenset({Verb.START, Verb.RESTART, Verb.TRY_RESTART})
STOPS = frozenset({Verb.STOP, Verb.RESTART, Verb.TRY_RESTART})


def outcome(state: UnitState, result: str, message: str = "") -> dict[str, Any]:
    """What is said of a unit."""
    return {
        "result": result,
        "pid": state.main.pid if state.main is not None else None,
        "active_state": state.active.value,
        "sub_state": state.sub.value,
        "message": message,
    }


def answer(request: Request, state: UnitState, result: str, message: str = "") -> None:
    """A request need not wait for this unit any longer."""
    request.waiting.discard(state.name)
    verb = request.verbs[state.name].value
    request.outcomes[state.name] = {"verb": verb, **outcome(state, result, message)}


def look(world: World, name: str) -> None:
    """See whether requests that wait for `name` can be answered."""
    for request in world.requests.values():
        if name in request.waiting:
            _look(world, request, name)


def _look(world: World, request: Request, name: str) -> None:
    state = world.units.get(name)
    if state is None:
        state = UnitState(name)
    match request.verbs[name]:
        case Verb.START | Verb.RESTART | Verb.TRY_RESTART:
            _look_start(world, request, state)
        case Verb.STOP:
            if any(not it.down for it in [*overlap.instances(world, state)][1:]):
                pass  # the one beside it has to stop, too
            elif state.down or state.invocation != request.invocations.get(name, ""):
                answer(request, state, "done")
            elif not standing.must_stop(world, state):
                answer(request, state, "canceled", "started again meanwhile")
        case Verb.RELOAD:
            if state.down or (state.sub not in RELOADING and not state.reload_wanted):
                bad = "not running" if not state.up else state.reload_failed
                answer(request, state, "failed" if bad else "done", bad)
        case _:
            pass  # answered at once


def _look_start(world: World, request: Request, state: UnitState) -> None:
    unit = standing.wanted(world, state.name)
    if unit is None and standing.idle(world, state.name):
        if state.down:
            text = "nothing that pulls it in is up (StopWhenUnneeded=yes)"
            answer(request, state, "canceled", text)
        return
    if unit is None:
        held = f"held by {state.hold.who}" if state.hold is not None else "not to run"
        if state.down:
            answer(request, state, "canceled", held)
        return
    former = request.invocations.get(state.name)
    fresh = request.verbs[state.name] is Verb.START or state.invocation != former
    if state.up and fresh and not state.restart_wanted:
        # A simple service counts as up once forked; for people it is up once its program runs.
        if state.main is None or state.main.executed or not _simple(state):
            answer(request, state, "done")
    elif state.down:
        if _tell_end(request, state):
            return
        obstacle = standing.dead_end(world, state.name)
        if obstacle is not None:
            answer(request, state, "dependency", f"it needs {obstacle}, which is not up")
        elif foreign.waits(world, state):
            text = f"it waits for {state.waits_for}, which {state.waits_because}"
            answer(request, state, "dependency", text)
        elif standing.tried_in_vain(world, state.waits_for):
            text = f"it waits for {state.waits_for}, which has failed and is started again"
            answer(request, state, "dependency", text)


_ORDERS = {JobKind.START: STARTS, JobKind.STOP: STOPS, JobKind.RELOAD: {Verb.RELOAD}}


def ended(world: World, state: UnitState) -> None:
    """A unit that is down may begin anew at once: who waited for what has ended hears of that, not of the next."""
    for request in world.requests.values():
        if state.name in request.waiting and request.verbs[state.name] in STARTS:
            _tell_end(request, state)


def _tell_end(request: Request, state: UnitState) -> bool:
    tried = state.invocation != request.invocations.get(state.name)
    if not state.done and (not tried or state.sub is SubState.DEAD):
        return False
    good = state.result in FINE and state.sub is SubState.DEAD
    bad = "dependency" if state.result is Result.DEPENDENCY else "failed"
    result = "skipped" if state.skipped else "done" if good else bad
    answer(request, state, result, state.message)
    return True


def tired_of(world: World, state: UnitState, kind: JobKind, message: str) -> None:
    """Nobody waits for this start, stop or reload any longer."""
    for request in world.requests.values():
        if state.name in request.waiting and request.verbs[state.name] in _ORDERS[kind]:
            answer(request, state, "failed", message)


def _simple(state: UnitState) -> bool:
    return state.unit is not None and state.unit[d.TYPE] in (ServiceType.SIMPLE, ServiceType.IDLE)


def reply(world: World) -> None:
    """Send the answers that are complete."""
    for number in [n for n, request in world.requests.items() if not request.waiting]:
        request = world.requests.pop(number)
        world.do(Reply(number, tuple(sorted(request.outcomes.items()))))
