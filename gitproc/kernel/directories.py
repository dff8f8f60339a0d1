"""Tidying up after an instance: its RuntimeDirectory= and its PID file, never anything else.

The names come from unit files and the contents from the service, so both are taken for hostile: every step
goes by directory descriptors, no link is followed, and no other file system is entered.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress

from gitproc.units import directives as d
from gitproc.units.specifiers import Host
from gitproc.units.unit import Unit

_OPEN = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def release(unit: Unit, host: Host, *, keep_runtime: bool = False) -> list[str]:
    """Remove what the ended instance leaves; returns what could not be removed, one sentence each.

    `keep_runtime`: a restart follows, over which RuntimeDirectoryPreserve=restart keeps the directory.
    """
    problems = []
    if unit[d.PID_FILE]:
        problems += remove_pid_file(unit[d.PID_FILE])
    preserve = unit[d.RUNTIME_DIRECTORY_PRESERVE]
    if preserve == "no" or (preserve == "restart" and not keep_runtime):
        for name in unit[d.RUNTIME_DIRECTORY]:
            problems += remove_tree(host.run, name)
    return problems


def remove_pid_file(path: str) -> list[str]:
    """Remove a PID file that the service left; links and folders in its place are left alone."""
    try:
        parent = os.open(os.path.dirname(path), os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        return []
    except OSError as error:
        return [f"cannot remove PID file {path}: {error.strerror}"]
    try:
        name = os.path.basename(path)
        if stat.S_ISREG(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode):
            os.unlink(name, dir_fd=parent)
    except FileNotFoundError:
        pass
    except OSError as error:
        return [f"cannot remove PID file {path}: {error.strerror}"]
    finally:
        os.close(parent)
    return []


def remove_tree(root: str, name: str) -> list[str]:
    """Remove the folder `name` (a relative path) below `root` with all that is in it.

    A link in place of the folder is itself removed; one on the way there stops it.
    """
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
        _remove(here, parts[-1], None)
    except FileNotFoundError:
        return []
    except OSError as error:
        return [f"cannot remove {root}/{name}: {error.strerror}"]
    finally:
        if here >= 0:
            os.close(here)
    return []


def _remove(parent: int, name: str, device: int | None) -> None:
    """Remove one entry. `device`: the file system to stay on (None: that of the entry)."""
    info = os.stat(name, dir_fd=parent, follow_symlinks=False)
    if not stat.S_ISDIR(info.st_mode):
        os.unlink(name, dir_fd=parent)
        return
    if device is not None and info.st_dev != device:
        return
    here = os.open(name, _OPEN, dir_fd=parent)
    try:
        if os.fstat(here).st_dev == info.st_dev:
            with os.scandir(here) as entries:
                names = [entry.name for entry in entries]
            for each in names:
                with suppress(FileNotFoundError):
                    _remove(here, each, info.st_dev)
    finally:
        os.close(here)
    os.rmdir(name, dir_fd=parent)
