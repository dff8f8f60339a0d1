"""The heart: `step(world, event, now) -> actions`.

It alone changes the World, and nothing else in the program decides. An event is taken in by the module whose
matter it is; then the rules run to a fixed point over the units it touched; then whoever waits for an
outcome (requests, a deploy) is looked after; what became durable is recorded last. The same sequence of
events at the same instants always gives the same actions.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import assert_never

from gitproc.core import (
    adoption,
    aftermath,
    answers,
    conditions,
    deploy,
    exits,
    failing,
    foreign,
    idling,
    job_timeout,
    lifecycle,
    operator,
    overlap,
    paths,
    records,
    restart,
    schedule,
    sockets,
    swapping,
    timers,
    triggers,
    verdicts,
    watchdog,
)
from gitproc.core.actions import Acknowledge, Action, Adopt, Exit, FindMain, UnwatchPaths
from gitproc.core.events import (
    Adopted,
    AdoptionDone,
    ApplyAsked,
    BranchUnborn,
    BusNameSeen,
    CommitLoaded,
    ConditionsChecked,
    Event,
    Executed,
    Exited,
    HostUnitsSeen,
    InstanceEvent,
    LimitsFailed,
    MainFound,
    Notified,
    OperatorAsked,
    OutcomeTold,
    OutOfMemory,
    ProbeFailed,
    ProbeSucceeded,
    Process,
    RequestDropped,
    SetupFailed,
    ShutdownAsked,
    SourceFailed,
    Spawned,
    SpawnFailed,
    SyncAsked,
    Tick,
    TreeEmptied,
)
from gitproc.core.notify import notified
from gitproc.core.occasions import ClockSet, PathsSeen, ZoneSet
from gitproc.core.socket_events import (
    ConnectionCame,
    HoldingsFound,
    SocketFailed,
    SocketOpened,
    SocketReady,
)
from gitproc.core.states import Result
from gitproc.core.transitions import Cause
from gitproc.core.unit_state import Running, UnitState
from gitproc.core.world import World
from gitproc.units import directives as d
from gitproc.units.service_types import OOMPolicy

_LATE = 0.25  # seconds; a loop is seldom that late by itself
_GRACE = 2.0  # seconds in which what has waited in sockets is taken in


def step(world: World, event: Event, now: float) -> list[Action]:
    """Take in one fact; return what is to be done about it, in order. `now`: seconds, CLOCK_BOOTTIME."""
    world.now = now
    world.actions = []
    _take_in(world, event)
    operator.take_postponed(world)
    due = _alarms(world)
    seen = schedule.converge(world)
    while _settle(world, seen):
        seen.update(schedule.converge(world))
    if world.idlers:
        idling.look(world)
    foreign.ask_if_due(world)
    judging = world.knowing and not world.stopping
    for name in dict.fromkeys((*world.dirty, *due, *seen)):
        if world.deploy is not None and judging:
            deploy.look(world, name)
        if world.requests:
            answers.look(world, name)
    if judging:
        deploy.conclude(world)
    answers.reply(world)
    records.write(world)
    world.dirty = {}
    if world.stopping and not world.exited and all(s.down for s in world.units.values()):
        world.exited = True
        world.do(Exit())
    return world.actions


_SETTLE: dict[str, Callable[[World, UnitState], None]] = {
    "timer": timers.settle,
    "path": paths.settle,
    "socket": sockets.settle,
}
"""Kind of a unit that starts others -> what looks at one of them when all else is at rest."""


def _settle(world: World, seen: dict[str, None]) -> bool:
    """See whether units that start others are to do so; True if something has come of it."""
    if world.knowing:
        for name in seen:
            state = world.units.get(name)
            if state is None:
                if name.endswith(".path"):
                    world.do(UnwatchPaths(name))  # it is forgotten
                continue
            if state.activation is not None:
                triggers.withdraw_if_vain(world, state)
            settle = _SETTLE.get(state.unit.kind) if state.unit is not None else None
            if settle is not None:
                settle(world, state)
        aftermath.act(world)
        if world.updating:
            swapping.act(world)
    return bool(world.touched or world.queue)


def _take_in(world: World, event: Event) -> None:
    match event:
        case Spawned() | Executed() | SetupFailed() | SpawnFailed():
            state, slot = _find(world, event.process)
            if state is not None and slot is not None:
                _of_process(world, state, slot, event)
        case Exited():
            _exited(world, event)
        case Adopted():
            adoption.adopted(world, event)
        case AdoptionDone():
            adoption.adoption_done(world, event)
        case CommitLoaded():
            deploy.commit_loaded(world, event)
        case SourceFailed(reason):
            if world.source_problem != reason:
                world.tell("source.failed", "", reason)
            world.source_problem = reason
        case BranchUnborn():
            world.source_problem = ""
        case HostUnitsSeen():
            foreign.seen(world, event)
        case ConnectionCame():
            sockets.connected(world, _instance(world, event.unit, event.invocation), event)
        case HoldingsFound():
            sockets.holdings_found(world, event)
        case OperatorAsked():
            operator.asked(world, event)
        case RequestDropped(request):
            world.requests.pop(request, None)
        case SyncAsked():
            operator.sync_asked(world, event)
        case ApplyAsked():
            verdicts.apply_asked(world, event)
        case OutcomeTold():
            verdicts.told(world, event)
        case ShutdownAsked(reason):
            if not world.stopping:
                world.tell("daemon.stopping", "", reason)
            world.stopping = True
            schedule.enqueue_all(world)
        case ClockSet(wall):
            timers.clock_set(world, wall)
        case ZoneSet(zone):
            timers.zone_set(world, zone)
        case Tick():
            pass
        case _:
            state = _instance(world, event.unit, event.invocation)
            if state is not None:
                _of_instance(world, state, event)


def _of_process(
    world: World,
    state: UnitState,
    slot: Running,
    event: Spawned | Executed | SetupFailed | SpawnFailed,
) -> None:
    match event:
        case Spawned(_, pid, start_time):
            slot.pid, slot.start_time = pid, start_time
            world.touch(state.name)
            exits.process_started(world, state, slot)
        case Executed():
            slot.executed = True
            if exits.waits_for_exec(world, state):
                world.touch(state.name)
                exits.process_executed(world, state, slot)
        case SetupFailed(_, failed_step, _, message):
            slot.problem = f"{failed_step}: {message}"
        case SpawnFailed(_, failed_step, message):
            exits.process_refused(world, state, slot, f"{failed_step}: {message}")


def _of_instance(world: World, state: UnitState, event: InstanceEvent) -> None:
    match event:
        case TreeEmptied():
            exits.tree_emptied(world, state)
        case OutOfMemory():
            _out_of_memory(world, state)
        case Notified():
            notified(world, state, event)
        case MainFound(_, _, pid, start_time, message):
            if exits.main_found(world, state, pid, start_time, message):
                _adopt_main(world, state)
        case BusNameSeen(_, _, owned, problem):
            exits.bus_name_seen(world, state, owned=owned, problem=problem)
        case ProbeSucceeded():
            exits.probed(world, state, None)
        case ProbeFailed(_, _, detail):
            exits.probed(world, state, detail)
        case LimitsFailed(_, _, message):
            world.tell("unit.limits-failed", state.name, message)
        case ConditionsChecked():
            conditions.checked(world, state, event)
        case PathsSeen():
            if world.knowing:
                paths.seen(world, state, event)
        case SocketOpened():
            sockets.opened(world, state, event)
        case SocketFailed(_, _, message):
            lifecycle.fail(world, state, Result.RESOURCES, message, Cause.FAILED)
        case SocketReady():
            sockets.ready(world, state)
        case _:
            assert_never(event)


def _instance(world: World, unit: str, invocation: str) -> UnitState | None:
    """The unit, if this very instance of it is the present one, and has not ended."""
    state = overlap.present(world, unit, invocation)
    return None if state is None or state.down else state


def _find(world: World, process: Process) -> tuple[UnitState | None, Running | None]:
    state = _instance(world, process.unit, process.invocation)
    return state, state.running(process) if state is not None else None


def _exited(world: World, event: Exited) -> None:
    state, slot = _find(world, event.process)
    if event.sequence:
        world.do(Acknowledge(event.sequence))
    if state is not None and slot is None and state.dialogue is not None:
        state.dialogue.forget(event.process.cookie())
        world.dirty[state.name] = None
    if state is None or slot is None:
        return
    if event.successor is not None and slot is state.main and (state.up or state.starting):
        exits.main_passed_on(world, state, *event.successor)
        _adopt_main(world, state)
        return
    exits.process_exited(
        world, state, slot, event.code, event.status, event.realtime, event.tree_empty
    )


def _out_of_memory(world: World, state: UnitState) -> None:
    state.oom = True
    world.tell("unit.oom-kill", state.name, "the kernel's OOM killer ended a process of this unit")
    world.touch(state.name)
    match state.definition[d.OOM_POLICY]:
        case OOMPolicy.STOP:
            lifecycle.fail(world, state, Result.OOM_KILL, "out of memory", Cause.ABORT)
        case OOMPolicy.KILL:
            lifecycle.fail(world, state, Result.OOM_KILL, "out of memory", Cause.KILL)
        case OOMPolicy.CONTINUE:
            pass


def _adopt_main(world: World, state: UnitState) -> None:
    main = state.main
    if main is not None:
        world.do(Adopt(main.process, main.pid, main.start_time))
        world.touch(state.name)


def _times_out(world: World, state: UnitState) -> None:
    if state.deadline is not None and state.deadline <= world.now:
        state.deadline = None
        failing.timed_out(world, state)
    if late := job_timeout.overdue(world, state):
        answers.tired_of(world, state, *late)
    if watchdog.barked(world, state):
        failing.hung(world, state, "no sign of life for longer than WatchdogSec=")


def _alarms(world: World) -> dict[str, None]:
    """Act on every deadline that has passed; names whose alarms rang.

    Where they ring late the manager was away, or the machine was: what was said in time, and who ended in time, is
    on its way, and comes first. No unit is spared twice for that: a manager that is late again is just slow.
    """
    due: dict[str, None] = {}
    if world.alarms and world.alarms[0][0] < world.now - _LATE:
        world.grace = world.now + _GRACE
    while world.alarms and world.alarms[0][0] <= world.now:
        due[heapq.heappop(world.alarms)[1]] = None
    for name in due:
        grace = world.spared.pop(name, world.grace)
        state = world.units.get(name)
        if state is None:
            continue
        if world.now < grace:
            world.spared[name] = grace
            world.alarm(grace, name)
        else:
            _times_out(world, state)
        if state.find_main_at is not None and state.find_main_at <= world.now:
            state.find_main_at = None
            world.do(FindMain(state.definition, state.invocation))
        if state.health.next_probe is not None:
            exits.probe_due(world, state)
        restart.forget_restarts(world, state)
        world.look_at((name,))
    return due


def next_deadline(world: World) -> float | None:
    """When the next step must happen at the latest, whatever happens: seconds, CLOCK_BOOTTIME."""
    return world.alarms[0][0] if world.alarms else None
