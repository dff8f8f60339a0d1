"""Waiting for a change of some files, by inotify(7) in the event loop: no thread, no polling.

Only *that* something happened is told; what, the caller finds out by looking. All watches of a loop share one
inotify instance, for a user has few of them (fs.inotify.max_user_instances, often 128) and readers may be
many. Where not even one can be had, `wait` falls back to looking once a second.
"""

from __future__ import annotations

import asyncio
import ctypes
import logging
import os
import struct
from contextlib import suppress
from pathlib import Path

FALLBACK_SECONDS = 1.0

_MODIFY, _MOVED_FROM, _MOVED_TO, _CREATE, _DELETE = 0x2, 0x40, 0x80, 0x100, 0x200
_IGNORED, _MASK_ADD = 0x8000, 0x20000000
_NONBLOCK_CLOEXEC = os.O_NONBLOCK | os.O_CLOEXEC
_EVENT = struct.Struct("iIII")

_log = logging.getLogger(__name__)


class _Shared:
    """The inotify instance of a loop: who is to be woken by which of its watches."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._woken: dict[int, dict[Watch, None]] = {}
        self._users = 0
        self._fd = -1

    def enter(self) -> bool:
        """One more uses it; whether it works."""
        self._users += 1
        if self._fd < 0:
            self._fd = self._libc.inotify_init1(_NONBLOCK_CLOEXEC)
            if self._fd >= 0:
                self._loop.add_reader(self._fd, self._drain)
            elif self._users == 1:
                problem = os.strerror(ctypes.get_errno())
                _log.warning("cannot watch files: %s; looking once a second", problem)
        return self._fd >= 0

    def leave(self) -> None:
        """One less uses it; the last one closes it."""
        self._users -= 1
        if self._users:
            return
        _OF_LOOP.pop(self._loop, None)
        if self._fd >= 0:
            self._loop.remove_reader(self._fd)
            os.close(self._fd)
            self._fd = -1

    def add(self, watch: Watch, path: Path, mask: int) -> int:
        """Wake `watch` at these events of what has this path now; the number of it, or -1."""
        number: int = self._libc.inotify_add_watch(self._fd, os.fsencode(path), mask | _MASK_ADD)
        if number >= 0:
            self._woken.setdefault(number, {})[watch] = None
        return number

    def remove(self, watch: Watch, number: int) -> None:
        """Inverse of `add`."""
        woken = self._woken.get(number)
        if woken is None:
            return
        woken.pop(watch, None)
        if not woken:
            del self._woken[number]
            self._libc.inotify_rm_watch(self._fd, number)

    def _drain(self) -> None:
        # What is left comes next turn: who writes all the time must not keep the loop here.
        with suppress(BlockingIOError):
            self._wake(os.read(self._fd, 1 << 16))

    def _wake(self, data: bytes) -> None:
        at = 0
        while at < len(data):
            number, mask, _, length = _EVENT.unpack_from(data, at)
            at += _EVENT.size + length
            if number < 0:  # events were lost: all must look
                for woken in self._woken.values():
                    _wake_all(woken)
            else:
                _wake_all(self._woken.get(number, {}))
                if mask & _IGNORED:  # the file is gone; its number is never given again
                    self._woken.pop(number, None)


def _wake_all(watches: dict[Watch, None]) -> None:
    for watch in watches:
        watch.wake.set()


_OF_LOOP: dict[asyncio.AbstractEventLoop, _Shared] = {}


class Watch:
    """A set of watched paths. Make it within a running loop; `close` it."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.wake = asyncio.Event()
        self._watched: dict[Path, int] = {}
        if loop not in _OF_LOOP:
            _OF_LOOP[loop] = _Shared(loop)
        self._shared = _OF_LOOP[loop]
        self._works = self._shared.enter()
        self._open = True

    def directory(self, path: Path) -> None:
        """Wake up when names come to or go from this directory."""
        self._add(path, _CREATE | _DELETE | _MOVED_FROM | _MOVED_TO)

    def file(self, path: Path) -> None:
        """Wake up when the file that has this name now is written to. Without a file: nothing."""
        self._add(path, _MODIFY)

    async def wait(self) -> None:
        """Until something happened since the last `wait` returned."""
        if self._works:
            await self.wake.wait()
            self.wake.clear()
        else:
            await asyncio.sleep(FALLBACK_SECONDS)

    def close(self) -> None:
        """Stop watching."""
        if self._open:
            self._open = False
            for number in set(self._watched.values()):
                self._shared.remove(self, number)
            self._watched.clear()
            self._shared.leave()

    def _add(self, path: Path, mask: int) -> None:
        if not self._works:
            return
        number = self._shared.add(self, path, mask)
        before = self._watched.pop(path, -1)
        if number >= 0:
            self._watched[path] = number
        if before not in (-1, number, *self._watched.values()):
            self._shared.remove(self, before)
