"""Folders with very much in them: renamed out of the way at once, removed in a thread.

They wait below the same root under a name of ours, so that a manager that comes after a crash finds what its
predecessor had not finished.
"""

from __future__ import annotations

import logging
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from gitproc.kernel import directories

PREFIX = ".gitproc-removed-"

log = logging.getLogger(__name__)


class _StoppedError(Exception):
    pass


class Trash:
    """What is being removed below `root` (a directory that only we and root can write)."""

    def __init__(self, root: str) -> None:
        self._root = root
        self._pool = ThreadPoolExecutor(1, "trash")
        self._stopped = threading.Event()

    def take(self, parent: int, name: str) -> None:
        """Remove the entry `name` of the directory `parent` later; OSError if it cannot be renamed."""
        root = os.open(self._root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            aside = f"{PREFIX}{os.urandom(8).hex()}"
            os.rename(name, aside, src_dir_fd=parent, dst_dir_fd=root)
        finally:
            os.close(root)
        self._pool.submit(self._remove, aside)

    def sweep(self) -> None:
        """Go on with what an earlier manager left."""
        with suppress(OSError):
            for name in sorted(os.listdir(self._root)):
                if name.startswith(PREFIX):
                    self._pool.submit(self._remove, name)

    def close(self, patience: float = 0.0) -> None:
        """Stop, after `patience` seconds at the latest; the next manager goes on."""
        with suppress(TimeoutError):
            self._pool.submit(lambda: None).result(patience)
        self._stopped.set()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _remove(self, name: str) -> None:
        try:
            root = os.open(self._root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                directories.remove(root, name, self._go_on)
            finally:
                os.close(root)
        except (FileNotFoundError, _StoppedError):
            pass
        except OSError as error:
            log.warning("cannot remove %s/%s: %s", self._root, name, error.strerror)

    def _go_on(self) -> None:
        if self._stopped.is_set():
            raise _StoppedError
