"""Tidying up after an instance: its RuntimeDirectory= and its PID file, never anything else.

The names come from unit files and the contents from the service, so both are taken for hostile: every step
goes by directory descriptors, no link is followed, and no other file system is entered.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from gitproc.kernel import safe_path, spec_credentials
from gitproc.kernel.dynamic_users import PRIVATE
from gitproc.kernel.launch import LaunchContext
from gitproc.kernel.launch_environment import is_private
from gitproc.units import directives as d
from gitproc.units.unit import Unit

if TYPE_CHECKING:
    from gitproc.kernel.trash import Trash

MOST_AT_ONCE = 1000
"""Entries that are removed while the manager waits: about ten milliseconds."""
_OPEN = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class TooMuchError(Exception):
    """There is more in a folder than may be removed at once."""


def release(
    unit: Unit,
    context: LaunchContext,
    *,
    keep_runtime: bool = False,
    shared: bool = False,
    trash: Trash | None = None,
) -> list[str]:
    """Remove what the ended instance leaves; returns what could not be removed, one sentence each.

    `keep_runtime`: a restart follows, over which RuntimeDirectoryPreserve=restart keeps the directory.
    `shared`: another instance of the unit lives, whose directories these are, too.
    `trash` takes a directory in which there is very much, so that nobody waits for that.
    """
    problems = spec_credentials.release(unit, context)
    if unit[d.PID_FILE]:
        problems += remove_pid_file(unit[d.PID_FILE])
    preserve = unit[d.RUNTIME_DIRECTORY_PRESERVE]
    if not shared and (preserve == "no" or (preserve == "restart" and not keep_runtime)):
        for own in unit[d.RUNTIME_DIRECTORY]:
            if own.link and not context.is_own(f"{context.host.run}/{own.link}"):
                problems += remove_link(context.host.run, own.link)
            if not context.is_own(f"{context.host.run}/{own.path}"):
                problems += remove_tree(context.host.run, own.path, trash)
                if is_private(unit, 0):
                    problems += remove_tree(context.host.run, f"{PRIVATE}/{own.path}", trash)
    return problems


def remove_pid_file(path: str) -> list[str]:
    """Remove a PID file that the service left; links and folders in its place are left alone."""
    try:
        parent = safe_path.reach(os.path.dirname(path))
    except FileNotFoundError:
        return []
    except OSError as error:
        return [f"cannot remove PID file {path}: {error.strerror}"]
    try:
        if parent.led_astray():
            return [f"PID file {path} is not removed: a link leads to somebody else's folder"]
        name = os.path.basename(path)
        if stat.S_ISREG(os.stat(name, dir_fd=parent.fd, follow_symlinks=False).st_mode):
            os.unlink(name, dir_fd=parent.fd)
    except FileNotFoundError:
        pass
    except OSError as error:
        return [f"cannot remove PID file {path}: {error.strerror}"]
    finally:
        os.close(parent.fd)
    return []


def remove_link(root: str, name: str) -> list[str]:
    """Remove the symbolic link `name` (a relative path) below `root`; anything else in its place stays."""
    return _below(root, name, _unlink)


def remove_tree(root: str, name: str, trash: Trash | None = None) -> list[str]:
    """Remove the folder `name` (a relative path) below `root` with all that is in it.

    A link in place of the folder is itself removed; one on the way there stops it. What takes long goes to
    `trash`.
    """
    return _below(root, name, lambda parent, last: _remove_or_put_aside(parent, last, trash))


def _below(root: str, name: str, action: Callable[[int, str], None]) -> list[str]:
    parts = [part for part in name.split("/") if part]
    if not parts or ".." in parts or "." in parts:
        return [f"not a folder below {root}: {name!r}"]
    here = -1
    try:
        here = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        for part in parts[:-1]:
            deeper = os.open(part, _OPEN, dir_fd=here)
            os.close(here)
            here = deeper
        action(here, parts[-1])
    except FileNotFoundError:
        return []
    except OSError as error:
        return [f"cannot remove {root}/{name}: {error.strerror}"]
    finally:
        if here >= 0:
            os.close(here)
    return []


def _unlink(parent: int, name: str) -> None:
    if stat.S_ISLNK(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode):
        os.unlink(name, dir_fd=parent)


def _remove_or_put_aside(parent: int, name: str, trash: Trash | None) -> None:
    if trash is None:
        remove(parent, name, lambda: None)
        return
    try:
        remove(parent, name, few())
    except TooMuchError:
        trash.take(parent, name)


def few() -> Callable[[], None]:
    """To be called for every entry: raises TooMuchError after MOST_AT_ONCE."""
    left = MOST_AT_ONCE

    def count() -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise TooMuchError

    return count


def remove(parent: int, name: str, each: Callable[[], None]) -> None:
    """Remove one entry and all below it that lies on the same file system, and is not mounted there.

    `each` is called for every entry before it is looked at; what it raises ends the removal. Without
    recursion, and with few descriptors: who fills a folder may nest it deeper than any stack goes. The way
    back up is by `..`, which is held against where we came from.
    """
    info = os.stat(name, dir_fd=parent, follow_symlinks=False)
    if not stat.S_ISDIR(info.st_mode):
        os.unlink(name, dir_fd=parent)
        return
    here = os.open(name, _OPEN, dir_fd=parent)
    try:
        mount = _mount(here)
        way = [(name, _identity(info), _strip(here, info.st_dev, each))]
        while True:
            last, _, folders = way[-1]
            if folders:
                following = folders.pop()
                below = os.open(following, _OPEN, dir_fd=here)
                if _mount(below) != mount:  # the same disk, bound here: it stays
                    os.close(below)
                    continue
                os.close(here)
                here = below
                folders = _strip(here, info.st_dev, each)
                way.append((following, _identity(os.fstat(here)), folders))
                continue
            way.pop()
            if not way:
                break
            above = os.open("..", _OPEN, dir_fd=here)
            os.close(here)
            here = above
            if _identity(os.fstat(here)) != way[-1][1]:
                raise OSError(errno.ESTALE, "a folder in it was moved meanwhile")
            with suppress(OSError):  # something in it stays: so will the whole, which is told
                os.rmdir(last, dir_fd=here)
    finally:
        os.close(here)
    os.rmdir(name, dir_fd=parent)


def _mount(fd: int) -> bytes:
    """The mount that a descriptor's file was reached by; b"" where the kernel does not tell."""
    with suppress(OSError), open(f"/proc/self/fdinfo/{fd}", "rb") as file:
        return next((line for line in file if line.startswith(b"mnt_id:")), b"")
    return b""


def _identity(info: os.stat_result) -> tuple[int, int]:
    return info.st_dev, info.st_ino


def _strip(folder: int, device: int, each: Callable[[], None]) -> list[str]:
    """Remove what is no folder; the names of folders of the same file system."""
    names = []
    with os.scandir(folder) as entries:
        for entry in entries:
            each()
            names.append(entry.name)
    folders = []
    for number, name in enumerate(names):
        if number % 256 == 255:
            each()
        with suppress(FileNotFoundError):
            info = os.stat(name, dir_fd=folder, follow_symlinks=False)
            if not stat.S_ISDIR(info.st_mode):
                os.unlink(name, dir_fd=folder)
            elif info.st_dev == device:
                folders.append(name)
    return folders
