"""What the world remembers of sockets beyond the state of any unit: counts, limits, connections.

Which sockets a service is given when it starts is said here too; when a socket starts it, in `sockets.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gitproc.core.actions import Release
from gitproc.core.states import SubState
from gitproc.immutable import field, immutable, mutable
from gitproc.units import directives as d
from gitproc.units.seats import home

if TYPE_CHECKING:
    from gitproc.core.unit_state import UnitState
    from gitproc.core.world import World
    from gitproc.units.unit import Unit

OPEN = frozenset({SubState.LISTENING, SubState.RUNNING})
"""A socket's states in which others can connect and its service is started for them."""
_STARTED = OPEN | {SubState.START_POST}


@mutable
class Listening:
    """A socket that was open once. `accepted` and `refused`: connections of Accept=yes since then, the
    former numbering their instances; `connections`: the instances that live, and where each one's peer is.
    `watched`: the next connection is waited for; `resume_at`: it is left alone until then; `polls` and
    `triggered`: when it woke us, and when its service was started for it.
    """

    accepted: int = 0
    refused: int = 0
    connections: dict[str, str] = field(default_factory=dict)
    watched: bool = False
    resume_at: float | None = None
    polls: list[float] = field(default_factory=list)
    triggered: list[float] = field(default_factory=list)


@immutable
class Connection:
    """What an instance of an Accept=yes socket was made for. `source`: who its peer is, for limits.

    `unit`: its definition; a commit that changes the template does not touch it.
    """

    socket: str
    source: str
    unit: Unit


def listening_of(state: UnitState) -> Listening:
    """The memory of a socket, made on first mention."""
    if state.listening is None:
        state.listening = Listening()
    return state.listening


def sockets_for(world: World, state: UnitState) -> tuple[str, ...] | None:
    """Whose descriptors the process about to be spawned is given; None: it gets none, not even stored ones.

    They go to ExecStart= alone. An instance made for a connection is its own source.
    """
    if state.sub is not SubState.START or state.definition.kind != "service":
        return None
    if state.connection is not None:
        return (state.name,)
    names = [*state.definition[d.SOCKETS]]
    names += sorted(n for n in world.graph.triggers.to(home(state.name)) if n.endswith(".socket"))
    found = []
    for name in dict.fromkeys(names):
        other = world.units.get(name)
        if other is not None and other.sub in _STARTED:
            found.append(name)
    return tuple(found)


def connection_over(world: World, state: UnitState) -> None:
    """An instance made for a connection has ended: nothing of it is kept."""
    assert state.connection is not None
    socket = world.units.get(state.connection.socket)
    if socket is not None and socket.listening is not None:
        socket.listening.connections.pop(state.name, None)
    if state.unit is None:  # it has never begun: the connection is still ours
        world.do(Release(state.connection.unit, "", keep_runtime=False, forget=True))
    world.graph.replace(state.name, ())
    world.forget(state.name)
