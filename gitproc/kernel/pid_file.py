"""Reading a PID file without being fooled, by systemd's rules (`PIDFile=` in systemd.service(5)).

The file is trusted as far as its owner is: a pid outside the unit's processes counts only when root wrote
the file, and not at all when the way to the file led from an unprivileged owner's link or directory to
somebody else's.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection

from gitproc.errors import HostError
from gitproc.immutable import NamedTuple
from gitproc.kernel import processes, safe_path

_SIZE_MAX = 64


class MainProcess(NamedTuple):
    """A main process that was found; `warning` is for the log."""

    pid: int
    start_time: int
    warning: str = ""


def read_pid_file(path: str, members: Callable[[], Collection[int]], reaper: int) -> MainProcess:
    """The main process that the PID file at `path` (absolute) names.

    `members` lists the unit's processes, `reaper` is the shim, which can never be meant. HostError where the
    file is missing, malformed, names no living process, or may not be believed.

    Who is listed once its start time is known is the one who has that start time: a pid that ends and comes
    again in between is a stranger's by then, and one that does so later is told by the start time.
    """
    fd, safe = _open(path)
    try:
        info = os.fstat(fd)
        text = os.read(fd, _SIZE_MAX).split(b"\n", 1)[0].strip()
    finally:
        os.close(fd)
    if not text.isdigit() or not 0 < int(text) < 1 << 31:
        raise HostError(f"cannot read a PID from {path}: {text.decode('ascii', 'replace')!r}")
    pid = int(text)
    if pid in (1, os.getpid(), reaper):
        raise HostError(f"PID file {path} names process {pid}, which cannot be the unit's")
    found = processes.stat(pid)
    if found is None or found.state in ("Z", "X", "x"):
        raise HostError(f"PID file {path} names process {pid}, which does not exist")
    if pid in members():
        return MainProcess(pid, found.start_time)
    if not safe:
        raise HostError(
            f"PID file {path} is reached by an unsafe path, and {pid} is not the unit's"
        )
    if info.st_uid != 0:
        raise HostError(
            f"process {pid} is not the unit's, and PID file {path} is not owned by root: refused"
        )
    return MainProcess(
        pid, found.start_time, f"process {pid} of {path} is not the unit's own child"
    )


def _open(path: str) -> tuple[int, bool]:
    """Open `path` for reading; False: a step led from an unprivileged owner's file to somebody else's."""
    try:
        found = safe_path.reach(path)
        try:
            if not safe_path.is_regular(found.fd):
                raise HostError(f"PID file {path} is not a regular file")
            return safe_path.reopen(found.fd), not found.crossed
        finally:
            os.close(found.fd)
    except OSError as error:
        raise HostError(f"cannot read PID file {path}: {error.strerror}") from error
