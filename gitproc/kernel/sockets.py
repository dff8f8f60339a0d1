"""The sockets of units: opened, held by the shim, watched while that matters, passed on, closed.

Every descriptor is here and, under its unit's name, with the shim: so it outlives this process, and a
manager that comes back finds it (`restore`). What is watched is a duplicate of what the service listens on;
nothing is read from it here, and with Accept=no nothing is accepted.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import partial
from typing import assert_never

from gitproc.core.events import Event
from gitproc.core.socket_events import ConnectionCame, SocketFailed, SocketOpened, SocketReady
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
from gitproc.errors import HostError
from gitproc.immutable import field, mutable
from gitproc.kernel import socket_nodes
from gitproc.kernel.accepting import Acceptor
from gitproc.kernel.fd_store import FdStore
from gitproc.kernel.peers import peer_of
from gitproc.kernel.process_manager import ProcessManager
from gitproc.kernel.regained import regain
from gitproc.kernel.socket_open import configure, open_socket
from gitproc.shim.protocol import close_all, unlingering
from gitproc.units import directives as d
from gitproc.units import directives_socket as s
from gitproc.units.addresses import Listen
from gitproc.units.socket_rules import listens_in_order
from gitproc.units.unit import Unit

LISTEN, CONNECTION = "listen", "connection"
"""What the sets that the shim holds for a unit are called."""
_FLUSH_MAX = 1000  # connections or datagrams


@mutable
class _Open:
    """A unit's open sockets. `names` for $LISTEN_FDNAMES; `note` tells what they are."""

    fds: list[int]
    names: list[str]
    note: str
    watching: list[int] = field(default_factory=list)
    accepting: list[Acceptor] = field(default_factory=list)


def note_of(unit: Unit) -> str:
    """What makes other sockets of a unit's: every setting that a running socket cannot take."""
    rows = [row for row in s.ROWS if row.change is s.LISTEN_STREAM.change and unit.has(row)]
    return repr([(row.name, unit[row]) for row in rows])


def listens_of(unit: Unit) -> tuple[Listen, ...]:
    """What the unit listens on, in order."""
    return listens_in_order(unit.values, unit.settings)


