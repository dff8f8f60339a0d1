"""What an operator asks: verbs become holds, demands and wishes to restart; rules do the rest.

A verb changes what is wanted and never a process directly (`kill` apart), so that it goes through the same
gates as a commit. The answer is sent when the unit has come to rest: `start` waits until the unit is up.
"""

from __future__ import annotations

from gitproc.core import choice, overlap, relations, schedule, standing
from gitproc.core.actions import Reply, Signal, SignalTree
from gitproc.core.answers import STARTS, STOPS, answer, outcome
from gitproc.core.events import OperatorAsked, SyncAsked, Verb
from gitproc.core.reload import can_reload
from gitproc.core.states import FINE, Result, SubState
from gitproc.core.unit_state import Hold, UnitState
from gitproc.core.world import Request, World
from gitproc.units import directives as d
from gitproc.units.control import ROOT


def asked(world: World, event: OperatorAsked) -> None:
    """Take on a request; unit names are canonical and known to the commit or to the world.

    While it is not known yet what runs and what is wanted, a request waits.
    """
    if not world.knowing:
        world.postponed.append(event)
        return
    request = Request({}, event.who, set(event.units))
    world.requests[event.request] = request
    for name in event.units:
        world.tell("operator.asked", name, f"{event.who} asked: {event.verb} {name}", who=event.who)
        state = world.state(name)
        verb = request.verbs[name] = _comes_to(world, event.verb, state)
        # A start that is under way is what `start` asks for; every other verb is about what follows.
        underway = verb is Verb.START and state.starting
        request.invocations[name] = "" if underway else state.invocation
        refusal = _refusal(world, verb, state)
        if refusal:
            answer(request, state, "failed", refusal)
            continue
        match verb:
            case Verb.START:
                _start(world, request, state)
            case Verb.STOP:
                _stop(world, name, event.who, event.realtime)
            case Verb.RESTART | Verb.TRY_RESTART:
                _restart(world, request, state, only_if_up=verb is Verb.TRY_RESTART)
            case Verb.RELOAD:
                _reload(world, request, state)
            case Verb.KILL:
                _kill(world, request, state, event)
            case Verb.RESET_FAILED:
                _reset_failed(world, request, state)
            case Verb.RELOAD_OR_RESTART | Verb.TRY_RELOAD_OR_RESTART:
                pass  # has come to another
        world.touch(name)


def _comes_to(world: World, verb: Verb, state: UnitState) -> Verb:
    """What a verb means for a unit: to reload it where it can, or else to restart it (systemctl(1))."""
    if verb not in (Verb.RELOAD_OR_RESTART, Verb.TRY_RELOAD_OR_RESTART):
        return verb
    if state.up and _reloads(world, state):
        return Verb.RELOAD
    return Verb.RESTART if verb is Verb.RELOAD_OR_RESTART else Verb.TRY_RESTART


def _reloads(world: World, state: UnitState) -> bool:
    own = state.unit is not None and can_reload(state.unit)
    return own or any(world.graph.reloads.of(state.name))


def _refusal(world: World, verb: Verb, state: UnitState) -> str:
    """Why an operator must not do that to the unit, by the unit's own word; empty if nothing forbids it."""
    unit = world.wanted_unit(state.name) or state.unit
    if verb in STOPS and state.name == ROOT:
        return "it is always there: all units lie in it"
    if unit is None:
        return ""
    if verb in STARTS and unit[d.REFUSE_MANUAL_START]:
        return "it may only be started by what needs it (RefuseManualStart=yes)"
    if verb in STOPS and unit[d.REFUSE_MANUAL_STOP]:
        return "it may only be stopped by what it belongs to (RefuseManualStop=yes)"
    return ""


def take_postponed(world: World) -> None:
    """Take on what had to wait, as soon as it need not any more."""
    if world.postponed and world.knowing:
        events, world.postponed = world.postponed, []
        for event in events:
            asked(world, event)


