"""Learning that a unit's last process has gone, without a thread or a timer per unit.

In the unified tree the kernel says so: `cgroup.events` is watched by one inotify descriptor for all units.
Elsewhere the members themselves are watched by pidfds, and looked up anew whenever one of them ends: a
process that is still there holds the watch, so the last look is always made after the last end.
"""

from __future__ import annotations

import asyncio
import ctypes
import errno
import os
import struct
from collections.abc import Callable, Collection

_IN_MODIFY = 0x2
_IN_Q_OVERFLOW = 0x4000
_IN_IGNORED = 0x8000
_IN_NONBLOCK_CLOEXEC = os.O_NONBLOCK | os.O_CLOEXEC
_HEADER = struct.Struct("iIII")


class FileWatch:
    """Calls back when a kernel file signals a change. One inotify descriptor, in the running loop."""

    def __init__(self) -> None:
        """OSError where the kernel gives no inotify descriptor."""
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._fd = self._checked(self._libc.inotify_init1(_IN_NONBLOCK_CLOEXEC))
        self._callbacks: dict[int, tuple[str, Callable[[], None]]] = {}
        self._descriptors: dict[str, int] = {}
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._fd, self._read)

    def add(self, path: str, callback: Callable[[], None]) -> None:
        """Watch `path` until `remove` or until the file is gone. OSError if it cannot be watched."""
        self.remove(path)
        number = self._checked(
            self._libc.inotify_add_watch(self._fd, os.fsencode(path), _IN_MODIFY)
        )
        self._callbacks[number] = (path, callback)
        self._descriptors[path] = number

    def remove(self, path: str) -> None:
        """Forget `path`, watched or not."""
        number = self._descriptors.pop(path, None)
        if number is not None:
            del self._callbacks[number]
            self._libc.inotify_rm_watch(self._fd, number)

    def close(self) -> None:
        """Give the descriptor back."""
        self._loop.remove_reader(self._fd)
        os.close(self._fd)

    def _read(self) -> None:
        try:
            data = os.read(self._fd, 65536)
        except BlockingIOError:
            return
        offset = 0
        due: dict[Callable[[], None], None] = {}
        while offset < len(data):
            number, mask, _, length = _HEADER.unpack_from(data, offset)
            offset += _HEADER.size + length
            if mask & _IN_Q_OVERFLOW:
                due.update((callback, None) for _, callback in self._callbacks.values())
            elif number in self._callbacks:
                path, callback = self._callbacks[number]
                due[callback] = None
                if mask & _IN_IGNORED:
                    del self._callbacks[number]
                    del self._descriptors[path]
        for callback in due:
            callback()

    def _checked(self, result: int) -> int:
        if result < 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
        return result


class MemberWatch:
    """Calls back once when `members` lists nobody any more, by the pidfds of those it lists.

    A list is no snapshot: a process whose parent ends while it is read can be missed. So nobody counts as
    gone before a second list, 10 ms later, is empty as well. `is_empty` is asked whether an empty list is to
    be believed: there may have been no descriptor to read it by.
    """

    def __init__(
        self,
        members: Callable[[], Collection[int]],
        callback: Callable[[], None],
        is_empty: Callable[[], bool] = lambda: True,
    ) -> None:
        self._members = members
        self._is_empty = is_empty
        self._callback = callback
        self._handles: dict[int, int] = {}
        self._empty_before = False
        self._loop = asyncio.get_running_loop()
        self._again: asyncio.Handle | None = self._loop.call_soon(self._look)

    def close(self) -> None:
        """Stop watching; the callback will not come."""
        if self._again is not None:
            self._again.cancel()
            self._again = None
        for handle in self._handles.values():
            self._loop.remove_reader(handle)
            os.close(handle)
        self._handles.clear()

    def _ended(self, pid: int) -> None:
        handle = self._handles.pop(pid)
        self._loop.remove_reader(handle)
        os.close(handle)
        # Once per turn of the loop is enough, however many end together.
        if self._again is None:
            self._again = self._loop.call_soon(self._look)

    def _look(self) -> None:
        self._again = None
        listed = self._members()
        short = not listed and not self._is_empty()
        for pid in listed:
            if pid not in self._handles:
                try:
                    handle = os.pidfd_open(pid)
                except OSError as error:
                    short = short or error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOMEM)
                    continue
                self._handles[pid] = handle
                self._loop.add_reader(handle, self._ended, pid)
        if self._handles:
            self._empty_before = False
            return
        if short:
            self._again = self._loop.call_later(1.0, self._look)
        elif listed or not self._empty_before:
            # Also where a process was listed and gone before it could be opened.
            self._empty_before = not listed
            self._again = self._loop.call_later(0.01, self._look)
        else:
            self._callback()
