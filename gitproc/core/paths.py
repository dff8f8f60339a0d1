"""Path units: what about a path starts the unit, and when it is looked at (systemd.path(5)).

A path unit is *waiting* while it watches, and *running* while the unit that it has started is not down
again; meanwhile nothing is watched. What is there is looked at when the watch begins, which is also when the
started unit has ended. `PathsSeen` says what is; what was is kept here, so that a change between two managers
is no less a change.
"""

from __future__ import annotations

from gitproc.core import failing, lifecycle, standing, triggers
from gitproc.core.actions import UnwatchPaths, WatchPaths
from gitproc.core.occasions import PathsSeen
from gitproc.core.path_state import PathState
from gitproc.core.states import Result, SubState
from gitproc.core.triggers import Outcome
from gitproc.core.unit_state import UnitState
from gitproc.core.world import World
from gitproc.units import directives_path as p
from gitproc.units.trigger_rules import watches
from gitproc.units.unit import Unit

_ON_CHANGE = (p.PATH_CHANGED, p.PATH_MODIFIED)


def settle(world: World, state: UnitState) -> None:
    """See where a path unit stands: whether it is to watch, and whether what it started has ended."""
    name = triggers.started_by(world, state.name)
    kept = state.path
    if not state.up or name is None or standing.must_stop(world, state):
        if kept is not None and kept.watching:
            _unwatch(world, state, kept)
        return
    if kept is None or kept.invocation != state.invocation:
        kept = state.path = PathState(state.invocation)
    target = world.units.get(name) or UnitState(name)
    if target.triggered or not target.resting:
        if kept.watching:
            _unwatch(world, state, kept)
        if state.sub is not SubState.RUNNING:
            lifecycle.enter(world, state, SubState.RUNNING)
        return
    if state.sub is SubState.RUNNING:
        kept.fresh = True
        if target.result is Result.START_LIMIT_HIT:
            _fail(world, state, Result.UNIT_START_LIMIT_HIT, f"{name} was started too often")
            return
        lifecycle.enter(world, state, SubState.WAITING)
    if not kept.watching:
        kept.watching = True
        world.do(WatchPaths(state.definition, state.invocation, first=not kept.marks))


def seen(world: World, state: UnitState, event: PathsSeen) -> None:
    """Something may have happened to what is watched: start the unit if it did."""
    kept = state.path
    name = triggers.started_by(world, state.name)
    if kept is None or not kept.watching or state.sub is not SubState.WAITING or name is None:
        return
    if event.problem:
        _fail(world, state, Result.RESOURCES, event.problem)
        return
    path = _reason(state.definition, kept, event)
    kept.marks, kept.fresh = list(event.marks), False
    world.dirty[state.name] = None
    if path and not standing.must_stop(world, state):
        _trigger(world, state, kept, name, path)


def _reason(unit: Unit, kept: PathState, event: PathsSeen) -> str:
    """The path because of which the unit is to be started; empty if there is none.

    `begun` watching anew, after a crash of the manager, contents are compared; while it was not watching
    because the started unit ran, they are not, or a unit that writes what it watches would never end.
    """
    known = len(kept.marks) == len(event.marks)
    for number, (row, path) in enumerate(watches(unit)):
        mark = event.marks[number]
        before = kept.marks[number] if known else ""
        if row not in _ON_CHANGE:
            if mark and (kept.fresh or not before):
                return path
            continue
        if number in event.changed:
            return path
        resumed = event.begun and not kept.fresh
        if known and (bool(mark) != bool(before) or (resumed and mark != before)):
            return path
    return ""


def _trigger(world: World, state: UnitState, kept: PathState, name: str, path: str) -> None:
    unit = state.definition
    interval, burst = unit[p.TRIGGER_LIMIT_INTERVAL_SEC], unit[p.TRIGGER_LIMIT_BURST]
    kept.hits = [at for at in kept.hits if world.now - at < interval]
    if interval > 0 and burst > 0 and len(kept.hits) >= burst:
        message = f"{len(kept.hits)} starts within {interval:g} s are too many"
        _fail(world, state, Result.TRIGGER_LIMIT_HIT, message)
        return
    kept.hits.append(world.now)
    outcome = triggers.trigger(world, state.name, name, f"TRIGGER_PATH={path}")
    if outcome is Outcome.LIMIT:
        _fail(world, state, Result.UNIT_START_LIMIT_HIT, f"{name} was started too often")
    elif outcome is not Outcome.KEPT_DOWN:
        _unwatch(world, state, kept)
        lifecycle.enter(world, state, SubState.RUNNING)


def _unwatch(world: World, state: UnitState, kept: PathState) -> None:
    kept.watching = False
    world.do(UnwatchPaths(state.name))


def _fail(world: World, state: UnitState, result: Result, message: str) -> None:
    if state.path is not None and state.path.watching:
        _unwatch(world, state, state.path)
    failing.give_up(world, state, state.definition, result, message)
