"""Waiting for a change of some files, by inotify(7) in the event loop: no thread, no polling.

Only *that* something happened is told; what, the caller finds out by looking. Where inotify instances have
run out (fs.inotify.max_user_instances), `wait` falls back to looking once a second.
"""

from __future__ import annotations

import asyncio
import ctypes
import logging
import os
from pathlib import Path

FALLBACK_SECONDS = 1.0

_MODIFY, _MOVED_FROM, _MOVED_TO, _CREATE, _DELETE = 0x2, 0x40, 0x80, 0x100, 0x200
_NONBLOCK_CLOEXEC = os.O_NONBLOCK | os.O_CLOEXEC

_log = logging.getLogger(__name__)


class Watch:
    """A set of watched paths. Make it within a running loop; `close` it."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._wake = asyncio.Event()
        self._watched: dict[Path, int] = {}
        self._loop = asyncio.get_running_loop()
        self._fd: int = self._libc.inotify_init1(_NONBLOCK_CLOEXEC)
        if self._fd >= 0:
            self._loop.add_reader(self._fd, self._drain)
        else:
            _log.warning(
                "cannot watch files: %s; looking once a second", os.strerror(ctypes.get_errno())
            )

    def directory(self, path: Path) -> None:
        """Wake up when names come to or go from this directory."""
        self._add(path, _CREATE | _DELETE | _MOVED_FROM | _MOVED_TO)

    def file(self, path: Path) -> None:
        """Wake up when the file that has this name now is written to. Without a file: nothing."""
        self._add(path, _MODIFY)

    async def wait(self) -> None:
        """Until something happened since the last `wait` returned."""
        if self._fd >= 0:
            await self._wake.wait()
            self._wake.clear()
        else:
            await asyncio.sleep(FALLBACK_SECONDS)

    def close(self) -> None:
        """Stop watching."""
        if self._fd >= 0:
            self._loop.remove_reader(self._fd)
            os.close(self._fd)
            self._fd = -1

    def _add(self, path: Path, mask: int) -> None:
        if self._fd < 0:
            return
        number = self._libc.inotify_add_watch(self._fd, os.fsencode(path), mask)
        before = self._watched.pop(path, -1)
        if before not in (-1, number):
            self._libc.inotify_rm_watch(self._fd, before)
        if number >= 0:
            self._watched[path] = number

    def _drain(self) -> None:
        try:
            while os.read(self._fd, 1 << 16):
                self._wake.set()
        except BlockingIOError:
            pass
