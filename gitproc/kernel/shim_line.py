"""The socket to the shim as asyncio sees it: connect, send or queue, receive, notice the end.

What does not fit into the socket waits in a queue here: the shim stops reading while the manager does not.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

from gitproc.errors import HostError
from gitproc.shim import protocol

_RETRY_CONNECT = 0.02  # seconds
_BATCH = 64

Received = Callable[["protocol.Message", list[int]], None]


class ShimLine:
    """One connection at a time. `received` owns the descriptors it is given; `lost` is told once."""

    def __init__(self, received: Received, lost: Callable[[], None]) -> None:
        self._received = received
        self._lost = lost
        self._sock: socket.socket | None = None
        self._queue: deque[tuple[bytes, list[int]]] = deque()
        self._welcome: asyncio.Future[tuple[protocol.Message, list[int]]] | None = None

    @property
    def connected(self) -> bool:
        """Whether a shim is at the other end."""
        return self._sock is not None and self._welcome is None

    async def connect(
        self, where: str | Path | int, seconds: float
    ) -> tuple[protocol.Message, list[int]]:
        """Connect and say hello; the welcome and its descriptors.

        Tries for `seconds` while nothing listens there. HostError if there is no shim, or one that
        speaks another version.
        """
        loop = asyncio.get_running_loop()
        deadline = time.monotonic() + seconds
        self.close()
        self._sock = await self._open(where, deadline)
        self._welcome = loop.create_future()
        loop.add_reader(self._sock.fileno(), self._readable)
        try:
            self.send(("hello", protocol.VERSION))
            async with asyncio.timeout(max(0.1, deadline - time.monotonic())):
                return await self._welcome
        except TimeoutError:
            self.close()
            raise HostError("cannot talk to the shim: it does not answer") from None
        except OSError as error:
            self.close()
            raise HostError(f"cannot talk to the shim: {error.strerror or error}") from None
        finally:
            self._welcome = None

    @staticmethod
    async def _open(where: str | Path | int, deadline: float) -> socket.socket:
        if isinstance(where, int):
            sock = socket.socket(fileno=where)
            sock.setblocking(False)
            return sock
        while True:
            sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            sock.setblocking(False)
            try:
                sock.connect(str(where))
                return sock
            except OSError as error:
                sock.close()
                if time.monotonic() >= deadline:
                    reason = error.strerror or str(error)
                    raise HostError(f"cannot reach the shim at {where}: {reason}") from None
            await asyncio.sleep(_RETRY_CONNECT)

    def close(self) -> None:
        """Hang up."""
        sock, self._sock = self._sock, None
        if sock is not None:
            loop = asyncio.get_running_loop()
            loop.remove_reader(sock.fileno())
            loop.remove_writer(sock.fileno())
            sock.close()
        for _, fds in self._queue:
            protocol.close_all(fds)
        self._queue.clear()

    def send(self, message: protocol.Message, fds: Sequence[int] = ()) -> None:
        """Send, or queue with duplicates of `fds`; forgotten where there is no line."""
        if self._sock is None:
            return
        packet = protocol.encode(message)
        if not self._queue:
            try:
                protocol.send(self._sock, packet, tuple(fds))
                return
            except BlockingIOError:
                asyncio.get_running_loop().add_writer(self._sock.fileno(), self._writable)
            except OSError:
                return  # the reader sees the end of the line
        self._queue.append((packet, [os.dup(fd) for fd in fds]))

    def _writable(self) -> None:
        if self._sock is None:
            return
        while self._queue:
            packet, fds = self._queue[0]
            try:
                protocol.send(self._sock, packet, fds)
            except BlockingIOError:
                return
            except OSError:
                break
            protocol.close_all(self._queue.popleft()[1])
        asyncio.get_running_loop().remove_writer(self._sock.fileno())

    def _readable(self) -> None:
        for _ in range(_BATCH):
            if self._sock is None:
                return
            try:
                received = protocol.receive(self._sock)
            except BlockingIOError:
                return
            except (OSError, protocol.ProtocolError):
                received = None
            if received is None:
                self._hung_up()
                return
            message, fds = received
            if self._welcome is None or self._welcome.done():
                self._received(message, fds)
            elif message[:2] == ("welcome", protocol.VERSION) and fds:
                self._welcome.set_result((message, fds))
            else:
                protocol.close_all(fds)
                refusal = OSError(errno.EPROTO, f"it says {message[1:]!r}")
                self._welcome.set_exception(refusal)

    def _hung_up(self) -> None:
        if self._welcome is not None and not self._welcome.done():
            self._welcome.set_exception(ConnectionResetError(errno.ECONNRESET, "it hung up"))
            return
        self.close()
        self._lost()
