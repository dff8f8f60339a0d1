"""Whole files on disk: written beside their place and renamed into it, so that nobody sees half
of one.
"""

from __future__ import annotations

import os
from pathlib import Path


def write(path: Path, data: bytes, *, durable: bool, mode: int = 0o600) -> None:
    """Create or overwrite `path` with `data`; `durable`: fsynced before it returns. Raises
    OSError.
    """
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
    try:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(fd, rest) :]
        if durable:
            os.fsync(fd)
    finally:
        os.close(fd)


def replace(path: Path, data: bytes, *, durable: bool, mode: int = 0o600) -> None:
    """Put `data` at `path` in one step, or raise OSError and leave what was there.

    `durable`: survives a loss of power once this returns (file and directory are fsynced);
    otherwise it survives the end of this process only, and a loss of power may leave an empty
    file.
    """
    fresh = path.with_name(path.name + ".new")
    try:
        write(fresh, data, durable=durable, mode=mode)
        fresh.replace(path)
    except OSError:
        fresh.unlink(missing_ok=True)
        raise
    if durable:
        sync_directory(path.parent)


def stands(path: Path, fd: int) -> bool:
    """Whether an open file is still the one that its path names: nobody has moved or removed it."""
    try:
        found, ours = path.stat(), os.fstat(fd)
    except OSError:
        return False
    return (found.st_dev, found.st_ino) == (ours.st_dev, ours.st_ino)


def sync_directory(path: Path) -> None:
    """Make the names in a directory durable. Raises OSError."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
