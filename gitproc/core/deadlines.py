"""How long a service may take in each state, and what it means when it takes longer.

One deadline a state, set on entering it or with each command of it; a service may push it further
(EXTEND_TIMEOUT_USEC=), never bring it nearer. systemd.service(5), "TimeoutStartSec=" and what follows it.
"""

from __future__ import annotations

import math

from gitproc.core.restart import cured_at
from gitproc.core.states import STARTING, SubState
from gitproc.core.transitions import Cause
from gitproc.core.unit_state import UnitState
from gitproc.core.world import World
from gitproc.units import directives as d
from gitproc.units.service_types import ServiceType, TimeoutFailureMode
from gitproc.units.unit import Unit

_BY_MODE = {
    TimeoutFailureMode.TERMINATE: Cause.TIMEOUT,
    TimeoutFailureMode.ABORT: Cause.HUNG,
    TimeoutFailureMode.KILL: Cause.KILL,
}
_FRACTION = 1 << 32


def start_timeout(world: World, unit: Unit) -> float:
    """Seconds; a oneshot has no start timeout unless it names one."""
    if unit.has(d.TIMEOUT_START_SEC):
        return unit[d.TIMEOUT_START_SEC] or math.inf
    return math.inf if unit[d.TYPE] is ServiceType.ONESHOT else world.settings.timeout_start


def stop_timeout(world: World, unit: Unit) -> float:
    """Seconds."""
    if unit.has(d.TIMEOUT_STOP_SEC):
        return unit[d.TIMEOUT_STOP_SEC] or math.inf
    return world.settings.timeout_stop


def signal_timeout(world: World, state: UnitState) -> float:
    """Seconds that a waiting state waits for processes to end."""
    unit = state.definition
    aborted = state.sub in (SubState.STOP_WATCHDOG, SubState.FINAL_WATCHDOG)
    if aborted and unit.has(d.TIMEOUT_ABORT_SEC):
        return unit[d.TIMEOUT_ABORT_SEC]
    return stop_timeout(world, unit)


def arm(world: World, state: UnitState, seconds: float) -> None:
    """The state may last so long from now."""
    if seconds != math.inf:
        state.deadline = world.now + seconds
        world.alarm(state.deadline, state.name)


def arm_runtime(world: World, state: UnitState) -> None:
    """A running service may be active for RuntimeMaxSec=, and the extra time that its instance drew."""
    unit = state.definition
    most = unit[d.RUNTIME_MAX_SEC]
    state.deadline = None
    if most == math.inf or unit[d.TYPE] is ServiceType.ONESHOT or state.active_since is None:
        return
    # Another time for each start and the same after a crash: the invocation id is as good as dice.
    drawn = int(state.invocation[:8], 16) / _FRACTION if state.invocation else 0.0
    extra = unit[d.RUNTIME_RANDOMIZED_EXTRA_SEC]
    state.deadline = state.active_since + most + (drawn * extra if extra != math.inf else 0.0)
    world.alarm(state.deadline, state.name)


def remind(world: World, state: UnitState) -> None:
    """Set every alarm of the unit anew: it has another name, or the manager that had set them is gone."""
    said, job = state.dialogue, state.job
    for at in (
        state.deadline,
        state.find_main_at,
        state.restart_at,
        state.health.next_probe,
        job.until if job is not None else None,
        said.watchdog_at if said is not None else None,
        cured_at(world, state),
    ):
        world.alarm(at, state.name)


def extend(world: World, state: UnitState, seconds: float) -> None:
    """EXTEND_TIMEOUT_USEC=: the present deadline is at least so far away. One that has passed, or that is
    not there, is not brought back."""
    until = world.now + seconds
    if state.deadline is not None and state.deadline < until:
        state.deadline = until if until != math.inf else None
        world.alarm(until, state.name)
        world.dirty[state.name] = None


def cause_of(state: UnitState) -> Cause:
    """What a passed deadline is to the table of transitions: TimeoutStartFailureMode= and its like."""
    unit, sub = state.definition, state.sub
    if sub in STARTING:
        return _BY_MODE[unit[d.TIMEOUT_START_FAILURE_MODE]]
    if sub in (
        SubState.STOP,
        SubState.STOP_SIGTERM,
        SubState.STOP_POST,
        SubState.FINAL_SIGTERM,
    ):
        return _BY_MODE[unit[d.TIMEOUT_STOP_FAILURE_MODE]]
    return Cause.TIMEOUT
