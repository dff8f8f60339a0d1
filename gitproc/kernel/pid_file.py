"""Reading a PID file without being fooled, by systemd's rules (`PIDFile=` in systemd.service(5)).

The file is trusted as far as its owner is: a pid outside the unit's processes counts only when root wrote
the file, and not at all when the way to the file led from an unprivileged owner's link or directory to
somebody else's.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Collection
from typing import NamedTuple

from gitproc.errors import HostError
from gitproc.kernel import processes

_LINKS_MAX = 32
_SIZE_MAX = 64


class MainProcess(NamedTuple):
    """A main process that was found; `warning` is for the log."""

    pid: int
    start_time: int
    warning: str = ""


def read_pid_file(path: str, members: Collection[int], reaper: int) -> MainProcess:
    """The main process that the PID file at `path` (absolute) names.

    `members` are the unit's processes, `reaper` the shim, which can never be meant. HostError where the
    file is missing, malformed, names no living process, or may not be believed.
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
    if pid in members:
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
    """Open `path` for reading, following links by hand; False: a step was not safe (see `_crossed`)."""
    pending = [part for part in reversed(path.split("/")) if part not in ("", ".")]
    here = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    owner, safe, links = os.fstat(here).st_uid, True, 0
    try:
        while pending:
            part = pending.pop()
            step = os.open(part, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=here)
            info = os.fstat(step)
            safe = safe and not _crossed(owner, info.st_uid)
            if stat.S_ISLNK(info.st_mode):
                links += 1
                if links > _LINKS_MAX:
                    os.close(step)
                    raise HostError(f"too many links in {path}")
                target = os.readlink("", dir_fd=step)
                os.close(step)
                pending.extend(x for x in reversed(target.split("/")) if x not in ("", "."))
                if target.startswith("/"):
                    os.close(here)
                    here = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
                owner = info.st_uid
                continue
            os.close(here)
            here, owner = step, info.st_uid
        # A FIFO would block and a device may act when it is opened.
        if not stat.S_ISREG(os.fstat(here).st_mode):
            raise HostError(f"PID file {path} is not a regular file")
        return os.open(f"/proc/self/fd/{here}", os.O_RDONLY | os.O_CLOEXEC), safe
    except OSError as error:
        raise HostError(f"cannot read PID file {path}: {error.strerror}") from error
    finally:
        os.close(here)


def _crossed(owner: int, following: int) -> bool:
    """Whether a step leads from an unprivileged owner's file to somebody else's."""
    return owner not in (0, following)
