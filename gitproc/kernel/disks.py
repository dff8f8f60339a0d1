"""Which disk a path means: a block device itself, or the one that a file or directory lies on."""

from __future__ import annotations

import os
import stat

from gitproc.errors import HostError


def disk_of(path: str) -> str:
    """The `MAJOR:MINOR` of the whole disk behind `path`, as the kernel's I/O limits want it.

    HostError where there is none: a network or memory file system, a path that is not there.
    """
    try:
        found = os.stat(path)
    except OSError as error:
        raise HostError(f"{path}: {error.strerror}") from error
    device = found.st_rdev if stat.S_ISBLK(found.st_mode) else found.st_dev
    major, minor = os.major(device), os.minor(device)
    if major == 0:
        raise HostError(f"{path} lies on no disk of its own")
    folder = f"/sys/dev/block/{major}:{minor}"
    if os.path.exists(f"{folder}/partition"):
        try:
            with open(f"{os.path.realpath(folder)}/../dev", encoding="ascii") as file:
                return file.read().strip()
        except OSError as error:
            raise HostError(f"{path}: its disk is not known: {error.strerror}") from error
    return f"{major}:{minor}"
