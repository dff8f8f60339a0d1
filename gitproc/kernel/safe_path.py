"""Reaching a file by a path that somebody unprivileged may have a hand in, without being led astray.

Root follows every link, so who may put one on the way chooses what root opens. The path is walked here step
by step, each link by hand, and who made the links is remembered: one that somebody unprivileged made may
lead to what is theirs, and to nothing else. What is reached is opened only once it is known to be a regular
file: a FIFO would block, and some devices act when they are opened.
"""

from __future__ import annotations

import errno
import os
import stat
from typing import NamedTuple

_LINKS_MAX = 32
_PATH_ONLY = os.O_PATH | os.O_CLOEXEC


class Reached(NamedTuple):
    """What a path leads to. `fd`: an O_PATH descriptor, the caller's.

    `crossed`: a step led from an unprivileged owner's link or folder to somebody else's. `makers`: the
    owners of the links that were followed.
    """

    fd: int
    crossed: bool
    makers: frozenset[int]

    def led_astray(self) -> bool:
        """Whether somebody unprivileged made a link that leads to what is not theirs."""
        trusted = {0, os.geteuid(), os.fstat(self.fd).st_uid}
        return not self.makers <= trusted


def reach(path: str) -> Reached:
    """Walk the absolute `path`, following links by hand. OSError if it leads nowhere."""
    pending = [part for part in reversed(path.split("/")) if part not in ("", ".")]
    here = os.open("/", _PATH_ONLY | os.O_DIRECTORY)
    owner, crossed, makers, links = os.fstat(here).st_uid, False, set[int](), 0
    try:
        while pending:
            part = pending.pop()
            step = os.open(part, _PATH_ONLY | os.O_NOFOLLOW, dir_fd=here)
            info = os.fstat(step)
            crossed = crossed or owner not in (0, info.st_uid)
            owner = info.st_uid
            if not stat.S_ISLNK(info.st_mode):
                os.close(here)
                here = step
                continue
            try:
                target = os.readlink("", dir_fd=step)
            finally:
                os.close(step)
            links += 1
            if links > _LINKS_MAX:
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
            makers.add(info.st_uid)
            pending.extend(x for x in reversed(target.split("/")) if x not in ("", "."))
            if target.startswith("/"):
                os.close(here)
                here = os.open("/", _PATH_ONLY | os.O_DIRECTORY)
    except BaseException:
        os.close(here)
        raise
    return Reached(here, crossed, frozenset(makers))


def is_regular(fd: int) -> bool:
    """Whether a descriptor is of a regular file."""
    return stat.S_ISREG(os.fstat(fd).st_mode)


def reopen(fd: int) -> int:
    """The file of an O_PATH descriptor, opened for reading. OSError."""
    return os.open(f"/proc/self/fd/{fd}", os.O_RDONLY | os.O_CLOEXEC | os.O_NOCTTY)
