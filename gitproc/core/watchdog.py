"""The watchdog of a service: silence for longer than WatchdogSec= counts as hanging (systemd.service(5)).

A heartbeat moves an instant and nothing else: no record, no alarm. The alarm that is set rings at the old
instant, finds that it has moved, and is set anew, so a service costs one look an interval however often it
says that it lives. A manager that comes back gives everybody a whole interval: better late than wrong.
"""

from __future__ import annotations

import math

from gitproc.core.dialogue import Dialogue
from gitproc.core.states import RELOADING, SubState
from gitproc.core.unit_state import UnitState
from gitproc.core.world import World
from gitproc.units import directives as d

WATCHED = RELOADING | {SubState.START_POST, SubState.RUNNING}


def dialogue(state: UnitState) -> Dialogue:
    """The unit's dialogue, begun if it has none."""
    if state.dialogue is None:
        state.dialogue = Dialogue()
    return state.dialogue


def interval(state: UnitState) -> float:
    """Seconds of silence that are allowed; infinite where nobody watches."""
    said = state.dialogue.watchdog if state.dialogue is not None else None
    seconds = state.definition[d.WATCHDOG_SEC] if said is None else said
    return seconds or math.inf


def follow(world: World, state: UnitState) -> None:
    """The unit has entered a state: watch it from here on, go on watching it, or cease."""
    if state.sub not in WATCHED:
        if state.dialogue is not None:
            state.dialogue.watchdog_at = None
    elif state.dialogue is None or state.dialogue.watchdog_at is None:
        begin(world, state)


def begin(world: World, state: UnitState) -> None:
    """A whole interval from now."""
    span = interval(state)
    if span != math.inf:
        dialogue(state).watchdog_at = world.now + span
        world.alarm(world.now + span, state.name)
    elif state.dialogue is not None:
        state.dialogue.watchdog_at = None


def ping(world: World, state: UnitState) -> None:
    """WATCHDOG=1."""
    if state.dialogue is not None and state.dialogue.watchdog_at is not None:
        state.dialogue.watchdog_at = world.now + interval(state)


def change(world: World, state: UnitState, seconds: float) -> None:
    """WATCHDOG_USEC=: another interval for this instance; 0 and infinity end the watch."""
    dialogue(state).watchdog = seconds if seconds != math.inf else 0.0
    world.dirty[state.name] = None
    if state.sub in WATCHED:
        begin(world, state)


def extend(world: World, state: UnitState, seconds: float) -> None:
    """EXTEND_TIMEOUT_USEC=: silence is allowed at least so long."""
    said = state.dialogue
    if said is not None and said.watchdog_at is not None:
        said.watchdog_at = max(said.watchdog_at, world.now + seconds)


def barked(world: World, state: UnitState) -> bool:
    """At an alarm: whether the service has been silent for too long."""
    at = state.dialogue.watchdog_at if state.dialogue is not None else None
    if at is None:
        return False
    if at > world.now:
        world.alarm(at, state.name)
        return False
    return True
