"""Where a unit stands: whether it is to run, may start, has to stop, is on its way, or is down for good.

Questions alone: nothing here changes the world. The answers are read off what is (desired definition, holds,
states), never off how it came about, and `schedule.py` acts on them.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from gitproc.core import foreign, overlap
from gitproc.core.states import FINE, SubState
from gitproc.core.unit_state import UnitState
from gitproc.core.world import World
from gitproc.units import directives as d
from gitproc.units.seats import home, is_second
from gitproc.units.service_types import RestartMode
from gitproc.units.unit import Unit


def wanted(world: World, name: str, asked: frozenset[str] = frozenset()) -> Unit | None:
    """The definition by which `name` is to run, or None if it is to be down.

    `asked`: units for whose sake the question is asked (StopWhenUnneeded=).
    """
    if not world.updating:
        return _by_commit(world, name, asked)
    if is_second(name):
        return overlap.beside(world, name, _by_commit(world, home(name), asked))
    unit = _by_commit(world, name, asked)
    return overlap.kept_to(world, name, unit) if unit is not None else None


def _by_commit(world: World, name: str, asked: frozenset[str]) -> Unit | None:
    if world.stopping:
        return None
    state = world.units.get(name)
    if name not in world.pulled and (state is None or not state.demanded):
        return None
    if name in world.blocked or (state is not None and state.hold is not None):
        return None
    if name not in world.pulled and gives_way(world, name):
        return None
    unit = world.wanted_unit(name)
    if unit is None or unit.masked:
        return None
    if world.graph.unneeded.has(name, name) and not needed(world, name, asked):
        return None
    return unit


def idle(world: World, name: str) -> bool:
    """Whether `name` is down, or to go down, because nothing needs it (StopWhenUnneeded=)."""
    return world.graph.unneeded.has(name, name) and not needed(world, name)


def needed(world: World, name: str, asked: frozenset[str] = frozenset()) -> bool:
    """Whether a unit that pulls `name` in is up, moves, or is about to come up."""
    asked |= {name}
    for other in world.graph.needed_by(name):
        if other in asked:
            continue
        state = world.units.get(other)
        if state is not None and not state.down:
            return True
        unit = wanted(world, other, asked)
        if unit is not None and (state is None or state.done != unit.fingerprint):
            return True
    return False


def gives_way(world: World, name: str) -> bool:
    """Whether what an operator alone asked for conflicts with what the commit asks for."""
    rivals = (other for other in world.graph.rivals(name) if other in world.pulled)
    return any(wanted(world, other) is not None for other in rivals)


def satisfied(world: World, name: str, *, bound: bool = False) -> bool:
    """Whether who requires `name` may start: it is up, a oneshot that has done its work, or skipped.

    `bound`: for who is bound to it (BindsTo=) a start that a condition has prevented is none.
    """
    state = world.units.get(name)
    if state is None:
        return foreign.up(world, name)
    if state.up or (state.sub is SubState.DEAD and state.finished):
        return True
    return not bound and state.skipped


def skipped(world: World, name: str) -> bool:
    """Whether a condition has kept `name` from starting."""
    state = world.units.get(name)
    return state is not None and state.skipped


def closed_gates(world: World, name: str) -> Iterator[str]:
    """What must be there before `name` starts and is not."""
    graph = world.graph
    for other in graph.gates(name):
        if not gate_open(world, name, other):
            yield other


def missed_along(world: World, name: str) -> str | None:
    """What has to be up before whoever took `name` along is back, and `name` with it; None: it may start."""
    seen, leader = {name, ""}, _taken_along_by(world, name)
    while leader not in seen:
        for other in closed_gates(world, leader):
            if not there(world, other) or not world.graph.comes_after(other, name):
                return other
        seen.add(leader)
        leader = _taken_along_by(world, leader)
    return None


def _taken_along_by(world: World, name: str) -> str:
    """By whose stop, if that one is not back and is to come back; else empty."""
    state = world.units.get(name)
    leader = world.units.get(state.taken_along) if state is not None else None
    if leader is None or at_rest(world, leader.name):
        return ""
    back = not leader.down and not must_stop(world, leader)
    return "" if back or name not in world.graph.follows_stop(leader.name) else leader.name


def gate_open(world: World, name: str, other: str) -> bool:
    """Whether `other` lets `name` start. Requisite= asks for what is up, and takes nothing else for it."""
    graph = world.graph
    if satisfied(world, other, bound=graph.binds_to.has(name, other)):
        state = world.units.get(other)
        if state is None or not graph.requisite.has(name, other):
            return True
        return state.up and not must_stop(world, state)
    return False


def must_stop(world: World, state: UnitState) -> bool:
    """Whether a unit that is not down has to go down (perhaps to come up again)."""
    if state.down:
        return False
    if state.stopping or state.restart_wanted:
        return True
    return wanted(world, state.name) is None or unbound(world, state) is not None


def unbound(world: World, state: UnitState) -> str | None:
    """A unit that `state` is bound to (BindsTo=) and that is not there any more."""
    for other in world.graph.binds_to.of(state.name):
        if not there(world, other):
            return other
    return None


def there(world: World, name: str) -> bool:
    """Whether `name` is up, done, or on its way up: what BindsTo= asks of it."""
    state = world.units.get(name)
    starting = state is not None and state.starting
    if starting or satisfied(world, name, bound=True) or pending(world, name):
        return True
    return state is None and foreign.there(world, name)


def pending(world: World, name: str) -> bool:
    """Whether `name` is on its way up, so that what is ordered after it waits."""
    state = world.units.get(name)
    if state is not None:
        if state.starting:
            return True
        if state.up:
            return bool(state.restart_wanted) and wanted(world, name) is not None
        direct = state.unit is not None and state.unit[d.RESTART_MODE] is RestartMode.DIRECT
        if state.sub is SubState.AUTO_RESTART and not direct and not restart_is_due(world, state):
            return False  # its start has been tried; who merely comes after it need not wait
    unit = wanted(world, name)
    if unit is None:
        return False
    if state is not None and state.stopping:
        return True
    if state is not None and state.done == unit.fingerprint:
        return False
    return not _hopeless(world, name)


def tried_in_vain(world: World, name: str) -> bool:
    """Whether `name` has failed and pauses before it is started again, as those that wait for it may see."""
    state = world.units.get(name)
    if state is None or state.sub is not SubState.AUTO_RESTART or state.result in FINE:
        return False
    return state.definition[d.RESTART_MODE] is not RestartMode.DIRECT


def at_rest(world: World, name: str) -> bool:
    """Whether `name` is down to stay: it is not to run, has failed for good, or has ended."""
    if name in world.foreign.states and foreign.has(world, name):
        return foreign.at_rest(world, name)
    unit = wanted(world, name)
    state = world.units.get(name)
    return unit is None or (state is not None and state.down and state.done == unit.fingerprint)


def _hopeless(world: World, name: str) -> str:
    """The root of why `name` will not come up by itself: itself, or its obstacle; empty if it may.

    An obstacle is noted when the rules look at a unit, and counts only while its root is still at
    rest: so a look costs what the unit itself requires, and two units bound to one another cannot keep
    each other down.
    """
    if at_rest(world, name):
        return name
    state = world.units.get(name)
    if state is None or not state.down or not state.obstacle:
        return ""
    return state.obstacle if at_rest(world, state.obstacle) else ""


def dead_end(world: World, name: str) -> str | None:
    """The unit at the root of why `name` cannot start; None if nothing is in its way for good."""
    hosts = (
        world.graph.requires.of(name) if world.foreign.present else ()
    )  # nobody here starts those
    shut = (x for x in hosts if foreign.has(world, x) and not gate_open(world, name, x))
    gates = chain(closed_gates(world, name), shut, filter(None, [missed_along(world, name)]))
    return next(filter(None, (_hopeless(world, x) for x in gates)), None)


def restart_is_due(world: World, state: UnitState) -> bool:
    """Whether an automatic restart has waited long enough; another definition need not wait."""
    if state.restart_at is None or state.restart_at <= world.now:
        return True
    unit = wanted(world, state.name)
    return unit is not None and unit.fingerprint != state.definition.fingerprint
