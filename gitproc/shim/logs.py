"""The shim's side of the logger: it holds every pipe's read end, so that a dead logger costs no line.

A stream is forgotten only when the logger has seen its end. A logger that dies is forked again, at once
the first time and with growing pauses after that.
"""

from __future__ import annotations

import _socket
import os
import time

from gitproc.shim import logger, process
from gitproc.shim.clone import clone
from gitproc.shim.loop import IN, OUT, Loop
from gitproc.shim.protocol import ProtocolError, close_all, encode, receive, send

TYPE_CHECKING = False  # `typing` and `collections` stay out of this process
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from gitproc.shim.logrules import Rules
    from gitproc.shim.protocol import Message

_LONGEST_PAUSE = 5.0  # seconds
_HEALTHY = 10.0  # seconds; one that lived for this long is replaced at once


class Logs:
    """Streams and the process that moves them; `tell` gets warnings and answers for the manager."""

    def __init__(self, loop: Loop, tell: Callable[[Message], None]) -> None:
        self._loop = loop
        self._tell = tell
        self._streams: dict[int, logger.Stream] = {}
        # Packets, and numbers of streams the logger must be given.
        self._unsent: list[bytes | int] = []
        self._blocked = False  # it is waited for that the logger can take more
        self._next = 1
        self._pause = 0.0
        self._born = 0.0  # the logger, by the monotonic clock
        self._control: _socket.socket | None = None
        self.pid = 0
        self.finishing = False

    @property
    def done(self) -> bool:
        """Told to finish, and finished."""
        return self.finishing and not self.pid and not self._loop.pending("logger")

    def add(
        self, pipe: int, path: str, max_bytes: int, files: int, rules: Rules | None = None
    ) -> None:
        """Log what comes out of this pipe (the read end is ours from here on)."""
        number = self._next
        self._next += 1
        self._streams[number] = (pipe, path, max_bytes, files, rules)
        self._say(number)

    def reopen(self, token: int) -> None:
        """Have the files closed and opened again; answered by ("reopened", token)."""
        self._say(encode(("reopen", token)))

    def drain(self, token: int) -> None:
        """Have what is in the pipes by now written down; answered by ("drained", token), or by nothing if
        the logger dies over it."""
        self._say(encode(("drain", token)))

    def finish(self) -> None:
        """Have the logger write down what is in the pipes, and end."""
        self.finishing = True
        if self.pid:
            self._say(encode(("finish",)))

    def start(self) -> None:
        """Fork the logger."""
        self._loop.cancel("logger")
        ours, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
        process.block_signals()
        try:
            pid, pidfd, _ = clone(0)
            if pid == 0:
                logger.run(theirs, self._streams.items())
        except OSError as error:
            process.say(f"cannot start the logger: {error}")
            ours.close()
            self._again()
            return
        finally:
            process.unblock_signals()
            theirs.close()
        os.close(pidfd)
        self.pid = pid
        self._born = time.monotonic()
        self._unsent = [
            item for item in self._unsent if isinstance(item, bytes)
        ]  # it has all streams
        self._watch(ours)
        if self.finishing:
            self._unsent.append(encode(("finish",)))
        self._flush()

    def ended(self, pid: int, clean: bool) -> bool:
        """A process has been reaped; False if it is not the logger. `clean`: it ended as told."""
        if pid != self.pid:
            return False
        self._read()
        self._hang_up()
        self.pid = 0
        if time.monotonic() >= self._born + _HEALTHY:
            self._pause = 0.0
        if not (self.finishing and clean):
            self._again()
        return True

    def save(self, keep: list[int]) -> dict[str, Any]:
        """For a re-exec: the streams. The old image's logger is told to go and is replaced."""
        keep.extend(stream[0] for stream in self._streams.values())
        control = self._control.fileno() if self._control is not None else -1
        if control >= 0:
            keep.append(control)
        return {"streams": self._streams, "next": self._next, "pid": self.pid, "control": control}

    def restore(self, state: dict[str, Any]) -> None:
        """Inverse of `save`."""
        self._streams, self._next = state["streams"], state["next"]
        self.pid = state["pid"]
        if state["control"] >= 0:
            self._watch(_socket.socket(fileno=state["control"]))
        if self.pid:
            self._say(encode(("quit",)))  # its end starts the new code's logger
        else:
            self.start()

    def _again(self) -> None:
        self._loop.after("logger", self._pause, self.start)
        self._pause = min(max(self._pause * 2, 0.1), _LONGEST_PAUSE)

    def _watch(self, control: _socket.socket) -> None:
        self._control = control
        self._blocked = False
        self._loop.watch(control.fileno(), self._ready)

    def _hang_up(self) -> None:
        if self._control is not None:
            self._loop.unwatch(self._control.fileno())
            self._control.close()
            self._control = None

    def _ready(self, events: int) -> None:
        if events & OUT:
            self._flush()
        if events & ~OUT:
            self._read()

    def _say(self, item: bytes | int) -> None:
        self._unsent.append(item)
        if len(self._unsent) == 1:
            self._flush()

    def _flush(self) -> None:
        while self._unsent and self._control is not None:
            item = self._unsent[0]
            try:
                if isinstance(item, bytes):
                    send(self._control, item)
                elif item in self._streams:
                    pipe, *rest = self._streams[item]
                    send(self._control, encode(("stream", item, *rest)), (pipe,))
            except OSError:  # it is busy with its disk, or dying
                self._expect(blocked=True)
                return
            self._unsent.pop(0)
        self._expect(blocked=False)

    def _expect(self, *, blocked: bool) -> None:
        if self._control is not None and blocked != self._blocked:
            self._loop.expect(self._control.fileno(), IN | OUT if blocked else IN)
            self._blocked = blocked

    def _read(self) -> None:
        while self._control is not None:
            try:
                received = receive(self._control)
            except BlockingIOError:
                return
            except (ProtocolError, OSError):
                received = None
            match received:
                case (("ended", list(numbers)), _):
                    gone = [
                        self._streams.pop(number) for number in numbers if number in self._streams
                    ]
                    close_all([stream[0] for stream in gone])
                case (("warning", text), _):
                    process.say(text)
                    self._tell(("warning", 0, text))
                case (("reopened" | "drained" as done, token), _):
                    self._tell((done, token))
                case _:
                    self._hang_up()
