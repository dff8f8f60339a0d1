"""The manager's end of the notify socket: datagrams of sd_notify(3) become facts about units.

The shim owns the socket, so nothing is lost while no manager is there. What is said only once stays in it until
that is recorded: a manager that is killed before leaves it to its successor, which may hear it twice. The kernel
vouches for the sender's pid; which unit that is, and whether it may speak for it, others decide.

Descriptors that come along are taken from those alone who may have them kept (FDSTORE=1). All others stay in the
message and go with it: to close what a stranger made can take as long as he likes (a file system in user space, a
socket that lingers). For BARRIER=1 that is the answer, once all before it has had its effect.
"""

from __future__ import annotations

import array
import asyncio
import os
import socket
import struct
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TypeAlias

from gitproc.core.events import Notified
from gitproc.immutable import NamedTuple
from gitproc.kernel import storable
from gitproc.shim.protocol import close_all, unlingering

#: Larger messages are dropped whole, as systemd does (PIPE_BUF).
MESSAGE_BYTES_MAX = 4096
_FDS_MAX = 253
_PER_TURN = 64
_TOLD_PER_MINUTE = 10  # of dropped messages: anybody can send them, and a log is soon full
_CREDENTIALS = struct.Struct("3i")
_PIDFD = struct.Struct("i")
_SENDER = socket.CMSG_SPACE(_CREDENTIALS.size)
_SENDER_PIDFD = _SENDER + socket.CMSG_SPACE(_PIDFD.size)
_ALL = _SENDER_PIDFD + socket.CMSG_SPACE(_FDS_MAX * 4)
_SO_PASSPIDFD, _SCM_PIDFD = 76, 4  # since Linux 6.5
_FLAGS = socket.MSG_DONTWAIT | socket.MSG_CMSG_CLOEXEC
_SAID_ONCE = (b"READY=1", b"RELOADING=1", b"STOPPING=1", b"MAINPID=", b"FDSTORE=1")
_BARRIER = (("BARRIER", "1"),)

Attribute: TypeAlias = Callable[[int, int], tuple[str, str] | None]


class _Message(NamedTuple):
    data: bytes
    flags: int
    pid: int
    pidfd: int
    fds: list[int]


class _Head:
    """A message that was taken in and is in the socket still; `brings` descriptors."""

    def __init__(self, brings: bool) -> None:
        self.brings = brings


