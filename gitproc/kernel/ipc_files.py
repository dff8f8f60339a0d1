"""What a user or group leaves in the file systems of POSIX shared memory and message queues, however much it is.

Anybody can fill these with what fits, and nest it deeper than there are descriptors. So what is more than a little
is removed aside, while others of the same user may already make new objects: these stay, by their age.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TypeAlias

from gitproc.kernel.directories import TooMuchError, few
from gitproc.kernel.trash import PREFIX

FOLDERS = ("/dev/shm", "/dev/mqueue")
_OPEN = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_DEPTH_MAX = 64

Each: TypeAlias = Callable[[], None]
Theirs: TypeAlias = Callable[[os.stat_result], bool]


def remove_files(
    uids: set[int],
    gids: set[int],
    later: Callable[[Callable[[Each], None]], None],
    folders: tuple[str, ...] = FOLDERS,
) -> None:
    """Remove what belongs to one of these users or groups.

    What is too much for now is done in what `later` is given, which is told to end by what it is to call for
    every entry.
    """

    def theirs(info: os.stat_result) -> bool:
        return info.st_uid in uids or info.st_gid in gids

    try:
        _remove(folders, theirs, few())
    except TooMuchError:
        now = time.time_ns()
        later(
            lambda each: _remove(folders, lambda x: theirs(x) and x.st_ctime_ns <= now, each),
        )


def _remove(folders: tuple[str, ...], theirs: Theirs, each: Each) -> None:
    for folder in folders:
        with suppress(OSError):
            top = os.open(folder, _OPEN)
            try:
                lifted = _sweep(top, theirs, each, 0, top)
                while lifted:
                    name = lifted.pop()
                    with suppress(OSError):
                        lifted += _enter(top, name, theirs, each, 0, top)
                        os.rmdir(name, dir_fd=top)
            finally:
                os.close(top)


def _sweep(folder: int, theirs: Theirs, each: Each, depth: int, top: int) -> list[str]:
    """Remove what is theirs in a folder; the names of what lay too deep, and is in `top` now."""
    names = []
    with os.scandir(folder) as entries:
        for entry in entries:
            each()
            names.append(entry.name)
    lifted: list[str] = []
    for number, name in enumerate(names):
        if number % 256 == 255:
            each()
        with suppress(OSError):  # gone meanwhile, or not empty: the next one
            info = os.stat(name, dir_fd=folder, follow_symlinks=False)
            mine = theirs(info)
            if not stat.S_ISDIR(info.st_mode):
                if mine:
                    os.unlink(name, dir_fd=folder)
                continue
            if depth < _DEPTH_MAX:
                lifted += _enter(folder, name, theirs, each, depth, top)
            elif mine:
                aside = f"{PREFIX}{os.urandom(8).hex()}"
                os.rename(name, aside, src_dir_fd=folder, dst_dir_fd=top)
                lifted.append(aside)
                continue
            if mine:
                os.rmdir(name, dir_fd=folder)
    return lifted


def _enter(parent: int, name: str, theirs: Theirs, each: Each, depth: int, top: int) -> list[str]:
    below = os.open(name, _OPEN, dir_fd=parent)
    try:
        return _sweep(below, theirs, each, depth + 1, top)
    finally:
        os.close(below)
