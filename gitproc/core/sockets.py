"""When a socket starts its service, and how often it may (systemd.socket(5)).

The socket is open from its start to its stop, held outside of any service. With Accept=no the next
connection (or datagram) is waited for only while the service is down, and starts it; the service finds the
connection in the backlog. With Accept=yes each connection is taken here and starts an instance of its own,
which is forgotten when it has ended. A socket that wakes us too often is left alone for a while
(PollLimit*=), one that starts its service too often fails (TriggerLimit*=): the port is closed then.
"""

from __future__ import annotations

from gitproc.core import lifecycle, standing, triggers
from gitproc.core.listening import OPEN, Connection, Listening, listening_of
from gitproc.core.socket_events import ConnectionCame, HoldingsFound, SocketOpened
from gitproc.core.socket_orders import (
    AssignConnection,
    OpenSocket,
    RefuseConnection,
    UnwatchSocket,
    WatchSocket,
)
from gitproc.core.states import Result, SubState
from gitproc.core.transitions import Cause
from gitproc.core.triggers import Outcome
from gitproc.core.unit_state import UnitState
from gitproc.core.world import World
from gitproc.units import directives_socket as s
from gitproc.units.names import is_valid_name
from gitproc.units.unit import Unit

_PAUSE = 2.0  # seconds that a connection waits at least which cannot be served as things stand


def settle(world: World, state: UnitState) -> None:
    """See to it that the socket is watched exactly while a connection would start something."""
    if state.sub not in OPEN:
        if state.listening is not None:
            state.listening.watched = False  # closed, or not open yet
            state.listening.resume_at = None
        return
    listening = listening_of(state)
    unit = state.definition
    service = None if unit[s.ACCEPT] else triggers.started_by(world, state.name)
    _show(world, state, service)
    if listening.resume_at is not None and listening.resume_at <= world.now:
        listening.resume_at = None
    watch = listening.resume_at is None and not standing.must_stop(world, state)
    if not unit[s.ACCEPT]:
        watch = watch and service is not None and _startable(world, service)
    if watch and not listening.watched:
        flush = unit[s.FLUSH_PENDING] and bool(listening.polls)
        world.do(WatchSocket(state.name, state.invocation, accept=unit[s.ACCEPT], flush=flush))
    elif listening.watched and not watch:
        world.do(UnwatchSocket(state.name))
    listening.watched = watch


def _show(world: World, state: UnitState, service: str | None) -> None:
    """`running` while its service is, as systemd says it; no transition, and told to nobody."""
    it = world.units.get(service) if service is not None else None
    sub = SubState.LISTENING if it is None or it.down else SubState.RUNNING
    if state.sub is not sub:
        state.sub = sub
        world.dirty[state.name] = None


def _startable(world: World, service: str) -> bool:
    """Whether the service is down and stays so unless something comes in."""
    state = world.units.get(service)
    unit = world.wanted_unit(service)
    if world.stopping or unit is None or unit.masked or service in world.blocked:
        return False
    if state is None:
        return True
    if not state.down or state.sub is SubState.AUTO_RESTART or state.hold is not None:
        return False
    if triggers.is_due(world, state):
        return False  # nobody has to come in for it to start, whatever it waits for
    return not state.triggered


def opened(world: World, state: UnitState, event: SocketOpened) -> None:
    """The socket is there, and held."""
    if state.sub is SubState.START:
        for problem in event.problems:
            world.tell("unit.socket-option", state.name, problem)
        lifecycle.move(world, state, Cause.READY)


def ready(world: World, state: UnitState) -> None:
    """Something waits at a socket whose service is down. The watch on it has ended with that."""
    if state.sub not in OPEN:
        return
    listening = listening_of(state)
    listening.watched = False
    world.touch(state.name)
    service = triggers.started_by(world, state.name)
    if service is None or not _startable(world, service) or not _may_poll(world, state, listening):
        return
    if not _may_trigger(world, state, listening):
        return
    match triggers.trigger(world, state.name, service):
        case Outcome.LIMIT:
            message = f"{service} was started too often"
            lifecycle.fail(world, state, Result.SERVICE_START_LIMIT_HIT, message, Cause.ABORT)
        case Outcome.KEPT_DOWN:
            _rest(world, state, listening, world.now + _PAUSE)
        case Outcome.STARTED | Outcome.RUNNING:
            pass


