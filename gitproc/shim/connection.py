"""The shim's end of the line to the manager: at most one manager, never a blocking send, never a growing queue.

While an answer waits for the manager to read, no further request is read from it, so the queue is bounded
by what one request and the processes in set-up can say. Exits are not queued at all: they are kept by
number until acknowledged, and flow when the line is free.
"""

# ruff: noqa: SIM105 (contextlib would cost every start 4 ms)

from __future__ import annotations

import _socket
import fcntl
import os
import struct

from gitproc.shim.loop import IN, OUT, Loop
from gitproc.shim.process import say
from gitproc.shim.protocol import (
    VERSION,
    ProtocolError,
    close_all,
    encode,
    receive,
    send,
)

TYPE_CHECKING = False  # `typing` and `collections` stay out of this process
if TYPE_CHECKING:
    from collections.abc import Callable

    from gitproc.shim.protocol import Message

    Dispatch = Callable[[Message, list[int]], None]

_SO_PEERCRED = 17
_MAX_STRANGERS = 8
_BATCH = 32


class Connection:
    """Accepts managers; the one that says hello last is the manager."""

    def __init__(self, loop: Loop, listener: _socket.socket, dispatch: Dispatch) -> None:
        self._loop = loop
        self._listener = listener
        self._dispatch = dispatch
        self._strangers: dict[int, _socket.socket] = {}
        self._queue: list[tuple[bytes, list[int]]] = []
        self._exits: list[Message] | None = None  # to be sent; None: the manager has not listed yet
        self.sock: _socket.socket | None = None
        self.greet: Callable[[], None] = lambda: None
        self.on_idle: Callable[[], None] = lambda: None
        loop.watch(listener.fileno(), self._accept)

    @property
    def idle(self) -> bool:
        """Nothing waits to be sent."""
        return not self._queue

    @property
    def listed(self) -> bool:
        """Whether this manager has read the table, and so gets exits."""
        return self._exits is not None

    def resume(self, sock: _socket.socket, listed: bool, exits: list[Message]) -> None:
        """Go on with a connection that an earlier image of this process had."""
        self._take(sock)
        self._exits = exits if listed else None
        self.pump()

    def emit(self, message: Message, fds: tuple[int, ...] = ()) -> None:
        """Send, or queue (with duplicates of the descriptors); dropped where there is no manager."""
        if self.sock is None:
            return
        packet = encode(message)
        if not self._queue and self._try(packet, fds):
            return
        if self.sock is not None:
            duplicates = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 3) for fd in fds]
            self._queue.append((packet, duplicates))
            self._loop.expect(self.sock.fileno(), OUT)

    def begin_exits(self, exits: list[Message]) -> None:
        """The table has been sent: from now on exits flow, beginning with all that are unacknowledged."""
        self._exits = list(exits)
        self.pump()

    def emit_exit(self, message: Message) -> None:
        """An exit, as soon as the line is free."""
        if self._exits is not None:
            self._exits.append(message)
            self.pump()

    def pump(self) -> None:
        """Send exits while the line takes them."""
        while self._exits and not self._queue and self.sock is not None:
            self.emit(self._exits.pop(0))

    def drop(self) -> None:
        """The manager is gone."""
        sock, self.sock = self.sock, None
        self._exits = None
        for _, fds in self._queue:
            close_all(fds)
        self._queue.clear()
        if sock is not None:
            self._loop.unwatch(sock.fileno())
            sock.close()

    def _try(self, packet: bytes, fds: tuple[int, ...] | list[int]) -> bool:
        assert self.sock is not None
        try:
            send(self.sock, packet, fds)
        except BlockingIOError:
            return False
        except OSError as error:
            if (
                error.errno == 109
            ):  # ETOOMANYREFS: descriptors in flight; the manager must read first
                return False
            self.drop()
            return True
        return True

    def _ready(self, events: int) -> None:
        if self._queue:
            self._flush(events)
            return
        for _ in range(_BATCH):
            if self.sock is None or self._queue:
                return
            try:
                received = receive(self.sock)
            except BlockingIOError:
                return
            except ProtocolError as error:
                self.emit(("error", str(error)))
                continue
            except OSError:
                received = None
            if received is None:
                self.drop()
                return
            message, fds = received
            try:
                self._dispatch(message, fds)
            except Exception as error:
                say(f"request {message[0]}: {error!r}")
                self.emit(("error", f"{message[0]}: {error}"))
            finally:
                close_all(fds)

    def _flush(self, events: int) -> None:
        if events & ~(IN | OUT):
            self.drop()
            return
        while self._queue:
            packet, fds = self._queue[0]
            if not self._try(packet, fds):
                return
            if not self._queue:  # dropped
                return
            self._queue.pop(0)
            close_all(fds)
        if self.sock is not None:
            self._loop.expect(self.sock.fileno(), IN)
        self.pump()
        if not self._queue:
            self.on_idle()

    def _accept(self, events: int) -> None:
        try:
            fd, _ = self._listener._accept()  # type: ignore[attr-defined]  # noqa: SLF001
        except OSError:
            self._loop.unwatch(self._listener.fileno())
            again = self._listener.fileno()
            self._loop.after("accept", 1.0, lambda: self._loop.watch(again, self._accept))
            return
        os.set_inheritable(fd, False)
        sock = _socket.socket(fileno=fd)
        _, uid, _ = struct.unpack("3i", sock.getsockopt(_socket.SOL_SOCKET, _SO_PEERCRED, 12))
        if uid not in (0, os.geteuid()) or len(self._strangers) >= _MAX_STRANGERS:
            sock.close()
            return
        self._strangers[fd] = sock
        self._loop.watch(fd, lambda _: self._hello(fd))

    def _hello(self, fd: int) -> None:
        sock = self._strangers[fd]
        try:
            received = receive(sock)
        except BlockingIOError:
            return
        except (ProtocolError, OSError):
            received = None
        self._loop.unwatch(fd)
        del self._strangers[fd]
        if received is None:
            sock.close()
            return
        message, fds = received
        close_all(fds)
        if message != ("hello", VERSION):
            try:
                send(sock, encode(("error", f"this shim speaks version {VERSION}")))
            except OSError:
                pass
            sock.close()
            return
        self.drop()
        self._take(sock)
        self.greet()

    def _take(self, sock: _socket.socket) -> None:
        self.sock = sock
        self._loop.watch(sock.fileno(), self._ready)