class NotifySocket:
    """Reads the socket in the running loop. `fd` is taken over and closed by `close`.

    `attribute` gives (unit, invocation) of a sender by its pid and a pidfd (negative where the kernel gives
    none), None for strangers and for those already gone; `gone` does for a sender that may be gone.
    `rejected` is told why a message was dropped, of a flood only the first few a minute. `after` calls back
    when everything delivered so far has been taken in. `stores` tells whether the unit of a process keeps
    descriptors at all; `keep` takes from those of a message that is about stored ones what is to stay open.
    `counts` tells whether a message of those that are said only once is heeded at all; nobody else's has the
    others wait.
    """

    def __init__(
        self,
        fd: int,
        attribute: Attribute,
        deliver: Callable[[Notified], None],
        rejected: Callable[[str], None] | None = None,
        after: Callable[[Callable[[], None]], None] = lambda callback: callback(),
        keep: Callable[[Notified, list[int]], None] = lambda _event, _fds: None,
        gone: Attribute = lambda _pid, _pidfd: None,
        counts: Callable[[Notified], bool] = lambda _event: False,
        stores: Callable[[int], bool] = lambda _pid: True,
    ) -> None:
        self._socket = socket.socket(fileno=fd)
        self._socket.setblocking(False)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self._attribute = attribute
        self._deliver = deliver
        self._rejected = rejected
        self._after = after
        self._keep = keep
        self._gone = gone
        self._counts = counts
        self._stores = stores
        self._head: _Head | None = None
        self._minute, self._told, self._untold = 0.0, 0, 0
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._socket, self.read)

    def close(self) -> None:
        """Stop reading; what comes now waits for the next manager."""
        self._loop.remove_reader(self._socket)
        self._head = None
        self._socket.close()

    def read(self, *, hurry: bool = False) -> None:
        """Take in what has been said so far, up to what is to be recorded first; `hurry`: all of it."""
        if hurry:
            self._drop(self._head)
        # A bounded number at a time: a flood must not keep the loop from everything else.
        for _ in range(_PER_TURN):
            if self._head is not None:
                return
            try:
                first = self._receive(_SENDER, socket.MSG_PEEK)
                self._hear(first, hurry)
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                self._reject(f"cannot read the notify socket: {error.strerror}")
                return
            if first.flags & socket.MSG_CTRUNC:
                return  # to close what it brought may have taken its time

    def _hear(self, first: _Message, hurry: bool) -> None:
        """Take in the first message, of which nothing but the text and the sender's pid is known yet.

        There was no room for descriptors: if some came, it was cut short.
        """
        brings = bool(first.flags & socket.MSG_CTRUNC)
        fields = parse_fields(first.data)
        stays = not hurry and any(word in first.data for word in _SAID_ONCE)
        if brings and fields == _BARRIER:
            barrier = self._head = _Head(brings)
            if hurry:
                self._drop(barrier)
            else:
                self._after(partial(self._drop, barrier))
            return
        if brings and self._are_wanted(fields, first.pid):
            message = self._receive(_ALL, socket.MSG_PEEK)
        elif brings:
            message = first._replace(flags=first.flags & ~socket.MSG_CTRUNC)
        else:
            message = self._receive(_SENDER_PIDFD, socket.MSG_PEEK if stays else 0)
        head = self._head = _Head(brings) if stays or brings else None
        event = None
        try:
            event = self._take(message)
        finally:
            unlingering(close_all, message.fds)
            if message.pidfd >= 0:
                os.close(message.pidfd)
            if event is not None and stays and self._counts(event):
                self._after(partial(self._drop, head))
            else:
                self._drop(head)

    def _are_wanted(self, fields: tuple[tuple[str, str], ...], pid: int) -> bool:
        """Whether the descriptors of the first message are to be taken."""
        if not any(name == "FDSTORE" for name, _ in fields) or not self._stores(pid):
            return False
        try:
            return not storable.first_may_hang(self._socket, _ALL)
        except OSError:  # no process to ask: the message must not stay for ever
            return False

    def _receive(self, room: int, peek: int) -> _Message:
        """The first message, with as much of what comes along as there is room for. OSError: there is none."""
        if room != _SENDER:
            self._pass_pidfd(1)
        try:
            data, ancillary, flags, _ = self._socket.recvmsg(
                MESSAGE_BYTES_MAX + 1, room, _FLAGS | peek
            )
        finally:
            if room != _SENDER:
                self._pass_pidfd(0)
        return _Message(data, flags, *_parse_ancillary(ancillary))

    def _pass_pidfd(self, wanted: int) -> None:
        """It comes after the descriptors: without room for it, they would be what is put there."""
        with suppress(OSError):
            self._socket.setsockopt(socket.SOL_SOCKET, _SO_PASSPIDFD, wanted)

    def _drop(self, head: _Head | None) -> None:
        """Take this message out of the socket, if it is there still."""
        if head is not None and head is self._head:
            self._head = None
            with suppress(OSError):
                if head.brings:
                    unlingering(self._socket.recv, 1, _FLAGS)
                else:
                    self._socket.recv(1, _FLAGS)

    def _take(self, message: _Message) -> Notified | None:
        """Deliver what it says, and return that; None if it says nothing to us."""
        data, flags, pid, pidfd, fds = message
        if pid <= 0:
            self._reject("a notification without credentials was dropped")
            return None
        if flags & (socket.MSG_TRUNC | socket.MSG_CTRUNC) or len(data) > MESSAGE_BYTES_MAX:
            self._reject(f"a notification of process {pid} is too large: dropped")
            return None
        fields = parse_fields(data)
        if not fields or all(name == "BARRIER" for name, _ in fields):
            return None
        found = self._attribute(pid, pidfd)
        if found is None:
            found = self._gone(pid, pidfd)
        if found is None:
            self._reject(f"a notification of process {pid}, which is no unit's, was dropped")
            return None
        event = Notified(found[0], found[1], pid, fields)
        if any(name.startswith("FDSTORE") for name, _ in fields):
            self._keep(event, fds)
        self._deliver(event)
        return event

    def _reject(self, why: str) -> None:
        if self._rejected is None:
            return
        now = self._loop.time()
        if now - self._minute >= 60:
            if self._untold:
                self._rejected(f"{self._untold} more messages were dropped meanwhile")
            self._minute, self._told, self._untold = now, 0, 0
        if self._told < _TOLD_PER_MINUTE:
            self._told += 1
            self._rejected(why)
        else:
            self._untold += 1


def parse_fields(data: bytes) -> tuple[tuple[str, str], ...]:
    """The assignments of one message in order. Lines that are none are passed over; not text: nothing."""
    if b"\0" in data.rstrip(b"\0"):
        return ()
    try:
        text = data.rstrip(b"\0").decode("utf-8")
    except UnicodeDecodeError:
        return ()
    pairs = (line.partition("=") for line in text.split("\n"))
    return tuple((name, value) for name, equals, value in pairs if name and equals)


def _parse_ancillary(ancillary: list[tuple[int, int, bytes]]) -> tuple[int, int, list[int]]:
    """The sender's pid (0: not told, or outside our PID namespace), its pidfd (-1: none; less: the kernel's
    reason why not), and the descriptors sent."""
    pid, pidfd, fds = 0, -1, array.array("i")
    for level, kind, data in ancillary:
        if level != socket.SOL_SOCKET:
            continue
        if kind == socket.SCM_RIGHTS:
            fds.frombytes(data[: len(data) - len(data) % fds.itemsize])
        elif kind == socket.SCM_CREDENTIALS and len(data) >= _CREDENTIALS.size:
            pid = _CREDENTIALS.unpack_from(data)[0]
        elif kind == _SCM_PIDFD and len(data) >= _PIDFD.size:
            pidfd = _PIDFD.unpack_from(data)[0]
    return pid, pidfd, list(fds)