def connected(world: World, state: UnitState | None, event: ConnectionCame) -> None:
    """Somebody has connected to a socket with Accept=yes: an instance of its own, or a closed door."""
    if state is None or state.sub not in OPEN:
        world.do(RefuseConnection(event.serial))
        return
    listening = listening_of(state)
    _may_poll(world, state, listening)
    problem = _refusal(state, listening, event.source)
    name = _instance_name(state, listening, event.peer)
    unit = _template_unit(world, name)
    if unit is None:
        problem = problem or f"{name} cannot be made: there is no template for it"
    if problem or unit is None or not _may_trigger(world, state, listening):
        listening.refused += 1
        world.dirty[state.name] = None
        if problem:
            world.tell("unit.connection-refused", state.name, problem)
        world.do(RefuseConnection(event.serial))
        return
    listening.accepted += 1
    instance = world.state(name)
    instance.connection = Connection(state.name, event.source, unit)
    listening.connections[name] = event.source
    world.dirty[state.name] = None
    outcome = triggers.trigger(world, state.name, name, *event.variables)
    if outcome is Outcome.STARTED:
        world.do(AssignConnection(event.serial, name))
    else:
        world.do(RefuseConnection(event.serial))
        world.touch(name)  # to be forgotten


def _refusal(state: UnitState, listening: Listening, source: str) -> str:
    unit = state.definition
    if len(listening.connections) >= unit[s.MAX_CONNECTIONS]:
        return f"too many connections ({len(listening.connections)}): one of {source} is closed"
    most = unit[s.MAX_CONNECTIONS_PER_SOURCE]
    if most and sum(1 for x in listening.connections.values() if x == source) >= most:
        return f"too many connections of {source} ({most}): one is closed"
    return ""


def _instance_name(state: UnitState, listening: Listening, peer: str) -> str:
    prefix = state.name.removesuffix(".socket")
    name = f"{prefix}@{listening.accepted}-{peer}.service"
    return name if is_valid_name(name) else f"{prefix}@{listening.accepted}.service"


def _template_unit(world: World, name: str) -> Unit | None:
    unit = world.desired.resolve(name) if world.desired is not None else None
    return None if unit is None or unit.masked else unit


def _burst(times: list[float], now: float, interval: float, burst: int) -> bool:
    """Note one more, unless that were more than `burst` in the `interval` seconds since the first: then True."""
    if interval <= 0 or burst <= 0:
        return False
    if times and now >= times[0] + interval:  # the very sum that a rest lasts until
        times.clear()
    if len(times) >= burst:
        return True
    times.append(now)
    return False


def _may_poll(world: World, state: UnitState, listening: Listening) -> bool:
    """Count a wake-up; False if there were too many: the socket is left alone for the rest of the interval."""
    unit = state.definition
    burst = unit[s.POLL_LIMIT_BURST]
    if burst is None:
        burst = 150 if unit[s.ACCEPT] else 15
    interval = unit[s.POLL_LIMIT_INTERVAL_SEC]
    if not _burst(listening.polls, world.now, interval, burst):
        return True
    _rest(world, state, listening, listening.polls[0] + interval)
    return False


def _rest(world: World, state: UnitState, listening: Listening, until: float) -> None:
    listening.resume_at = until
    world.alarm(until, state.name)
    world.touch(state.name)


def _may_trigger(world: World, state: UnitState, listening: Listening) -> bool:
    unit = state.definition
    burst = unit[s.TRIGGER_LIMIT_BURST]
    if burst is None:
        burst = 200 if unit[s.ACCEPT] else 20
    if not _burst(listening.triggered, world.now, unit[s.TRIGGER_LIMIT_INTERVAL_SEC], burst):
        return True
    message = f"more than {burst} activations in {unit[s.TRIGGER_LIMIT_INTERVAL_SEC]:g} s"
    lifecycle.fail(world, state, Result.TRIGGER_LIMIT_HIT, message, Cause.ABORT)
    return False


def holdings_found(world: World, event: HoldingsFound) -> None:
    """After a crash of the manager: a socket that should be open and is not held is opened again.

    So is one that was about to be: if it is held already, that is heard of at once.
    """
    for state in tuple(world.units.values()):  # the socket of a connection may be gone itself
        if state.connection is not None:
            socket = world.state(state.connection.socket)
            listening_of(socket).connections[state.name] = state.connection.source
        if state.unit is None or state.unit.kind != "socket":
            continue
        if state.sub in OPEN and state.name not in event.owners:
            world.tell("unit.socket-lost", state.name, "the socket was lost; it is opened again")
            state.sub = SubState.START
            world.dirty[state.name] = None
        if state.sub is SubState.START:
            world.do(OpenSocket(state.unit, state.invocation))
