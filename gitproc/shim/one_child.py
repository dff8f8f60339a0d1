"""One service process, as its parent knows it."""

from __future__ import annotations

import _socket
import errno
import os

from gitproc.shim import process

TYPE_CHECKING = False  # `typing` and `collections` stay out of this process
if TYPE_CHECKING:
    from gitproc.shim.protocol import Message

    Usage = tuple[float, float, int]


class Child:
    """One service process. `pid` 0: its mini-init has not announced it yet.

    `pidfd` is kept of those that somebody else reaps; the pid of a child of ours is its own until we have. (Each
    descriptor that is open here costs every start: the child gets a copy, and exec closes it.)
    """

    __slots__ = (
        "cookie", "ended", "executed", "exit", "failure", "foreign", "id", "init_pid", "link", "pid",
        "pidfd", "report", "request", "said", "start_time",
    )  # fmt: skip

    def __init__(self, id: int, cookie: str) -> None:
        self.id = id
        self.cookie = cookie
        self.pid = self.start_time = self.init_pid = 0
        self.pidfd = self.report = -1
        self.said = b""
        self.link: _socket.socket | None = None
        self.request: int | None = None  # the spawn to be answered once the mini-init has spoken
        self.ended: tuple[int, int, Usage] | None = None
        self.executed = False
        self.foreign = False  # somebody else reaps it
        self.failure: tuple[str, int, str] | None = None
        self.exit: Message | None = None

    @property
    def alive(self) -> bool:
        """Whether there is a process to be signalled."""
        return self.exit is None and self.pid > 0

    def handle(self) -> int:
        """A pidfd to give away, the caller's from here on; OSError if there is none to be had."""
        return os.dup(self.pidfd) if self.pidfd >= 0 else os.pidfd_open(self.pid)

    def signal(self, number: int) -> int:
        """Send a signal; the errno (0: sent)."""
        if not self.alive:
            return errno.ESRCH
        if self.pidfd >= 0:
            return process.pidfd_signal(self.pidfd, number)
        try:
            os.kill(self.pid, number)
        except OSError as error:
            return error.errno or errno.EINVAL
        return 0

    def close(self) -> None:
        """Give its pidfd back."""
        if self.pidfd >= 0:
            os.close(self.pidfd)
            self.pidfd = -1
