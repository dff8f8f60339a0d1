"""How long a start, a stop or a reload may be waited for: JobTimeoutSec= and JobRunningTimeoutSec= (systemd.unit(5)).

A start counts from when the rules find that a unit is to run and cannot yet. While it waits, for what comes first
or for what it requires, JobTimeoutSec= limits it: then the unit has failed (systemd, whose job is gone then, leaves
it dead; the rules would go on waiting), and who requires it is not started. A stop counts from when the unit is to
stop, though others have to stop first; a restart is a stop and a start with one beginning; a reload counts from
its beginning.

What has begun has time limits of its own. JobRunningTimeoutSec=, or JobTimeoutSec= where that is not set, says when
nobody waits for it any longer: requests are answered and OnFailure= is started, and the thing itself goes on. So it
does for a stop that has to wait, which cannot be given up: the commit, or an operator, wants the unit down.
"""

from __future__ import annotations

import math

from gitproc.core import failing, relations
from gitproc.core.job import Job, JobKind
from gitproc.core.states import RELOADING, Result
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
        state.job = Job(_beginning(world, state))
        world.dirty[state.name] = None
    if world.now < state.job.since + limit:
        world.alarm(state.job.since + limit, state.name)
        return False
    what = f"for {state.waits_for}, which {state.waits_because}"
    state.job = None
    message = f"its start has waited for {limit:g} s (JobTimeoutSec=) {what}"
    failing.give_up(world, state, unit, Result.TIMEOUT, message)
    return True


def begins(world: World, state: UnitState, unit: Unit) -> None:
    """The start waits no more."""
    since, state.job = _beginning(world, state), None
    _limit(world, state, unit, JobKind.START, since)


def stops(world: World, state: UnitState, *, begun: bool) -> None:
    """The unit is to stop; `begun`: nothing has to stop first any more."""
    job = state.job
    if job is None or job.kind is not JobKind.STOP:
        state.job = job = None
    elif job.until is None:
        return
    if job is None or begun:
        since = world.now if job is None else job.since
        _limit(world, state, state.definition, JobKind.STOP, since, begun=begun)


def reloads(world: World, state: UnitState) -> None:
    """The unit begins to reload, because it was told to."""
    _limit(world, state, state.definition, JobKind.RELOAD, world.now)


def goes_on(world: World, state: UnitState) -> None:
    """The unit is to stay up: what was ordered before, and is done or taken back, is not limited any more."""
    job = state.job
    if job is None or job.kind is JobKind.START:
        return
    if job.kind is JobKind.STOP or state.sub not in RELOADING:
        state.job = None
        world.dirty[state.name] = None


def overdue(world: World, state: UnitState) -> tuple[JobKind, str] | None:
    """What to say to those who wait for what takes too long; None if nothing does."""
    job = state.job
    if job is None or job.until is None or job.until > world.now:
        return None
    gone_by = {
        JobKind.START: not state.starting,
        JobKind.STOP: state.down,
        JobKind.RELOAD: state.sub not in RELOADING,
    }[job.kind]
    remembered = job.kind is JobKind.STOP and not gone_by
    state.job = Job(job.since, None, job.kind) if remembered else None
    world.dirty[state.name] = None
    if gone_by:
        return None
    names = "JobRunningTimeoutSec=" if state.definition.has(JOB_RUNNING_TIMEOUT_SEC) else ""
    message = (
        f"its {job.kind} takes longer than {world.now - job.since:.3g} s"
        f" ({names or 'JobTimeoutSec='}); it goes on"
    )
    world.tell("unit.job-timeout", state.name, message)
    relations.note_end(world, state, "on_failure")
    return job.kind, message


def _beginning(world: World, state: UnitState) -> float:
    """Since when the start is waited for: where it is the second half of a restart, since that was ordered."""
    job = state.job
    if job is None:
        return world.now
    if job.kind is JobKind.STOP:
        return world.now if job.until is None else job.since
    return job.since if job.kind is JobKind.START and job.until is None else world.now


def _limit(
    world: World, state: UnitState, unit: Unit, kind: JobKind, since: float, *, begun: bool = True
) -> None:
    whole = unit[JOB_TIMEOUT_SEC]
    running = unit.get(JOB_RUNNING_TIMEOUT_SEC, whole)
    until = min(since + whole, world.now + running if begun else math.inf)
    if until != math.inf:
        state.job = Job(since, until, kind)
        world.dirty[state.name] = None
        world.alarm(until, state.name)
    elif state.job is not None and state.job.kind is kind:
        state.job = None
