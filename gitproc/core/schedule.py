"""The rules that close the gap between what is wanted and what is.

`converge` runs the rules for every unit in the world's queue until nothing changes any more. Rules are
level-triggered: they read what is (desired definition, holds, states), never how we learnt it, so boot,
push, rollback, crash and an operator's verb all come through here, and a second run changes nothing.

Order falls out of two gates. A unit *starts* when what it requires (and is ordered after) is up, nothing it
is ordered after is still on its way up, and nothing related by order or Conflicts= still has to stop. A unit
*stops* when everything ordered after it that has to stop is down. A unit that finds its gate closed notes
whom it waits for and is looked at again when that one changes: work grows with what an event touches.
"""

from __future__ import annotations

from itertools import chain

from gitproc.core import (
    answers,
    beginning,
    choice,
    deadlines,
    foreign,
    health,
    job_timeout,
    lifecycle,
    overlap,
    past_order,
    relations,
)
from gitproc.core.actions import Keep, SetLimits
from gitproc.core.listening import connection_over
from gitproc.core.plan import compare
from gitproc.core.reload import can_reload
from gitproc.core.socket_orders import ConfigureSocket
from gitproc.core.standing import (
    at_rest,
    closed_gates,
    dead_end,
    gives_way,
    missed_along,
    must_stop,
    pending,
    restart_is_due,
    there,
    unbound,
    wanted,
)
from gitproc.core.states import UNBEGUN, Result, SubState
from gitproc.core.transitions import Cause
from gitproc.core.unit_state import UnitState
from gitproc.core.world import World
from gitproc.units.directive import Change
from gitproc.units.seats import home, other_seat
from gitproc.units.unit import Unit


def converge(world: World) -> dict[str, None]:
    """Run the rules to a fixed point over the queued units; returns those that were looked at.

    What follows from the facts alone is settled before each start or stop, which cannot be taken back:
    which instances are to be replaced by a new definition, and which starts would be in vain.
    """
    seen: dict[str, None] = {}
    world.spread()
    if world.knowing:
        world.look_at([other_seat(name) for name in world.updating if name in world.queue])
        for name in tuple(world.queue):
            state = world.units.get(name)
            unit = wanted(world, name)
            if unit is not None and state is not None and not state.down and not state.stopping:
                _adopt_definition(world, state, unit)
    while world.touched or world.queue:
        world.spread()
        _note_obstacles(world)
        name = next(iter(world.queue))
        del world.queue[name]
        seen[name] = None
        _reconcile(world, name)
    return seen


def enqueue_all(world: World) -> None:
    """Look at every unit: something changed that concerns all (a commit, adoption, shutdown)."""
    world.look_at(world.units)
    if world.desired is not None:
        world.look_at(sorted(world.pulled))


def extend_demands(world: World) -> None:
    """What operators have started runs with all that it pulls in, as the commit in force has it."""
    if world.desired is None:
        return
    asked = [n for n, s in world.units.items() if s.demanded and world.wanted_unit(n) is not None]
    along = {x for name in asked for x in choice.chosen(world, name, held=True).along}
    for name in sorted((along & world.desired.units.keys()) - world.pulled):
        if not world.state(name).demanded:
            world.state(name).demanded = True
            world.touch(name)


def refresh_blocked(world: World) -> None:
    """Compute anew who must stay down because something it needs is held; queue what this changes."""
    before = world.blocked
    held = [name for name, state in world.units.items() if state.hold is not None]
    world.blocked = world.graph.stop_closure(sorted(held))
    for name in sorted(before.keys() ^ world.blocked.keys()):
        world.look_at((name, *world.graph.unneeded_without(name)))
        world.look_at(world.graph.triggers.to(name))


def hold_changed(world: World, name: str) -> None:
    """An operator's hold has come or gone: most units block nobody, whether they are held or not."""
    if world.state(name).hold is None:
        concerned = name in world.blocked.values()
    else:
        concerned = any(True for _ in world.graph.follows_stop(name))
    if concerned:
        refresh_blocked(world)


