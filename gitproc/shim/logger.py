"""The logger: moves every service's pipe into its file, so that neither shim nor manager ever waits for a disk.

Forked from the shim and never exec'd (one megabyte of its own). The shim holds the read ends too: when the
logger dies, what services write waits in the pipes for the next one. It outlives a shim that is killed,
until the last writer has gone.
"""

# ruff: noqa: SIM105 (contextlib would cost every start 4 ms)

from __future__ import annotations

import _socket
import os
import select
import time

from gitproc.shim import process
from gitproc.shim.logfile import LogFile
from gitproc.shim.logrules import Sieve
from gitproc.shim.protocol import ProtocolError, encode, receive

TYPE_CHECKING = False  # `typing` and `collections` stay out of this process
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import NoReturn

    from gitproc.shim.logrules import Rules
    from gitproc.shim.protocol import Message

    # read end, path, max bytes, files, rules of what is kept out (none: all is kept)
    Stream = tuple[int, str, int, int, Rules | None]


_READ = 65536
_LULL = 0.1  # seconds: a service has ended, and who replaces it has better things to do than to hear of its pipe
_ENDED_MAX = 64  # of which the shim has not been told
_PASSES = (
    2  # over all pipes that are ready: what is in them is moved, then those without a writer end
)


class Logger:
    """The main loop. Streams are known by the number the shim gave them."""

    def __init__(self, control: _socket.socket) -> None:
        self._control: _socket.socket | None = control
        self._epoll = select.epoll()
        self._epoll.register(control.fileno(), select.EPOLLIN)
        self._files: dict[str, LogFile] = {}
        self._streams: dict[int, tuple[int, LogFile]] = {}  # by descriptor
        self._sieves: dict[int, Sieve] = {}  # of the few streams that have rules
        self._ended: list[
            int
        ] = []  # numbers of streams; the shim is told of all at once, when it is quiet
        self._finishing = False
        self._drains: list[tuple[int, int]] = []  # token, passes that are left

    def add(
        self,
        number: int,
        pipe: int,
        path: str,
        max_bytes: int,
        files: int,
        rules: Rules | None = None,
    ) -> None:
        """Take over a pipe."""
        file = self._files.get(path)
        if file is None:
            file = self._files[path] = LogFile(path, max_bytes, files)
        file.max_bytes, file.files = max_bytes, files
        file.users += 1
        self._streams[pipe] = (number, file)
        if rules:
            self._sieves[pipe] = Sieve(rules, file.limit)
        self._epoll.register(pipe, select.EPOLLIN)

    def run(self) -> None:
        """Until told to end, or until shim and all writers are gone."""
        while self._control is not None or self._streams:
            hurry = self._finishing or self._drains
            timeout = 0 if hurry else _LULL if self._ended else -1
            ready = self._epoll.poll(timeout, len(self._streams) + 1)
            if self._ended and (not ready or len(self._ended) >= _ENDED_MAX):
                self._tell(("ended", self._ended))
                self._ended = []
            for fd, events in ready:
                if fd in self._streams:
                    if events & select.EPOLLIN:
                        self._move(fd)
                    else:  # nothing left, nobody writes
                        self._end(fd)
                elif self._control is not None and not self._obey(self._control):
                    return
            if hurry and self._drains:
                self._drained()
            if self._finishing and not self._epoll.poll(0):
                return

    def _move(self, pipe: int) -> None:
        file, sieve = self._streams[pipe][1], self._sieves.get(pipe)
        try:
            if sieve is None:
                taken, news = file.move(pipe)
            else:
                data = os.read(pipe, _READ)
                taken, kept = len(data), sieve.sift(data, time.monotonic())
                news = file.write(kept) if kept else ""
        except BlockingIOError:
            return
        if news:
            self._tell(("warning", news))
        if not taken:
            self._end(pipe)

    def _end(self, pipe: int) -> None:
        number, file = self._streams.pop(pipe)
        sieve = self._sieves.pop(pipe, None)
        kept = sieve.finish(time.monotonic()) if sieve is not None else b""
        if kept:
            file.write(kept)
        if file.dropped:
            self._tell(("warning", f"{file.path}: {file.dropped} bytes were lost"))
        self._epoll.unregister(pipe)
        os.close(pipe)
        file.users -= 1
        if not file.users:
            file.reopen()
            del self._files[file.path]
        self._ended.append(number)

    def _drained(self) -> None:
        """A pass over all that was ready is over. It is bounded: somebody may write without end."""
        waiting, self._drains = self._drains, []
        for token, passes in waiting:
            if passes > 1:
                self._drains.append((token, passes - 1))
            else:
                self._tell(("drained", token))

    def _obey(self, control: _socket.socket) -> bool:
        try:
            received = receive(control)
        except BlockingIOError:
            return True
        except (ProtocolError, OSError):
            received = None
        if received is None:
            self._epoll.unregister(control.fileno())
            control.close()
            self._control = None
            return True
        match received:
            case (("stream", number, *rest), [pipe]):
                self.add(number, pipe, *rest)
            case (("reopen", token), _):
                for file in self._files.values():
                    file.reopen()
                self._tell(("reopened", token))
            case (("drain", token), _):
                self._drains.append((token, _PASSES))
            case (("finish",), _):
                self._finishing = True
            case (("quit",), _):
                return False
            case _:
                process.say(f"logger: unknown order {received[0][0]!r}")
        return True

    def _tell(self, message: Message) -> None:
        if self._control is None:
            return
        try:
            self._control.sendall(encode(message), _socket.MSG_NOSIGNAL)
        except OSError:
            pass  # the shim is gone; what it should have known is known by the next one anyway


def run(control: _socket.socket, streams: Iterable[tuple[int, Stream]]) -> NoReturn:
    """Be the logger; called in a fresh fork of the shim with all signals blocked."""
    status = 1
    try:
        kept = list(streams)
        os.setsid()
        process.close_all_but({0, 1, 2, control.fileno(), *(stream[0] for _, stream in kept)})
        process.set_title("gitproc-logger")
        logger = Logger(control)
        for number, stream in kept:
            logger.add(number, *stream)
        del kept
        logger.run()
        status = 0
    except BaseException as error:
        process.say(f"the logger ends: {error!r}")
    finally:
        os._exit(status)