def _start(world: World, request: Request, state: UnitState) -> bool:
    """Let a unit run, with everything that it pulls in, in place of what conflicts with that."""
    name, who = state.name, request.who
    chosen = choice.chosen(world, name)
    if chosen.obstacle:
        answer(request, state, "failed", chosen.obstacle)
        return False
    choice.tell(world, name, chosen)
    along = chosen.along
    _free(world, name, along, who)
    rivals = {other for each in along for other in world.graph.rivals(each)}
    for other in sorted(rivals):
        if standing.wanted(world, other) is not None:
            _stop(world, other, f"{who}, by starting {name}", 0.0)
    return True


def _free(world: World, name: str, along: dict[str, None], who: str) -> None:
    """Take away what keeps the chosen units down."""
    for current in along:
        state = world.state(current)
        if state.hold is not None:
            state.hold = None
            schedule.hold_changed(world, current)
        if state.down:
            overlap.try_again(world, current)
        if current == name:
            state.activation = None  # from here on it is the operator's
        state.taken_along = ""
        if not state.finished or current == name:
            state.done = ""
        if state.restart_at is not None:
            state.restart_at = world.now
        if state.stopping:
            state.restart_wanted = f"start asked by {who}"
        if current not in world.pulled:
            state.demanded = True
        world.touch(current)


def _stop(world: World, name: str, who: str, realtime: float) -> None:
    state = world.state(name)
    unit = world.wanted_unit(name)
    state.demanded = state.restarting = False
    state.done = ""
    if unit is not None:
        state.hold = Hold(who, realtime, unit.fingerprint)
    world.touch(name)
    schedule.hold_changed(world, name)


def _restart(world: World, request: Request, state: UnitState, *, only_if_up: bool) -> None:
    if only_if_up and (state.down or state.stopping):
        answer(request, state, "skipped", "not running")
    elif not _start(world, request, state):
        return
    elif state.stopping:
        state.restarting = True  # what stops it from here on does so for a restart
    elif not state.down:
        overlap.try_again(world, state.name)
        schedule.want_restart(world, state, f"restart asked by {request.who}")


def _reload(world: World, request: Request, state: UnitState) -> None:
    if not state.up or state.unit is None:
        answer(request, state, "failed", "not running")
    elif not _reloads(world, state):
        answer(request, state, "failed", "it has no ExecReload= and no Type=notify-reload")
    else:
        relations.want_reload(world, state, f"asked by {request.who}")


def _kill(world: World, request: Request, state: UnitState, event: OperatorAsked) -> None:
    whom = "" if event.whom == "all" else f"{event.whom} "
    found = False
    for it in overlap.instances(world, state):
        slot = {"main": it.main, "control": it.control}.get(event.whom)
        if slot is not None:
            world.do(Signal(slot.process, event.signal))
        elif not whom and not it.tree_empty:
            world.do(SignalTree(it.seat, it.invocation, event.signal))
        else:
            continue
        found = True
    answer(request, state, *(("done",) if found else ("failed", f"no {whom}process to kill")))


def _reset_failed(world: World, request: Request, state: UnitState) -> None:
    state.restarts = 0
    state.starts = []
    if state.sub is SubState.FAILED:
        state.sub = SubState.DEAD
        state.result = Result.SUCCESS
        state.message = ""
        world.tell("unit.reset", state.name, f"failed state of {state.name} reset")
    answer(request, state, "done")


def sync_asked(world: World, event: SyncAsked) -> None:
    """Heal: what gave up, or ended by itself, is tried again, as the commit asks for it."""
    if event.thorough:
        world.tell("operator.asked", "", f"{event.who} asked: sync", who=event.who)
        schedule.enqueue_all(world)
    tried = []
    for name in sorted(world.pulled):
        state = world.units.get(name)
        if overlap.failure(world, name):
            overlap.try_again(world, name)
            tried.append((name, outcome(world.state(name), "started", "the update is tried again")))
            continue
        if state is not None and state.down and state.done and not state.finished:
            if state.result in FINE and not event.thorough:
                continue
            state.done = ""
            world.touch(name)
            tried.append((name, outcome(state, "started", state.message)))
    if tried and not event.thorough:
        names = " ".join(name for name, _ in tried)
        world.tell("operator.asked", "", f"{event.who} tries again: {names}", who=event.who)
    world.do(Reply(event.request, tuple(tried)))
