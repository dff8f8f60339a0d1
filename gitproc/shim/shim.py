"""The shim itself: parent of all services, deaf to policy, careful never to wait for anybody.

It answers the operations of `protocol`, reaps, and keeps what must outlive a manager. It can replace its
own program in place: state goes through a memfd, descriptors stay open, the pid and with it the
parenthood of every service remain.
"""

from __future__ import annotations

import _socket
import errno
import marshal
import os
import sys

from gitproc.shim import child, process
from gitproc.shim.children import Children
from gitproc.shim.clone import have_clone3
from gitproc.shim.connection import Connection
from gitproc.shim.holdings import Holdings
from gitproc.shim.last_resort import LastResort
from gitproc.shim.logs import Logs
from gitproc.shim.loop import Loop
from gitproc.shim.manager import Manager
from gitproc.shim.mini_init import decode_status
from gitproc.shim.protocol import VERSION

TYPE_CHECKING = False  # `typing` and `collections` stay out of this process
if TYPE_CHECKING:
    from typing import Any

    from gitproc.shim.protocol import Message

_HUP, _INT, _TERM, _CHLD, _XFSZ = 1, 2, 15, 17, 25
_LAST_WORDS = 5.0  # seconds the logger and the manager have to end after a shutdown


class Shim:
    """One per machine (or container, or user)."""

    def __init__(
        self, listener: _socket.socket, notify: _socket.socket, host: child.Host, manager: list[str]
    ) -> None:
        self._listener = listener
        self._notify = notify
        self._host = host
        self._terminate = 0  # the signal that asked for it
        self._exit_status: int | None = None
        self._reexec: int | None = None  # the request that asked for it
        self.epoch = ""
        self.features: dict[str, Any] = {}
        reading, writing = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._wakeup = reading
        self._loop = Loop()
        self._line = Connection(self._loop, listener, self._dispatch)
        self._logs = Logs(self._loop, self._line.emit)
        self._children = Children(self._loop, self._line, self._logs, host)
        self._holdings = Holdings(self._line)
        self._manager = Manager(self._loop, manager, host)
        self._last_resort = LastResort(
            self._loop,
            self._children,
            lambda: (self._logs.pid, self._manager.pid),
            self._end_without_manager,
        )
        self._line.greet = self._greet
        self._line.on_idle = self._idle
        self._loop.watch(reading, self._woken)
        # Caught and not ignored, where nothing is to be done: exec makes that the usual disposition.
        process.catch_signals(writing, _CHLD, _TERM, _INT, _HUP, _XFSZ)
        host.note_signals()

    def start(self) -> None:
        """First start: a logger and, standalone, a manager."""
        boot = process.read_small("/proc/sys/kernel/random/boot_id").decode().strip()
        self.epoch = f"{boot}-{os.getpid()}-{process.start_time(os.getpid())}"
        self._logs.start()
        self._manager.start()

    def run(self) -> int:
        """Serve until shut down; the exit status."""
        process.unblock_signals()  # a re-exec blocked them
        self._reap()
        while self._exit_status is None:
            self._loop.turn()
        return self._exit_status

    # ------------------------------------------------------------ requests

    def _greet(self) -> None:
        self._manager.greeted = True
        self._children.forget_requests()
        features = {**self.features, "clone3": have_clone3(), "holds": True, "drains": True}
        welcome = ("welcome", VERSION, os.getpid(), self.epoch, features)
        self._line.emit(welcome, (self._notify.fileno(),))
        self._last_resort.came()
        if self._terminate:
            self._line.emit(("terminate", self._terminate))

    def _dispatch(self, message: Message, fds: list[int]) -> None:
        match message:
            case ("spawn", int(request), str(cookie), dict(spec)):
                self._children.spawn(request, cookie, spec, fds)
            case ("adopt", int(request), str(cookie), int(pid), int(start_time)):
                self._children.adopt(request, cookie, pid, start_time)
            case ("list", int(request)):
                self._children.send_table(request)
            case ("ack", list(sequences)):
                self._children.acknowledge(sequences)
                self._nothing_left()
            case ("signal", int(request), int(id), int(number)):
                self._line.emit(("signalled", request, self._children.signal(id, number)))
            case ("hold", int(request), str(owner), str(name), str(note)):
                self._holdings.hold(request, owner, name, note, fds)
            case ("drop", int(request), str(owner), str() | None as name):
                self._holdings.drop(request, owner, name)
            case ("holdings", int(request)):
                self._holdings.send_table(request)
            case ("reopen", int(request)):
                self._logs.reopen(request)
            case ("drain", int(request)):
                self._logs.drain(request)
            case ("reexec", int(request)):
                self._reexec = request
                self._idle()
            case ("shutdown",):
                self._shut_down()
            case _:
                self._line.emit(("error", f"unknown or malformed request {str(message[0])[:50]!r}"))

    def _idle(self) -> None:
        if self._reexec is not None and self._line.idle:
            request, self._reexec = self._reexec, None
            try:
                self._replace_program(request)
            except OSError as error:
                process.unblock_signals()
                number = error.errno or errno.EINVAL
                self._line.emit(("refused", request, "REEXEC", number, str(error)))

    # ------------------------------------------------------------ signals and ends

    def _woken(self, events: int) -> None:
        numbers = os.read(self._wakeup, 4096)
        self._reap()
        for number in (_TERM, _INT):
            if number in numbers:
                self._asked_to_terminate(number)

    def _reap(self) -> None:
        while True:
            try:
                pid, status, used = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            code, value = decode_status(status)
            try:
                usage = (used.ru_utime, used.ru_stime, used.ru_maxrss * 1024)
                if self._children.ended(pid, code, value, usage) or self._logs.ended(
                    pid, status == 0
                ):
                    pass
                elif self._manager.ended(pid, code, value):
                    self._manager_ended(code, value)
            except Exception as error:
                process.say(f"exit of {pid}: {error!r}")
            self._nothing_left()

    def _manager_ended(self, code: int, status: int) -> None:
        if not self._children.by_id and (self._terminate or not self._manager.greeted):
            self._shut_down(status if code == 1 else 128 + status)
        elif self._terminate:
            self._last_resort.wait()
            if self._line.sock is None:
                self._last_resort.failed()

    def _asked_to_terminate(self, number: int) -> None:
        self._terminate = number
        if self._manager.ours:
            self._manager.start()
            if self._line.sock is None:
                self._last_resort.wait()
        if self._line.sock is not None:
            self._line.emit(("terminate", number))
        self._nothing_left()

    def _nothing_left(self) -> None:
        """Asked to end, nobody to do it in order, nothing runs: end."""
        unmanaged = self._line.sock is None and not self._manager.ours
        if self._terminate and unmanaged and not self._children.by_pid:
            self._shut_down()
        self._last_resort.look()
        if self._loop.pending("end") and self._logs.done and not self._manager.pid:
            self._end()

    def _shut_down(self, status: int = 0) -> None:
        if self._loop.pending("end"):
            return
        self._final = status
        self._manager.leave()
        self._logs.finish()
        self._loop.after("end", _LAST_WORDS, self._end)

    def _end_without_manager(self) -> None:
        if self._manager.pid:
            os.kill(self._manager.pid, 9)  # it stands still, or it would have come
        self._shut_down(1)

    def _end(self) -> None:
        self._exit_status = self._final

    _final = 0

    # ------------------------------------------------------------ re-exec

    def _replace_program(self, request: int) -> None:
        keep = [self._listener.fileno(), self._notify.fileno()]
        sock = self._line.sock
        if sock is not None:
            keep.append(sock.fileno())
        state = {
            "version": VERSION,
            "request": request,
            "epoch": self.epoch,
            "nofile": self._host.nofile,
            "oom_lowered": self._host.oom_lowered,
            "features": self.features,
            "listener": keep[0],
            "notify": keep[1],
            "connection": sock.fileno() if sock is not None else -1,
            "listed": self._line.listed,
            "terminate": self._terminate,
            "manager": (self._manager.pid, self._manager.greeted),
            "logs": self._logs.save(keep),
            "children": self._children.save(keep),
            "holdings": self._holdings.save(keep),
            "numbers": (self._children.next_id, self._children.sequence),
            "inherited": keep,
        }
        memfd = os.memfd_create("gitproc-state", 0)
        try:
            with open(memfd, "wb", closefd=False) as file:
                marshal.dump(state, file, 2)
            os.lseek(memfd, 0, os.SEEK_SET)
            process.block_signals()
            for fd in keep:
                os.set_inheritable(fd, True)
            arguments = [word for word in sys.orig_argv if not word.startswith("--state=")]
            os.execv(sys.executable, [*arguments, f"--state={memfd}"])
        finally:
            for fd in keep:
                os.set_inheritable(fd, False)
            os.close(memfd)

    def resume(self, state: dict[str, Any]) -> None:
        """Go on where the former image of this process stopped."""
        self.epoch, self.features = state["epoch"], state["features"]
        self._terminate = state["terminate"]
        self._children.next_id, self._children.sequence = state["numbers"]
        self._manager.adopt(*state["manager"])
        if state["connection"] >= 0:
            self._line.resume(_socket.socket(fileno=state["connection"]), state["listed"], [])
        self._children.restore(state["children"])
        self._logs.restore(state["logs"])
        self._holdings.restore(state.get("holdings", ()))
        self._line.emit(("reexeced", state["request"]))
        if self._terminate and self._line.sock is None:
            self._last_resort.wait()
        self._manager.start()
