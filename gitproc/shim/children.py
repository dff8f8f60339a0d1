"""The table of services: made, watched, ended, and remembered until the manager has the exit on its disk.

A spawn is idempotent by its cookie: a manager that died between asking and hearing asks again and gets the
process there is. A direct child is the service; with a PID namespace of the "init" kind the direct child
is the mini-init, and service and true status are what that one says over its link.
"""

from __future__ import annotations

import _socket
import errno
import os
import time

from gitproc.shim import child as child_side
from gitproc.shim import foreign, logger, mini_init, pipes, process
from gitproc.shim.clone import (
    CLEAR_HANDLERS,
    CLONE_NEWNS,
    CLONE_NEWPID,
    CgroupRefused,
    clone,
)
from gitproc.shim.connection import Connection
from gitproc.shim.logs import Logs
from gitproc.shim.loop import Loop
from gitproc.shim.one_child import Child
from gitproc.shim.protocol import PAGE_ROWS, ProtocolError, close_all, decode_all, receive

TYPE_CHECKING = False  # `typing` and `collections` stay out of this process
if TYPE_CHECKING:
    from typing import Any

    from gitproc.shim.one_child import Usage
    from gitproc.shim.protocol import Message


class Children:
    """All of them, by id, by cookie and by the pid that is waited for."""

    def __init__(self, loop: Loop, line: Connection, logs: Logs, host: child_side.Host) -> None:
        self._loop = loop
        self._line = line
        self._logs = logs
        self._host = host
        self.by_id: dict[int, Child] = {}
        self.by_cookie: dict[str, Child] = {}
        self.by_pid: dict[int, Child] = {}
        self.exits: dict[int, Child] = {}
        self.next_id = 1
        self.sequence = 0

    # ------------------------------------------------------------ beginning

    def spawn(self, request: int, cookie: str, spec: dict[str, Any], fds: list[int]) -> None:
        """Make a process, or answer with the one that has this cookie."""
        known = self.by_cookie.get(cookie)
        if known is not None:
            self._answer_again(known, request)
            return
        child = Child(self.next_id, cookie)
        self.next_id += 1
        step = "SPEC"
        ours: list[int] = []
        streams: list[logger.Stream] = []
        try:
            if not isinstance(spec["path"], str) or not spec["argv"]:
                raise ValueError("a spec needs a path and arguments")
            step = "STDOUT"
            stdio = pipes.standard(spec, fds, self._host.null, ours, streams)
            step = "FDS"
            stdio += [fds[index] for index in spec.get("fds", ())]
            if spec.get("join_fds"):
                spec["join_fds"] = [(kind, fds[index]) for kind, index in spec["join_fds"]]
            child.report, report = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
            ours.append(report)
            step = "CGROUP"
            cgroup = -1
            if spec.get("cgroup"):
                cgroup = os.open(spec["cgroup"], os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
                ours.append(cgroup)
            step = "NAMESPACE" if spec.get("pid_namespace") else "FORK"
            self._clone(child, spec, stdio, report, cgroup)
        except Exception as error:
            text = str(error)
            if isinstance(error, CgroupRefused):
                step, text = "CGROUP", error.strerror or text
            number = getattr(error, "errno", None) or errno.EINVAL
            close_all([child.report, *(stream[0] for stream in streams)])
            if child.link is not None:
                child.link.close()
            self._line.emit(("refused", request, step, number, text))
            return
        finally:
            close_all(ours)
        for stream in streams:
            self._logs.add(*stream)
        self._enter(child)
        if child.link is None:
            self._started(child, request)
            child.close()
        else:
            child.request = request

    def adopt(self, request: int, cookie: str, pid: int, start_time: int) -> None:
        """Take a process into the table that was not spawned here (start time 0: whichever has the pid)."""
        known = self.by_cookie.get(cookie)
        if known is not None:
            self._answer_again(known, request)
            return
        try:
            pidfd = os.pidfd_open(pid)
            found = process.start_time(pid)
            if start_time not in (0, found) or pid in self.by_pid:
                os.close(pidfd)
                raise ProcessLookupError(errno.ESRCH, "it is another process by now")
        except OSError as error:
            number = error.errno or errno.ESRCH
            self._line.emit(("refused", request, "ADOPT", number, f"process {pid}: {error}"))
            return
        child = Child(self.next_id, cookie)
        self.next_id += 1
        child.pid, child.pidfd, child.start_time, child.executed = pid, pidfd, found, True
        child.foreign = not foreign.is_our_child(pidfd)
        if not child.foreign:
            child.close()
        self._enter(child)
        self._started(child, request)
        self._line.emit(("executed", child.id))

    def _foreign_ended(self, child: Child) -> None:
        self._loop.unwatch(child.pidfd)
        self.ended(child.pid, *foreign.exit_of(child.pid, child.pidfd), (0.0, 0.0, 0))

    def _clone(
        self, child: Child, spec: dict[str, Any], stdio: list[int], report: int, cgroup: int
    ) -> None:
        kind = spec.get("pid_namespace", "")
        flags = CLONE_NEWPID | CLONE_NEWNS if kind else 0
        inner: _socket.socket | None = None
        if kind == "init":
            child.link, inner = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
        else:
            flags |= CLEAR_HANDLERS
            plan = child_side.plan(spec, stdio, report, self._host, handled=False)
        process.block_signals()
        try:
            pid, pidfd, modern = clone(flags, cgroup, brief=inner is None)
            if pid == 0:
                try:
                    if modern and inner is None:
                        child_side.perform(plan)
                    if not modern and cgroup >= 0:
                        spec["cgroup_procs"] = [
                            f"{spec['cgroup']}/cgroup.procs", *spec.get("cgroup_procs", ())
                        ]  # fmt: skip
                    if inner is not None:
                        mini_init.run(spec, stdio, report, inner, self._host)
                    child_side.run(spec, stdio, report, self._host)
                finally:
                    os._exit(255)
        finally:
            process.unblock_signals()
            if inner is not None:
                inner.close()
        if child.link is None:
            child.pid, child.pidfd, child.start_time = pid, pidfd, process.start_time(pid)
        else:
            child.init_pid, child.start_time = pid, process.start_time(pid)
            os.close(pidfd)

    def _enter(self, child: Child) -> None:
        self.by_id[child.id] = self.by_cookie[child.cookie] = child
        if child.exit is not None:
            self.exits[child.exit[1]] = child
            return
        self.by_pid[child.init_pid or child.pid] = child
        if child.foreign:
            self._loop.watch(child.pidfd, lambda _: self._foreign_ended(child))
        if child.report >= 0:
            self._loop.watch(child.report, lambda _: self._read_report(child))
        if child.link is not None:
            self._loop.watch(child.link.fileno(), lambda _: self._read_link(child))

    def _started(self, child: Child, request: int) -> None:
        message = ("started", request, child.id, child.pid, child.start_time, child.init_pid)
        if child.pidfd >= 0:
            self._line.emit(message, (child.pidfd,))
            return
        handles = self._handles([child])
        self._line.emit(message, tuple(handles))
        close_all(handles)

    def _handles(self, children: list[Child]) -> list[int]:
        """A pidfd of each that is alive; of none is left out, as those who get them count."""
        found = []
        for child in children:
            if child.alive:
                try:
                    found.append(child.handle())
                except OSError:
                    found.append(os.dup(self._host.null))  # signals then go by us
        return found

    def _answer_again(self, child: Child, request: int) -> None:
        if child.pid == 0:
            child.request = request
            return
        self._started(child, request)
        if child.executed:
            self._line.emit(("executed", child.id))
        elif child.failure:
            self._line.emit(("setup_failed", child.id, *child.failure))

    # ------------------------------------------------------------ set-up

    def _read_report(self, child: Child) -> None:
        """Set-up reports; the end of the pipe without a failure means that exec succeeded."""
        try:
            data = os.read(child.report, 65536)
        except BlockingIOError:
            return
        if data:
            child.said += data
            return
        self._conclude(child)

    def _conclude(self, child: Child) -> None:
        self._close_report(child)
        self._read_link(child)
        self._announce(child)
        for message in decode_all(child.said):
            match message:
                case ("warning", text):
                    self._line.emit(("warning", child.id, text))
                case ("failed", step, number, text):
                    child.failure = child.failure or (step, number, text)
                case _:
                    process.say(f"process {child.id}: unknown report {message[0]!r}")
        child.said = b""
        if child.failure:
            self._line.emit(("setup_failed", child.id, *child.failure))
        else:
            child.executed = True
            self._line.emit(("executed", child.id))

    def _close_report(self, child: Child) -> None:
        self._loop.unwatch(child.report)
        os.close(child.report)
        child.report = -1

    def _read_link(self, child: Child) -> None:
        while child.link is not None:
            try:
                received = receive(child.link)
            except BlockingIOError:
                return
            except (ProtocolError, OSError):
                received = None
            match received:
                case (("service", pid, start_time), [pidfd]):
                    child.pid, child.start_time, child.pidfd = pid, start_time, pidfd
                    self._announce(child)
                case (("ended", code, status, usage), _):
                    child.ended = (code, status, usage)
                case _:
                    self._close_link(child)

    def _close_link(self, child: Child) -> None:
        if child.link is not None:
            self._loop.unwatch(child.link.fileno())
            child.link.close()
            child.link = None

    def _announce(self, child: Child) -> None:
        if child.pid == 0:  # the mini-init failed before there was a service: it stands for it
            child.pid = child.init_pid
        if child.request is not None:
            request, child.request = child.request, None
            self._started(child, request)

    # ------------------------------------------------------------ end

    def ended(self, pid: int, code: int, status: int, usage: Usage) -> bool:
        """A process has been reaped; False if it is not in the table."""
        child = self.by_pid.pop(pid, None)
        if child is None:
            return False
        while child.report >= 0:
            before = len(child.said)
            self._read_report(child)
            if child.report >= 0 and len(child.said) == before:
                self._conclude(child)  # somebody else holds it open: never decide on that
        self._read_link(child)
        self._announce(child)
        self._close_link(child)
        if child.ended is not None:
            code, status, usage = child.ended
        self.sequence += 1
        child.exit = (
            "exited", self.sequence, child.id, child.cookie, child.pid, code, status, usage, time.time()
        )  # fmt: skip
        child.close()
        self.exits[self.sequence] = child
        self._line.emit_exit(child.exit)
        return True

    def acknowledge(self, sequences: list[int]) -> None:
        """The manager has these exits safe: forget them."""
        for sequence in sequences:
            child = self.exits.pop(sequence, None)
            if child is not None:
                self.by_id.pop(child.id, None)
                if self.by_cookie.get(child.cookie) is child:
                    del self.by_cookie[child.cookie]

    def signal(self, id: int, number: int) -> int:
        """Signal a process; the errno."""
        child = self.by_id.get(id)
        return errno.ESRCH if child is None else child.signal(number)

    # ------------------------------------------------------------ the table

    def forget_requests(self) -> None:
        """They are those of a manager that is gone; the next one asks again, by numbers of its own."""
        for child in self.by_id.values():
            child.request = None

    def send_table(self, request: int) -> None:
        """All pages, then every exit that has not been acknowledged. Pid 0: not announced yet."""
        listed = [*self.by_id.values()]
        pages = range(0, max(len(listed), 1), PAGE_ROWS)
        for page, first in enumerate(pages):
            part = listed[first : first + PAGE_ROWS]
            last = first + PAGE_ROWS >= len(listed)
            rows = [self._row(child) for child in part]
            handles = self._handles(part)
            self._line.emit(("table", request, page, last, rows), tuple(handles))
            close_all(handles)
        unacknowledged: list[Message] = []
        for child in self.exits.values():
            assert child.exit is not None
            if child.failure:
                unacknowledged.append(("setup_failed", child.id, *child.failure))
            unacknowledged.append(child.exit)
        self._line.begin_exits(unacknowledged)

    @staticmethod
    def _row(child: Child) -> tuple[Any, ...]:
        started = child.start_time if child.pid else 0  # until then it is the mini-init's
        return (
            child.id, child.cookie, child.pid, started, child.alive, child.executed, child.init_pid
        )  # fmt: skip

    # ------------------------------------------------------------ over a re-exec

    def save(self, keep: list[int]) -> list[Any]:
        """Plain values of all children; descriptors that must survive go to `keep`."""
        rows = []
        for child in self.by_id.values():
            if child.alive and child.pidfd < 0:
                child.pidfd = child.handle()  # an earlier version counts on it
            link = child.link.fileno() if child.link is not None else -1
            keep.extend(fd for fd in (child.pidfd, child.report, link) if fd >= 0)
            rows.append({**{name: getattr(child, name) for name in Child.__slots__}, "link": link})
        return rows

    def restore(self, rows: list[Any]) -> None:
        """Inverse of `save`, in a new image of this process, of another version perhaps: by names."""
        for row in rows:
            child = Child(0, "")
            link = row.pop("link")
            child.link = _socket.socket(fileno=link) if link >= 0 else None
            for name in Child.__slots__:
                if name in row:
                    setattr(child, name, row[name])
            if not child.foreign and not child.init_pid:
                child.close()
            self._enter(child)
