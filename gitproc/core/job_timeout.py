"""How long a start may be waited for: JobTimeoutSec= and JobRunningTimeoutSec= (systemd.unit(5)).

A start counts from when the rules find that a unit is to run and cannot yet. While it waits, for what comes first
or for what it requires, JobTimeoutSec= limits it: then the unit has failed (systemd, whose job is gone then, leaves
it dead; the rules would go on waiting), and who requires it is not started. Once it has begun it has time limits of
its own. JobRunningTimeoutSec=, or JobTimeoutSec= where that is not set, says when nobody waits for it any longer:
requests are answered and OnFailure= is started, and the start goes on.
"""

from __future__ import annotations

import math

from gitproc.core import lifecycle, relations
from gitproc.core.start_job import StartJob
from gitproc.core.states import Result
from gitproc.core.unit_state import UnitState
from gitproc.core.world import World
from gitproc.units.directives_job import JOB_RUNNING_TIMEOUT_SEC, JOB_TIMEOUT_SEC
from gitproc.units.unit import Unit


def waits(world: World, state: UnitState, unit: Unit) -> bool:
    """The start of `unit` waits. True: it has waited too long, and failed."""
    limit = unit[JOB_TIMEOUT_SEC]
    if limit == math.inf:
        return False
    if state.job is None or state.job.until is not None:
        state.job = StartJob(world.now)
        world.dirty[state.name] = None
    if world.now < state.job.since + limit:
        world.alarm(state.job.since + limit, state.name)
        return False
    what = f"for {state.waits_for}, which {state.waits_because}"
    state.job = None
    message = f"its start has waited for {limit:g} s (JobTimeoutSec=) {what}"
    lifecycle.give_up(world, state, unit, Result.TIMEOUT, message)
    return True


def begins(world: World, state: UnitState, unit: Unit) -> None:
    """The start waits no more."""
    waited, state.job = state.job, None
    whole = unit[JOB_TIMEOUT_SEC]
    running = unit[JOB_RUNNING_TIMEOUT_SEC] if unit.has(JOB_RUNNING_TIMEOUT_SEC) else whole
    since = world.now if waited is None or waited.until is not None else waited.since
    until = min(since + whole, world.now + running)
    if until != math.inf:
        state.job = StartJob(since, until)
        world.alarm(until, state.name)


def overdue(world: World, state: UnitState) -> str:
    """What to say to those who wait for a start that takes too long; empty if it does not."""
    if state.job is None or state.job.until is None or state.job.until > world.now:
        return ""
    since, state.job = state.job.since, None
    world.dirty[state.name] = None
    if not state.starting:
        return ""
    message = (
        f"its start takes longer than {world.now - since:.3g} s (JobRunningTimeoutSec=); it goes on"
    )
    world.tell("unit.job-timeout", state.name, message)
    relations.note_end(world, state, "on_failure")
    return message