def _reconcile(world: World, name: str) -> None:
    if not world.knowing:
        return
    state = world.units.get(name)
    unit = wanted(world, name)
    if state is None:
        if unit is None:
            _release_waiters(world, name)
            return
        state = world.state(name)
    if state.down:
        _reconcile_down(world, state, unit)
    elif not state.stopping:
        _reconcile_up(world, state, unit)


def _reconcile_down(world: World, state: UnitState, unit: Unit | None) -> None:
    if unit is None:
        state.job = None
        if state.sub is SubState.AUTO_RESTART:
            state.restart_at = None
            lifecycle.move(world, state, Cause.HALT)
        if state.demanded and gives_way(world, state.name):
            state.demanded = False  # it does not come back by surprise
            world.dirty[state.name] = None
        if state.waits_for:  # it is not about to start any more: who starts it on demand may
            world.look_at(world.graph.triggers.to(state.name))
        _forget_wait(world, state)
        if state.connection is not None:
            connection_over(world, state)
        elif state.hold is None and world.wanted_unit(state.name) is None:
            world.forget(state.name)
        return
    if world.requests:
        answers.ended(world, state)
    if state.sub is SubState.AUTO_RESTART:
        if not restart_is_due(world, state):
            return
    elif state.done == unit.fingerprint and not _raised(world, state):
        _forget_wait(world, state)
        return
    blocker, because = _start_blocker(world, home(state.name))
    if blocker is not None:
        _wait(world, state, blocker, because)
        if job_timeout.waits(world, state, unit):
            _forget_wait(world, state)
        return
    beginning.begin(world, state, unit)


def _raised(world: World, state: UnitState) -> bool:
    """Whether a unit that has ended is started again, because one that upholds it is up."""
    if state.skipped or state.result in (Result.START_LIMIT_HIT, *UNBEGUN):
        return False
    if relations.upheld_by(world, state.name) is None:
        return False
    state.done = ""
    return True


def _note_obstacles(world: World) -> None:
    """Who waits for a unit to come up, or cannot without it, must know whether that is in vain."""
    while world.unsure:
        name = next(iter(world.unsure))
        del world.unsure[name]
        state = world.units.get(name)
        fresh = state is None
        if fresh and wanted(world, name) is not None:
            state = world.state(name)
        if state is None:
            continue
        root = ""
        if state.down:
            root = name if at_rest(world, name) else dead_end(world, name) or ""
        if fresh or root != state.obstacle:
            state.obstacle = root
            world.look_at(world.graph.requires.to(name))
            world.look_at(world.graph.binds_to.to(name))
            world.look_at(world.graph.requisite.to(name))
            _release_waiters(world, name)


def _reconcile_up(world: World, state: UnitState, unit: Unit | None) -> None:
    if must_stop(world, state):
        bound = unbound(world, state) if unit is not None else None
        if bound is not None and not state.restart_wanted:
            state.restart_wanted = f"bound to {bound}"
            relations.take_along(world, state)
        blocker = _stop_blocker(world, state.name)
        if blocker is not None:
            _wait(world, state, blocker, "has to stop first")
            job_timeout.stops(world, state, begun=False)
            return
        _forget_wait(world, state)
        job_timeout.stops(world, state, begun=True)
        state.restarting = unit is not None and bound is None and not state.taken_along
        lifecycle.halt(world, state)
        return
    job_timeout.goes_on(world, state)
    if state.reload_wanted and state.sub in (SubState.RUNNING, SubState.EXITED):
        state.reload_wanted = ""
        state.reload_failed = ""
        job_timeout.reloads(world, state)
        lifecycle.move(world, state, Cause.RELOAD)
    else:
        _forget_wait(world, state)


