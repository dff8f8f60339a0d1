"""Timers: when each elapses next, and what happens then (systemd.timer(5)).

A timer is *waiting* for its deadline, *running* while the unit that it has started is not down again, and
*elapsed* when nothing more is to come. `settle` is called whenever the timer or its unit has changed and
whenever its alarm rings; it computes the next elapse anew only if the circumstances are others, so that a
random delay stays what it is.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from hashlib import sha256

from gitproc.core import failing, lifecycle, records, standing, triggers
from gitproc.core.clock import TimerState
from gitproc.core.states import Result, SubState
from gitproc.core.triggers import Outcome
from gitproc.core.unit_state import UnitState
from gitproc.core.world import World
from gitproc.immutable import NamedTuple
from gitproc.units import directives_timer as t
from gitproc.units.calendar import Calendar
from gitproc.units.elapse import next_elapse
from gitproc.units.unit import Unit

STAMP = "stamp/"
"""Key of the records of when persistent timers elapsed last; they outlive boots."""
_SHORTEST = 0.01  # seconds between two elapses
_IN_VAIN = 1.0  # seconds until the next one after a start that was not possible
_WALL_JITTER = 0.5  # seconds by which two readings of the same clocks may differ
_MICRO = 1_000_000
_AT_ONCE = (60.0, 10.0, 1.0, 0.25)  # seconds: wake up with others at the same part of these


def settle(world: World, state: UnitState) -> None:
    """See where a timer stands; elapse if it is time to."""
    name = triggers.started_by(world, state.name)
    if not state.up or name is None or standing.must_stop(world, state):
        return
    timer = state.timer
    if timer is None or timer.invocation != state.invocation:
        timer = state.timer = _begun(world, state)
    target = world.units.get(name) or UnitState(name)
    if state.sub is SubState.RUNNING:
        if target.triggered or not target.resting:
            return
        lifecycle.enter(world, state, SubState.WAITING)
    _arm(world, state, timer, target)
    if state.sub is SubState.WAITING and timer.deadline is not None:
        if timer.deadline <= world.now:
            _elapse(world, state, timer, name)
        elif timer.armed != timer.deadline:
            timer.armed = timer.deadline
            world.alarm(timer.deadline, state.name)


def clock_set(world: World, wall: float) -> None:
    """The wall clock has been set: what it tells is computed anew, and OnClockChange= elapses."""
    world.clock.wall = wall
    for state, timer in _waiting(world):
        timer.since = min(timer.since, world.now + wall)
        timer.last = min(timer.last, world.now + wall)  # or it would wait for times that have been
        _elapse_or_forget(world, state, timer, elapse=state.definition[t.ON_CLOCK_CHANGE])


def zone_set(world: World, zone: str) -> None:
    """The machine has another time zone: what depends on it is computed anew."""
    world.clock.zone = zone
    for state, timer in _waiting(world):
        _elapse_or_forget(world, state, timer, elapse=state.definition[t.ON_TIMEZONE_CHANGE])


def next_at(world: World, timer: TimerState) -> float | None:
    """When it elapses next: seconds since 1970."""
    monotonic = timer.monotonic + world.clock.wall if timer.monotonic is not None else None
    return min((x for x in (timer.realtime, monotonic) if x is not None), default=None)


def _waiting(world: World) -> list[tuple[UnitState, TimerState]]:
    if not world.knowing:
        return []
    some = (s for s in world.units.values() if s.timer is not None and s.up)
    return [(s, s.timer) for s in some if s.timer is not None and s.sub is not SubState.RUNNING]


def _elapse_or_forget(world: World, state: UnitState, timer: TimerState, *, elapse: bool) -> None:
    timer.basis = []
    world.touch(state.name)
    name = triggers.started_by(world, state.name)
    if elapse and name is not None and not standing.must_stop(world, state):
        _elapse(world, state, timer, name)


def _begun(world: World, state: UnitState) -> TimerState:
    """A new instance: it knows of earlier elapses only if it is to catch up on what it has missed."""
    unit = state.definition
    timer = TimerState(state.invocation, since=world.now + world.clock.wall)
    if unit[t.PERSISTENT] and unit[t.ON_CALENDAR]:
        stamp = world.stamps.get(state.name)
        if stamp is None:
            _stamp(world, state.name, world.now + world.clock.wall)
        elif stamp < world.now + world.clock.wall + _WALL_JITTER:
            timer.last = stamp
    return timer


def _stamp(world: World, name: str, at: float) -> None:
    world.stamps[name] = at
    records.order(world, STAMP + name, at)


def _elapse(world: World, state: UnitState, timer: TimerState, name: str) -> None:
    timer.last_at = world.now
    timer.last = world.now + world.clock.wall
    if timer.basis and timer.realtime is not None:
        if timer.realtime - timer.basis[-1] <= world.now:  # or with the next manager it came twice
            timer.last = max(timer.last, timer.realtime)
    outcome = triggers.trigger(
        world,
        state.name,
        name,
        f"TRIGGER_TIMER_REALTIME_USEC={round(timer.last * _MICRO)}",
        f"TRIGGER_TIMER_MONOTONIC_USEC={round(timer.last_at * _MICRO)}",
    )
    served = outcome in (Outcome.STARTED, Outcome.RUNNING)
    timer.floor = world.now + (_SHORTEST if served else _IN_VAIN)
    timer.realtime = timer.monotonic = timer.deadline = None
    timer.basis = []
    if state.definition[t.PERSISTENT] and state.definition[t.ON_CALENDAR]:
        _stamp(world, state.name, timer.last)
    lifecycle.enter(world, state, SubState.RUNNING if served else SubState.WAITING)


# -- when ------------------------------------------------------------------------------------------------


def _arm(world: World, state: UnitState, timer: TimerState, target: UnitState) -> None:
    """Compute the next elapse, if what it depends on has changed."""
    begun, ended = _turns(target)
    clock = world.clock
    basis = [state.definition.fingerprint, timer.last, timer.last_at, begun, ended, clock.zone]
    if timer.basis[:-1] == basis and abs(timer.basis[-1] - clock.wall) < _WALL_JITTER:
        return
    timer.basis = [*basis, clock.wall]
    world.dirty[state.name] = None
    unit = state.definition
    unknown = [c.zone for c in unit[t.ON_CALENDAR] if clock.zones(c.zone) is None]
    if unknown:
        message = f"this machine does not know the time zone {unknown[0] or 'it is in'}"
        failing.give_up(world, state, unit, Result.RESOURCES, message)
        return
    instants = (each.at for each in monotonic(world, state, timer, target) if each.ahead)
    timer.monotonic = _later(world, unit, min(instants, default=None))
    times = (at for _, at in calendar(world, unit, timer, target) if at is not None)
    timer.realtime = _later(world, unit, min(times, default=None))
    timer.deadline = _deadline(world, unit, timer)
    if timer.deadline is not None or unit[t.ON_CLOCK_CHANGE] or unit[t.ON_TIMEZONE_CHANGE]:
        if state.sub is not SubState.WAITING:
            lifecycle.enter(world, state, SubState.WAITING)
        return
    again = unit[t.ON_UNIT_ACTIVE_SEC] or unit[t.ON_UNIT_INACTIVE_SEC]
    if unit[t.REMAIN_AFTER_ELAPSE] or again:
        if state.sub is not SubState.ELAPSED:
            lifecycle.enter(world, state, SubState.ELAPSED)
    else:
        state.done = unit.fingerprint
        lifecycle.halt(world, state)


def _turns(target: UnitState) -> tuple[float, float]:
    """The instants at which a unit has begun, and has come to rest; 0 if it has not."""
    ended = target.entered if target.resting else 0.0
    return target.starts[-1] if target.starts else 0.0, ended


class Elapse(NamedTuple):
    """The instant at which one setting of a timer elapses (0: not known yet); `ahead`: and it is yet to come."""

    name: str
    span: float
    at: float
    ahead: bool


def monotonic(
    world: World, state: UnitState, timer: TimerState, target: UnitState
) -> Iterator[Elapse]:
    """Each setting but OnCalendar=, without random delays."""
    unit = state.definition
    begun, ended = _turns(target)
    for row, base in (
        (t.ON_ACTIVE_SEC, state.active_since or world.now),
        (t.ON_BOOT_SEC, world.clock.booted),
        (t.ON_STARTUP_SEC, world.clock.started),
    ):
        for span in unit[row]:  # what has been has been once and for all
            ahead = not timer.last_at or base + span > max(timer.last_at, world.now)
            yield Elapse(row.name, span, base + span, ahead and span != math.inf)
    for row, base in ((t.ON_UNIT_ACTIVE_SEC, begun), (t.ON_UNIT_INACTIVE_SEC, ended)):
        since = max(base, timer.last_at)
        for span in unit[row]:
            known = since > 0
            yield Elapse(row.name, span, since + span if known else 0.0, known and span != math.inf)


def calendar(
    world: World, unit: Unit, timer: TimerState, target: UnitState
) -> Iterator[tuple[Calendar, float | None]]:
    """Each OnCalendar= and when it elapses next, in seconds since 1970, without random delays.

    What has been missed is due since we started.
    """
    clock, (_, ended) = world.clock, _turns(target)
    base = timer.last or timer.since
    if unit[t.DEFER_REACTIVATION] and ended and timer.last_at:
        base = max(base, ended + clock.wall)
    offset = _own(world, unit, unit[t.RANDOMIZED_OFFSET_SEC], "offset")
    for spec in unit[t.ON_CALENDAR]:
        zone = clock.zones(spec.zone)
        at = next_elapse(spec, round((base - offset) * _MICRO), zone) if zone else None
        due = None if at is None else max(at / _MICRO + offset, clock.started + clock.wall)
        yield spec, due


def _later(world: World, unit: Unit, at: float | None) -> float | None:
    """With the random delay that the timer asks for."""
    spread = unit[t.RANDOMIZED_DELAY_SEC]
    if at is None or not spread:
        return at
    if unit[t.FIXED_RANDOM_DELAY]:
        return at + _own(world, unit, spread, "delay")
    return at + int(world.new_invocation()[:13], 16) / 16**13 * min(spread, 1e9)


def _own(world: World, unit: Unit, spread: float, purpose: str) -> float:
    """A part of `spread` that is the same each time, and another for each timer and each machine."""
    if not spread:
        return 0.0
    digest = sha256(f"{purpose}\n{unit.name}\n{world.clock.machine}".encode()).hexdigest()
    return int(digest[:13], 16) / 16**13 * min(spread, 1e9)


def _deadline(world: World, unit: Unit, timer: TimerState) -> float | None:
    """When to act: within AccuracySec= of the earlier elapse, and if possible together with others."""
    wall = world.clock.wall
    realtime = timer.realtime - wall if timer.realtime is not None else None
    at = min((x for x in (timer.monotonic, realtime) if x is not None), default=None)
    if at is None:
        return None
    at = max(at, timer.floor)
    own = int(sha256(world.clock.machine.encode()).hexdigest()[:8], 16) % 60_000 / 1000
    latest = at + unit[t.ACCURACY_SEC]
    if latest == math.inf:
        latest = at + 60.0
    for period in _AT_ONCE:
        aligned = math.floor((latest - own) / period) * period + own
        if at <= aligned:
            return aligned
    return at
