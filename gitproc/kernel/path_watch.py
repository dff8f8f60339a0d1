"""Watching paths, by inotify(7): one descriptor for all, and nothing happens while nothing happens.

A path is watched together with what leads to it: as far as it does not exist, the deepest folder that does is
watched for what comes; where it exists, the folders above only for being moved or deleted, and each symbolic
link on the way for being replaced. After every event the path is walked anew. Told is only what is: whoever
watches compares with what was before.
"""

from __future__ import annotations

import asyncio
import ctypes
import errno
import logging
import os
import struct
from collections.abc import Callable, Sequence

from gitproc.immutable import NamedTuple

_MODIFY, _ATTRIB, _CLOSE_WRITE, _MOVED_FROM, _MOVED_TO = 0x2, 0x4, 0x8, 0x40, 0x80
_CREATE, _DELETE, _DELETE_SELF, _MOVE_SELF = 0x100, 0x200, 0x400, 0x800
_OVERFLOW, _IGNORED, _DONT_FOLLOW = 0x4000, 0x8000, 0x2000000
_NONBLOCK_CLOEXEC = os.O_NONBLOCK | os.O_CLOEXEC
_HEADER = struct.Struct("iIII")

_LEADING = _MOVE_SELF | _DELETE_SELF
_LAST = _LEADING | _ATTRIB | _CREATE | _MOVED_TO
_EXISTENCE = _LEADING | _ATTRIB
_ENTRIES = _EXISTENCE | _CREATE | _MOVED_TO
_CONTENTS = _EXISTENCE | _CLOSE_WRITE | _CREATE | _DELETE | _MOVED_FROM | _MOVED_TO

log = logging.getLogger(__name__)


class Watched(NamedTuple):
    """A path and what of it counts: that it exists; its `entries` (a folder's); its `contents`, when a
    writer closes it; with `writes` at each write, too."""

    path: str
    entries: bool = False
    contents: bool = False
    writes: bool = False

    @property
    def mask(self) -> int:
        """The events of the path itself that count."""
        if self.contents or self.writes:
            return _CONTENTS | (_MODIFY if self.writes else 0)
        return _ENTRIES if self.entries else _EXISTENCE


Happened = Callable[[frozenset[int]], None]
"""Called with the numbers (in the order given) of the paths whose contents have changed; perhaps none."""


class _Client(NamedTuple):
    paths: Sequence[Watched]
    happened: Happened
    primary: dict[int, int]  # number of a path -> the watch of the path itself


class PathWatch:
    """Calls back when something about watched paths has happened. In the running loop, until `close`."""

    def __init__(self) -> None:
        """OSError where the kernel gives no inotify descriptor."""
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._fd = self._checked(self._libc.inotify_init1(_NONBLOCK_CLOEXEC))
        self._clients: dict[str, _Client] = {}
        self._masks: dict[int, dict[tuple[str, int], int]] = {}  # watch -> who wants what of it
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._fd, self._read)

    def watch(self, key: str, paths: Sequence[Watched], happened: Happened) -> None:
        """Watch these paths under `key`, in place of what was. OSError if the kernel refuses more."""
        self.forget(key)
        self._clients[key] = _Client(paths, happened, {})
        try:
            for number in range(len(paths)):
                self._walk(key, number)
        except OSError:
            self.forget(key)
            raise

    def forget(self, key: str) -> None:
        """Watch nothing under `key` any more."""
        client = self._clients.pop(key, None)
        if client is not None:
            for number in range(len(client.paths)):
                self._drop(key, number)

    def close(self) -> None:
        """Give the descriptor back."""
        self._loop.remove_reader(self._fd)
        os.close(self._fd)

    # -- watches ---------------------------------------------------------------------------------

    def _walk(self, key: str, number: int) -> None:
        """Watch one path and what leads to it, as things are now."""
        self._drop(key, number)
        client = self._clients[key]
        one = client.paths[number]
        client.primary.pop(number, None)
        parts = [part for part in one.path.split("/") if part]
        here = "/"
        above: tuple[str, int] | None = None
        for depth in range(len(parts) + 1):
            last = depth == len(parts)
            if depth:
                here = f"{here.rstrip('/')}/{parts[depth - 1]}"
                if os.path.islink(here):
                    self._add(key, number, here, _LEADING | _ATTRIB, _DONT_FOLLOW)
            watch = self._add(key, number, here, one.mask if last else _LAST)
            if watch is None:
                return
            if above is not None:
                self._narrow(key, number, *above)
            above = here, watch
            if last:
                client.primary[number] = watch

    def _add(self, key: str, number: int, path: str, mask: int, flags: int = 0) -> int | None:
        """A watch; None if nothing is there. What others want of the same file stays wanted."""
        added = 0x20000000  # IN_MASK_ADD
        watch = self._libc.inotify_add_watch(self._fd, os.fsencode(path), mask | flags | added)
        if watch < 0:
            number_of = ctypes.get_errno()
            if number_of in (errno.ENOENT, errno.ENOTDIR, errno.EACCES, errno.ELOOP):
                return None
            raise OSError(number_of, os.strerror(number_of), path)
        wants = self._masks.setdefault(watch, {})
        wants[key, number] = wants.get((key, number), 0) | mask
        return int(watch)

    def _narrow(self, key: str, number: int, path: str, watch: int) -> None:
        """The next part of the path is there: what else comes and goes beside it does not matter."""
        wants = self._masks.get(watch)
        if wants is None:
            return
        wants[key, number] = _LEADING
        total = 0
        for mask in wants.values():
            total |= mask
        self._libc.inotify_add_watch(self._fd, os.fsencode(path), total)

    def _drop(self, key: str, number: int) -> None:
        empty = []
        for watch, wants in self._masks.items():
            if wants.pop((key, number), None) is not None and not wants:
                empty.append(watch)
        for watch in empty:
            del self._masks[watch]
            self._libc.inotify_rm_watch(self._fd, watch)

    # -- events ----------------------------------------------------------------------------------

    def _read(self) -> None:
        try:
            data = os.read(self._fd, 1 << 16)
        except BlockingIOError:
            return
        touched: dict[
            str, dict[int, bool]
        ] = {}  # key -> number of the path -> its contents changed
        at = 0
        while at < len(data):
            watch, mask, _, length = _HEADER.unpack_from(data, at)
            at += _HEADER.size + length
            if mask & _OVERFLOW:
                for key, client in self._clients.items():
                    touched.setdefault(key, {}).update(
                        dict.fromkeys(range(len(client.paths)), True)
                    )
                continue
            for (key, number), wanted in tuple(self._masks.get(watch, {}).items()):
                if mask & (wanted | _IGNORED):
                    one = self._clients[key]
                    primary = one.primary.get(number) == watch and not mask & _IGNORED
                    numbers = touched.setdefault(key, {})
                    numbers[number] = numbers.get(number, False) or primary
            if mask & _IGNORED:
                self._masks.pop(watch, None)
        for key, numbers in touched.items():
            self._tell(key, numbers)

    def _tell(self, key: str, numbers: dict[int, bool]) -> None:
        client = self._clients.get(key)
        if client is None:
            return
        for number in numbers:
            try:
                self._walk(key, number)
            except OSError as error:
                log.error("cannot go on watching %s: %s", client.paths[number].path, error.strerror)
        contents = (n for n, changed in numbers.items() if changed)
        client.happened(frozenset(contents))

    def _checked(self, result: int) -> int:
        if result < 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
        return result
