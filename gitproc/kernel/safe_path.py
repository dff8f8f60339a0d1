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
from collections.abc import Iterator
from contextlib import contextmanager

from gitproc.immutable import NamedTuple

_LINKS_MAX = 32
_PATH_ONLY = os.O_PATH | os.O_CLOEXEC


class Reached(NamedTuple):
    """What a path leads to. `fd`: an O_PATH descriptor, the caller's.

    `crossed`: a step led from an unprivileged owner's link or folder to somebody else's. `makers`: the
    owners of the links that were followed. `firm`: nobody unprivileged could have the path lead elsewhere.
    """

    fd: int
    crossed: bool
    makers: frozenset[int]
    firm: bool

    def led_astray(self) -> bool:
        """Whether somebody unprivileged made a link that leads to what is not theirs."""
        trusted = {0, os.geteuid(), os.fstat(self.fd).st_uid}
        return not self.makers <= trusted


def reach(path: str) -> Reached:
    """Walk the absolute `path`, following links by hand. OSError if it leads nowhere."""
    pending = [part for part in reversed(path.split("/")) if part not in ("", ".")]
    here = os.open("/", _PATH_ONLY | os.O_DIRECTORY)
    above = os.fstat(here)
    owner, crossed, makers, links, firm = above.st_uid, False, set[int](), 0, True
    try:
        while pending:
            part = pending.pop()
            step = os.open(part, _PATH_ONLY | os.O_NOFOLLOW, dir_fd=here)
            info = os.fstat(step)
            crossed = crossed or owner not in (0, info.st_uid)
            firm = firm and _holds(above, info)
            owner = info.st_uid
            if not stat.S_ISLNK(info.st_mode):
                os.close(here)
                here, above = step, info
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
                above = os.fstat(here)
    except BaseException:
        os.close(here)
        raise
    return Reached(here, crossed, frozenset(makers), firm)


def _holds(folder: os.stat_result, entry: os.stat_result) -> bool:
    """Whether the entry of a folder is safe from everybody but root and us."""
    ours = (0, os.geteuid())
    if folder.st_uid not in ours:
        return False
    if not folder.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        return True
    return bool(folder.st_mode & stat.S_ISVTX) and entry.st_uid in ours


@contextmanager
def folder_of(path: str, mode: int = -1) -> Iterator[tuple[Reached, str]]:
    """The folder that the last name of an absolute path lies in, and that name.

    `mode`: folders that are missing are made, and get it. OSError (ELOOP): somebody unprivileged made a link
    that leads to what is not theirs.
    """
    above, _, name = path.rstrip("/").rpartition("/")
    found = _folder(above or "/", mode)
    try:
        yield found, name
    finally:
        os.close(found.fd)


def make_folder(path: str, mode: int, above: int) -> None:
    """Make a folder that is not there, and those above it with the mode `above`. OSError as `folder_of`."""
    with folder_of(path, above) as (folder, name):
        os.close(_enter(folder.fd, name, mode))


def _folder(path: str, mode: int) -> Reached:
    missing: list[str] = []
    while True:
        try:
            found = reach(path)
            break
        except FileNotFoundError:
            above, _, name = path.rstrip("/").rpartition("/")
            if mode < 0 or not name or name == "..":
                raise
            path = above or "/"
            missing.append(name)
    here, firm = found.fd, found.firm
    try:
        if found.led_astray():
            raise OSError(errno.ELOOP, "a link that others could have made", path)
        for name in reversed(missing):
            below = _enter(here, name, mode)
            firm = firm and _holds(os.fstat(here), os.fstat(below))
            os.close(here)
            here = below
    except BaseException:
        os.close(here)
        raise
    return found._replace(fd=here, firm=firm)


def _enter(folder: int, name: str, mode: int) -> int:
    """A folder's folder, made with this mode where it is missing."""
    try:
        os.mkdir(name, 0o700, dir_fd=folder)
        made = True
    except FileExistsError:
        made = False
    fd = os.open(name, _PATH_ONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=folder)
    try:
        if made and os.fstat(fd).st_uid == os.geteuid():  # else somebody put theirs in its place
            os.chmod(f"/proc/self/fd/{fd}", mode)
    except BaseException:
        os.close(fd)
        raise
    return fd


def is_regular(fd: int) -> bool:
    """Whether a descriptor is of a regular file."""
    return stat.S_ISREG(os.fstat(fd).st_mode)


def reopen(fd: int) -> int:
    """The file of an O_PATH descriptor, opened for reading. OSError."""
    return os.open(f"/proc/self/fd/{fd}", os.O_RDONLY | os.O_CLOEXEC | os.O_NOCTTY)