class Sockets:
    """All of them. `own` are the manager's folders, in which no unit's socket may lie."""

    def __init__(
        self, manager: ProcessManager, post: Callable[[Event], None], own: Sequence[str] = ()
    ) -> None:
        self._manager = manager
        self._post = post
        self._own = tuple(own)
        self._open: dict[str, _Open] = {}
        self._connections: dict[int, socket.socket] = {}
        self._assigned: dict[str, int] = {}
        self._serial = 0
        self.store = FdStore(manager)
        self.users: Callable[[Unit], Iterable[tuple[int, int]]] = lambda _: ()
        """Who may have a unit's sockets though nobody holds them any more: (PID, start time)."""
        self._had: set[str] = set()  # what was closed since was closed on purpose
        self._opening: dict[str, asyncio.Task[None]] = {}

    # -- orders ----------------------------------------------------------------------------------

    def perform(self, order: SocketOrder) -> None:
        """Carry out one order of the core."""
        match order:
            case OpenSocket(unit, invocation):
                task = asyncio.get_running_loop().create_task(self._start(unit, invocation))
                self._opening[unit.name] = task
            case ConfigureSocket(unit):
                self._configure(unit)
            case CloseSocket(unit):
                self._shut(unit)
            case WatchSocket():
                self._watch(order)
            case UnwatchSocket(name):
                self._unwatch(name)
            case AssignConnection(serial, name):
                self._assign(serial, name)
            case RefuseConnection(serial):
                self._refuse(serial)
            case _:
                assert_never(order)

    async def _start(self, unit: Unit, invocation: str) -> None:
        try:
            problems = await self._open_all(unit)
        except HostError as error:
            self._close(unit.name)
            self._post(SocketFailed(unit.name, invocation, error.message))
        else:
            self._post(SocketOpened(unit.name, invocation, tuple(problems)))

    async def _open_all(self, unit: Unit) -> list[str]:
        note, name = note_of(unit), unit.name
        known = self._open.get(name)
        if known is not None and known.note == note:
            return []
        self._close(name)
        listens = listens_of(unit)
        problems: list[str] = []
        opened = self._open[name] = _Open([], [], note)
        if name not in self._had:
            opened.fds += regain(listens, self.users(unit)) or ()
        self._had.add(name)
        for listen in listens if not opened.fds else ():
            if any(f"{listen.path}/".startswith(f"{folder}/") for folder in self._own):
                raise HostError(f"cannot listen on {listen.path}: it is the manager's own")
            fd, found = open_socket(unit, listen)
            opened.fds.append(fd)
            problems += found
        problems += socket_nodes.link(unit, listens)
        self._name(unit, opened)
        await self._manager.hold(name, LISTEN, note, opened.fds)
        return problems

    @staticmethod
    def _name(unit: Unit, opened: _Open) -> None:
        name = unit[s.FILE_DESCRIPTOR_NAME] or unit.name
        opened.names = [name] * len(opened.fds)

    def _configure(self, unit: Unit) -> None:
        opened = self._open.get(unit.name)
        if opened is not None:
            self._name(unit, opened)
            for fd, listen in zip(opened.fds, listens_of(unit), strict=False):
                with suppress(HostError):
                    configure(fd, unit, listen)

    # -- what services are given -----------------------------------------------------------------

    def passed_to(self, unit: Unit, sources: Iterable[str] | None) -> list[tuple[str, int]]:
        """(name, descriptor) of what these units listen on, or of the connection of an instance, and then
        of what is stored for `unit`; nothing where `sources` is None.

        Whether reads wait (NonBlocking=) is a property of the socket itself, and so is set on each start.
        """
        found: list[tuple[str, int]] = []
        if sources is None:
            return found
        for source in sources:
            if source in self._assigned:
                found.append((CONNECTION, self._assigned[source]))
            elif (opened := self._open.get(source)) is not None:
                found += zip(opened.names, opened.fds, strict=True)
        for _, fd in found:
            os.set_blocking(fd, not unit[d.NON_BLOCKING])
        return [*found, *self.store.of(unit.name)]

    def given(self, instance: str) -> None:
        """The instance has its process, and with it its connection: nobody else keeps that open."""
        fd = self._assigned.pop(instance, -1)
        if fd >= 0:
            unlingering(os.close, fd)
            self._manager.drop(instance, CONNECTION)

    def release(self, unit: Unit, *, restart: bool) -> None:
        """The unit has ended: close what is held for it alone."""
        self.store.release(unit, restart=restart)
        if unit.kind == "socket":
            self._shut(unit)
        else:
            self.given(unit.name)

    def _shut(self, unit: Unit) -> None:
        opening = self._opening.pop(unit.name, None)
        if opening is not None:
            opening.cancel()  # or it would be open when it is nobody's any more
        if unit.name in self._open:
            self._close(unit.name)
            if unit[s.REMOVE_ON_STOP]:
                socket_nodes.remove(unit, listens_of(unit))

    def _close(self, name: str) -> None:
        self._unwatch(name)
        opened = self._open.pop(name, None)
        if opened is not None:
            unlingering(close_all, opened.fds)
            self._manager.drop(name, LISTEN)

    # -- watching --------------------------------------------------------------------------------

    def _watch(self, order: WatchSocket) -> None:
        opened = self._open.get(order.unit)
        if opened is None or opened.watching or opened.accepting:
            return
        loop = asyncio.get_running_loop()
        for fd in opened.fds:
            if order.flush:
                unlingering(_flush, fd)
            if order.accept:
                os.set_blocking(fd, False)
                opened.accepting.append(Acceptor(fd, partial(self._came, order), order.unit))
            else:
                loop.add_reader(fd, self._ready, order)
                opened.watching.append(fd)

    def _unwatch(self, name: str) -> None:
        opened = self._open.get(name)
        if opened is not None:
            for fd in opened.watching:
                asyncio.get_running_loop().remove_reader(fd)
            for acceptor in opened.accepting:
                acceptor.close()
            opened.watching, opened.accepting = [], []

    def _ready(self, order: WatchSocket) -> None:
        self._unwatch(order.unit)
        self._post(SocketReady(order.unit, order.invocation))

    def _came(self, order: WatchSocket, connection: socket.socket) -> None:
        self._serial += 1
        self._connections[self._serial] = connection
        try:
            peer = peer_of(connection)
        except OSError:  # gone already
            unlingering(connection.close)
            del self._connections[self._serial]
            return
        self._post(ConnectionCame(order.unit, order.invocation, self._serial, *peer))

    def _assign(self, serial: int, name: str) -> None:
        connection = self._connections.pop(serial, None)
        if connection is not None:
            fd = self._assigned[name] = connection.detach()
            held = self._manager.hold(name, CONNECTION, "", [fd])
            held.add_done_callback(lambda done: done.cancelled() or done.exception())

    def _refuse(self, serial: int) -> None:
        connection = self._connections.pop(serial, None)
        if connection is not None:
            unlingering(connection.close)

    # -- coming back -----------------------------------------------------------------------------

    def restore(
        self,
        rows: Iterable[tuple[str, str, str, int]],
        fds: list[int],
        unit_of: Callable[[str], Unit | None],
    ) -> frozenset[str]:
        """Take over what the shim holds: the units whose sockets are there. `fds` is emptied.

        `unit_of`: the definition of what runs; what is held for nobody is dropped.
        """
        found: set[str] = set()
        for owner, name, note, count in rows:
            given, fds[:count] = fds[:count], []
            unit = unit_of(owner)
            if unit is not None and name == LISTEN and unit.kind == "socket":
                opened = self._open[owner] = _Open(given, [], note)
                self._name(unit, opened)
                self._had.add(owner)
                found.add(owner)
            elif unit is not None and name == CONNECTION and count == 1:
                self._assigned[owner] = given[0]
            elif self.store.restore(owner, name, note, given, runs=unit is not None):
                pass
            else:
                unlingering(close_all, given)
                self._manager.drop(owner, name)
        return frozenset(found)


def _flush(fd: int) -> None:
    """FlushPending=: drop what waits, without waiting for more."""
    os.set_blocking(fd, False)
    with suppress(OSError), socket.socket(fileno=os.dup(fd)) as sock:
        for _ in range(_FLUSH_MAX):
            if sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                sock.accept()[0].close()
            else:
                sock.recv(1)
