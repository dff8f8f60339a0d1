"""Process 1 of a service's PID namespace: forked from the shim, never exec'd, thirty lines of work.

It mounts the namespace's own /proc, starts the service as its child, reaps orphans and forwards signals
(process 1 itself is deaf to signals without a handler, which is why services do badly in its place). The
service's host pid, a pidfd of it and its true wait status go to the shim over a socket: the exit status of
process 1 could say no more than 128 + n.
"""

from __future__ import annotations

import _socket
import os

from gitproc.shim import child, process
from gitproc.shim.clone import clone
from gitproc.shim.protocol import encode, send

TYPE_CHECKING = False  # `typing` and `collections` stay out of this process
if TYPE_CHECKING:
    from typing import NoReturn

    from gitproc.shim.setup import Spec

_SIGCHLD = 17

CLD_EXITED, CLD_KILLED, CLD_DUMPED = 1, 2, 3


def run(
    spec: Spec, fds: list[int], report: int, link: _socket.socket, host: child.Host
) -> NoReturn:
    """Be the init of the namespace this process has been cloned into; all signals are blocked."""
    status = child.STATUS["NAMESPACE"]
    try:
        os.setsid()
        process.set_title("gitproc-init")
        joined = [fd for _, fd in spec.get("join_fds", ())]
        process.close_all_but({0, 1, 2, host.null, report, link.fileno(), *fds, *joined})
        outside = os.open("/proc", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        if spec.get("mount_proc", True):
            child.mount_private_proc()
        pid, pidfd, _ = clone(0)
        if pid == 0:
            child.run(spec, fds, report, host)
        _announce(link, outside, pidfd)
        for target in (0, 1, 2):
            os.dup2(host.null, target)
        process.close_all_but({0, 1, 2, link.fileno(), pidfd})
        os.chdir("/")
        report = -1
        status = _serve(pid, pidfd, link)
    except BaseException as error:
        if report >= 0:
            child.report_failure(report, "NAMESPACE", error)
    finally:
        os._exit(status)


def _announce(link: _socket.socket, outside: int, pidfd: int) -> None:
    """Say the service's pid as the host sees it: read through the host's /proc, before anything is reaped."""
    for line in process.read_small(f"self/fdinfo/{pidfd}", outside).split(b"\n"):
        if line.startswith(b"Pid:"):
            pid = int(line[4:])
            send(link, encode(("service", pid, process.start_time(pid, outside))), (pidfd,))


def _serve(service: int, pidfd: int, link: _socket.socket) -> int:
    while True:
        number, _ = process.wait_signal()
        if number != _SIGCHLD:
            process.pidfd_signal(pidfd, number)
            continue
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return child.STATUS["EXCEPTION"]
            if pid == 0:
                break
            if pid == service:
                code, value = decode_status(status)
                times = (usage.ru_utime, usage.ru_stime, usage.ru_maxrss * 1024)
                send(link, encode(("ended", code, value, times)))
                return value if code == CLD_EXITED else 128 + value


def decode_status(status: int) -> tuple[int, int]:
    """(CLD_* code, exit status or signal) of a wait status."""
    if os.WIFEXITED(status):
        return CLD_EXITED, os.WEXITSTATUS(status)
    return (CLD_DUMPED if os.WCOREDUMP(status) else CLD_KILLED), os.WTERMSIG(status)