def _adopt_definition(world: World, state: UnitState, unit: Unit) -> None:
    """The commit defines a running unit anew: take the smallest action that makes it so."""
    old = state.definition
    if old.values is unit.values:
        return
    if overlap.begin_beside(world, state, unit):
        return
    unit = unit.seated(state.seat)
    comparison = compare(old, unit)
    if not comparison.differences:
        state.unit = unit
        return
    if comparison.change is Change.RESTART:
        if not state.restart_wanted:
            want_restart(world, state, f"changed: {', '.join(comparison.directives)}")
        return
    # Everything up to a reload goes on with the same process: the new definition is in force from here.
    state.unit = unit
    world.dirty[state.name] = None
    world.do(Keep(unit))
    if comparison.limits:
        world.do(SetLimits(unit, state.invocation))
        text = "; ".join(str(difference) for difference in comparison.differences)
        world.tell("unit.limits-changed", state.name, text)
    if unit.kind == "socket":
        world.do(ConfigureSocket(unit))
    elif state.sub is SubState.RUNNING:
        health.rearm(world, state)
        if unit.kind == "service":
            deadlines.arm_runtime(world, state)
    if comparison.change is Change.RELOAD:
        if can_reload(unit):
            state.unread = ", ".join(comparison.directives)
            relations.want_reload(world, state, ", ".join(comparison.directives))
        else:
            want_restart(world, state, f"changed: {', '.join(comparison.directives)}")


def want_restart(world: World, state: UnitState, reason: str) -> None:
    """Replace the running instance, and those of units that follow an explicit restart."""
    state.restart_wanted = reason
    world.touch(state.name)
    todo = [state.name]
    while todo:
        name = todo.pop()
        for other in world.graph.follows_restart(name):
            follower = world.units.get(other)
            if follower is None or follower.down or follower.stopping or follower.restart_wanted:
                continue
            follower.restart_wanted = f"{name} restarts"
            world.touch(other)
            todo.append(other)


def _start_blocker(world: World, name: str) -> tuple[str | None, str]:
    """Whom a unit that is to start waits for, and why."""
    graph = world.graph
    second = overlap.second_of(world, name)
    if second is not None and not second.down:
        return second.name, "has to stop first"
    if world.foreign.present:
        abroad = foreign.blocker(world, name)
        if abroad[0] is not None:
            return abroad
    for other in closed_gates(world, name):
        strict = graph.ordered(name, other) or graph.requisite.has(name, other)
        if strict or not there(world, other):
            return other, "is required and not up"
    missing = missed_along(world, name)
    if missing is not None:
        return missing, f"{world.units[name].taken_along} has to come back after"
    for other in graph.rivals(name):
        it = world.units.get(other)
        if it is not None and not it.down:
            if must_stop(world, it):
                world.look_at((other,))
            return other, "conflicts and is not down yet"
    before = graph.waits_on(name)
    # Go on where the last look found a blocker: a target with thousands of members must not scan
    # them all each time one of them comes up.
    state = world.units[name]
    start = state.gate_index if state.gate_index < len(before) else 0
    for index in range(start, start + len(before)):
        other = before[index % len(before)]
        it = world.units.get(other)
        if pending(world, other) or (it is not None and must_stop(world, it)):
            state.gate_index = index % len(before)
            return other, "comes first"
    for other in graph.followers(name):
        it = world.units.get(other)
        if it is not None and must_stop(world, it):
            return other, "has to stop first"
    return None, ""


def _stop_blocker(world: World, name: str) -> str | None:
    """Whom a unit that is to stop waits for: what is ordered after it and goes down too."""
    for other in chain(world.graph.followers(name), past_order.followers(world, name)):
        state = world.units.get(other)
        if state is not None and must_stop(world, state):
            return other
    return None


def _wait(world: World, state: UnitState, blocker: str, because: str) -> None:
    for other in filter(None, (blocker, state.taken_along)):
        world.waiters.setdefault(other, {})[state.name] = None
    if (state.waits_for, state.waits_because) != (blocker, because):
        state.waits_for, state.waits_because = blocker, because
    # A blocker nobody has looked at yet must be, or its waiters wait for ever.
    if blocker not in world.units and wanted(world, blocker) is not None:
        world.look_at((blocker,))


def _forget_wait(world: World, state: UnitState) -> None:
    state.waits_for = state.waits_because = ""
    _release_waiters(world, state.name)


def _release_waiters(world: World, name: str) -> None:
    """`name` rests where it is: who waits for it to move must look again."""
    world.look_at(world.waiters.pop(name, ()))
