"""Health decisions: when to probe, what a result means, when a unit counts as unhealthy.

A new instance warms up for HealthCheckStartPeriod=, and at least one interval: until the first success it is
probed every second, and failures do not count. After that it is probed every HealthCheckInterval=, and
HealthCheckRetries= failures in a row restart it, whatever Restart= says.
"""

from __future__ import annotations

from gitproc.core.actions import Probe, Signal
from gitproc.core.restart import SIGKILL
from gitproc.core.states import SubState
from gitproc.core.unit_state import Health, UnitState
from gitproc.core.world import World
from gitproc.units import directives as d
from gitproc.units.unit import Unit
from gitproc.units.values import ExecCommand

WARM_UP_INTERVAL = 1.0  # seconds between probes until the first success


def has_check(unit: Unit) -> bool:
    """Whether the unit asks for health checks."""
    return bool(
        unit[d.HEALTH_CHECK_URL]
        or unit[d.HEALTH_CHECK_TCP]
        or unit[d.HEALTH_CHECK_EXEC] is not None
    )


def commence(world: World, state: UnitState) -> None:
    """The unit has come up: begin to probe it, or go on after a reload."""
    unit = state.definition
    if has_check(unit) and state.health.next_probe is None and not state.health.in_flight:
        _schedule(world, state, min(WARM_UP_INTERVAL, unit[d.HEALTH_CHECK_INTERVAL]))


def rearm(world: World, state: UnitState) -> None:
    """The health checks of a running unit have been defined anew."""
    if has_check(state.definition):
        commence(world, state)
    else:
        cease(world, state)


def cease(world: World, state: UnitState) -> None:
    """The unit goes down: no more probes; what is under way means nothing."""
    if state.probe is not None:
        world.do(Signal(state.probe.process, SIGKILL))
    state.health = Health(passed=state.health.passed, detail=state.health.detail)


def due(world: World, state: UnitState) -> ExecCommand | None:
    """Probe if it is time to; the command to run for it, where a command is to be run.

    A probe command that has not ended by HealthCheckTimeout= is killed, and has failed.
    """
    health = state.health
    if health.next_probe is None or health.next_probe > world.now:
        return None
    unit = state.definition
    if health.in_flight:
        if state.probe is not None:
            world.do(Signal(state.probe.process, SIGKILL))
        health.next_probe = None  # its exit tells the rest
        return None
    if state.sub is not SubState.RUNNING:
        _schedule(world, state, unit[d.HEALTH_CHECK_INTERVAL])
        return None
    health.in_flight = True
    command = unit[d.HEALTH_CHECK_EXEC]
    if command is None:
        health.next_probe = None
        world.do(Probe(unit, state.invocation))
    else:
        _schedule(world, state, unit[d.HEALTH_CHECK_TIMEOUT])
    return command


def succeeded(world: World, state: UnitState) -> None:
    """The probe passed."""
    health = state.health
    if not health.in_flight:
        return
    if health.failures or not health.passed:
        world.tell("unit.healthy", state.name, "health check passed")
    health.in_flight = False
    health.passed = True
    health.failures = 0
    health.detail = ""
    world.touch(state.name)
    _schedule(world, state, state.definition[d.HEALTH_CHECK_INTERVAL])


def failed(world: World, state: UnitState, detail: str) -> bool:
    """The probe failed. True once there were enough of that in a row: the instance is unhealthy."""
    health = state.health
    if not health.in_flight:
        return False
    unit = state.definition
    interval = unit[d.HEALTH_CHECK_INTERVAL]
    health.in_flight = False
    health.detail = detail
    world.touch(state.name)
    warm_up = max(interval, unit[d.HEALTH_CHECK_START_PERIOD])
    since = state.active_since if state.active_since is not None else world.now
    if not health.passed and world.now < since + warm_up:
        _schedule(world, state, min(WARM_UP_INTERVAL, interval))
        return False
    health.failures += 1
    retries = unit[d.HEALTH_CHECK_RETRIES]
    count = f"{health.failures}/{retries}"
    world.tell("unit.unhealthy", state.name, f"health check failed ({count}): {detail}")
    if health.failures >= retries:
        return True
    _schedule(world, state, interval)
    return False


def _schedule(world: World, state: UnitState, seconds: float) -> None:
    state.health.next_probe = world.now + seconds
    world.alarm(state.health.next_probe, state.name)
