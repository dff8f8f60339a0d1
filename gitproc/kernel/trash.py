"""Folders with very much in them: renamed out of the way at once, removed in a thread.

They wait below a root of the same file system under a name of ours, so that a manager that comes after a crash
finds what its predecessor had not finished.
"""

from __future__ import annotations

import errno
import logging
import os
import stat
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from gitproc.kernel import directories

PREFIX = ".gitproc-removed-"

log = logging.getLogger(__name__)


class _StoppedError(Exception):
    pass


class Trash:
    """What is being removed below `roots`: directories in which nobody else can rename what is ours."""

    def __init__(self, *roots: str) -> None:
        self._roots = roots
        self._pool = ThreadPoolExecutor(1, "trash")
        self._stopped = threading.Event()

    def take(self, parent: int, name: str) -> None:
        """Remove the entry `name` of the directory `parent` later; OSError if it cannot be renamed."""
        aside = f"{PREFIX}{os.urandom(8).hex()}"
        root = next((x for x in self._roots if _moved(parent, name, x, aside)), "")
        if not root:
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
        self._pool.submit(self._remove, root, aside)

    def later(self, work: Callable[[Callable[[], None]], None]) -> None:
        """Do other work of this kind after what is to be removed; it ends by what it calls in between."""

        def run() -> None:
            with suppress(_StoppedError):
                work(self._go_on)

        self._pool.submit(run)

    def sweep(self) -> None:
        """Go on with what an earlier manager left."""
        for root in self._roots:
            with suppress(OSError):
                ours_alone = not os.stat(root).st_mode & stat.S_IWOTH
                for name in sorted(os.listdir(root)):
                    # In /tmp anybody may call something so.
                    if name.startswith(PREFIX) and (ours_alone or _is_ours(f"{root}/{name}")):
                        self._pool.submit(self._remove, root, name)

    def close(self, patience: float = 0.0) -> None:
        """Stop, after `patience` seconds at the latest; the next manager goes on."""
        with suppress(TimeoutError):
            self._pool.submit(lambda: None).result(patience)
        self._stopped.set()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _remove(self, root: str, name: str) -> None:
        try:
            below = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                directories.remove(below, name, self._go_on)
            finally:
                os.close(below)
        except (FileNotFoundError, _StoppedError):
            pass
        except OSError as error:
            log.warning("cannot remove %s/%s: %s", root, name, error.strerror)

    def _go_on(self) -> None:
        if self._stopped.is_set():
            raise _StoppedError


def _is_ours(path: str) -> bool:
    return os.lstat(path).st_uid == os.geteuid()


def _moved(parent: int, name: str, root: str, aside: str) -> bool:
    """Rename it into the root; False if that is of another file system, or is not there. OSError."""
    try:
        there = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        os.rename(name, aside, src_dir_fd=parent, dst_dir_fd=there)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        return False
    finally:
        os.close(there)
    return True
