"""The pretended machine's sockets: who is held, who is watched, and who waits in a backlog."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import assert_never

from gitproc.core.events import Event
from gitproc.core.socket_events import (
    ConnectionCame,
    HoldingsFound,
    SocketFailed,
    SocketOpened,
    SocketReady,
)
from gitproc.core.socket_orders import (
    AssignConnection,
    CloseSocket,
    ConfigureSocket,
    OpenSocket,
    RefuseConnection,
    SocketOrder,
    UnwatchSocket,
    WatchSocket,
)

INSTANT = 0.01  # seconds


class FakeSockets:
    """All of them. `taken`: units whose address somebody else has; `waiting`: connections in each backlog."""

    def __init__(
        self,
        post: Callable[[Event], None],
        after: Callable[[float, Callable[[], None]], None],
    ) -> None:
        self._post = post
        self._after = after
        self._serial = 0
        self.taken: set[str] = set()
        self.held: set[str] = set()
        self.opened: Counter[str] = Counter()
        self.watched: dict[str, WatchSocket] = {}
        self.waiting: Counter[str] = Counter()
        self.refused: list[int] = []
        self.assigned: dict[str, int] = {}
        self._opening: dict[str, str] = {}

    def perform(self, order: SocketOrder) -> None:
        match order:
            case OpenSocket(unit, invocation):
                self._opening[unit.name] = invocation
                self._after(INSTANT, lambda: self._open(unit.name, invocation))
            case ConfigureSocket():
                pass
            case CloseSocket(unit):
                self.close(unit.name)
            case WatchSocket(name):
                assert name in self.held, "nothing to watch"
                self.watched[name] = order
                self.look(name)
            case UnwatchSocket(name):
                self.watched.pop(name, None)
            case AssignConnection(serial, name):
                self.assigned[name] = serial
            case RefuseConnection(serial):
                self.refused.append(serial)
            case _:
                assert_never(order)

    def _open(self, name: str, invocation: str) -> None:
        if self._opening.get(name) != invocation:
            return  # taken back
        del self._opening[name]
        if name in self.taken:
            self._post(SocketFailed(name, invocation, "address already in use"))
            return
        if name not in self.held:
            self.opened[name] += 1
        self.held.add(name)
        self._post(SocketOpened(name, invocation))

    def close(self, name: str) -> None:
        """Nobody listens any more, or is going to."""
        self._opening.pop(name, None)
        self.held.discard(name)
        self.watched.pop(name, None)
        self.waiting.pop(name, None)

    def connect(self, name: str, peer: str = "1.2.3.4") -> None:
        """Somebody connects."""
        assert name in self.held, "connection refused"
        self.waiting[name] += 1
        self.look(name, peer)

    def look(self, name: str, peer: str = "1.2.3.4") -> None:
        """Wake who watches, if something waits."""
        watch = self.watched.get(name)
        if watch is None or not self.waiting[name]:
            return
        if not watch.accept:
            del self.watched[name]
            self._post(SocketReady(name, watch.invocation))
            return
        for _ in range(self.waiting.pop(name)):
            self._serial += 1
            self._post(
                ConnectionCame(
                    name,
                    watch.invocation,
                    self._serial,
                    f"10:1-{peer}:2",
                    peer,
                    (f"REMOTE_ADDR={peer}",),
                )
            )

    def crash(self) -> None:
        """The manager is gone; what the shim holds stays."""
        self.watched.clear()

    def lost(self) -> None:
        """The shim is gone, too."""
        self.held.clear()
        self.waiting.clear()

    def found(self, running: Iterable[str]) -> HoldingsFound:
        """What the next one is told, who drops what is held for nobody."""
        for name in self.held.difference(running):
            self.close(name)
        return HoldingsFound(frozenset(self.held))
