"""Following a log: what is there, then every further line as it is completed, over rotations.

Lines are missing only if they were rotated out of existence before they could be read.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Protocol, TypeVar

from gitproc.errors import StateError
from gitproc.store.inotify import Watch
from gitproc.store.log_lines import LogLine, Splitter
from gitproc.store.log_places import start
from gitproc.store.log_segments import (
    Segment,
    close_all,
    index_path,
    is_newest,
    open_segments,
    successors,
)

T = TypeVar("T")

SETTLE_SECONDS = 0.01


class Ask(Protocol):
    """Has something done in a thread."""

    async def __call__(self, work: Callable[[], T], /) -> T:
        """What `work` returns."""


class Follower:
    """Reads on in the log at `path`. Make it within a running loop, `begin`, and `close` it."""

    def __init__(self, path: Path) -> None:
        """Raises StateError if the directory is not there."""
        if not path.parent.is_dir():
            raise StateError(f"no log directory {path.parent}")
        self._path = path
        self._segments: list[Segment] = []
        self._offset = 0
        self._splitter = Splitter()
        self._watch = Watch()

    async def begin(self, last: int | None, since: float | None, ask: Ask) -> None:
        """Find where to begin: with the `last` lines of those since an instant, or a log that is to come.

        `ask` has the place looked for in a thread: it may lie far back. StateError if it cannot be read.
        """
        self._watch.directory(self._path.parent)
        inode, self._offset = await ask(lambda: _beginning(self._path, last, since))
        self._segments = open_segments(self._path)
        inodes = [segment.inode for segment in self._segments]
        if inode in inodes:
            close_all(self._segments[: inodes.index(inode)])
            del self._segments[: inodes.index(inode)]
        else:  # rotated out of existence meanwhile
            self._offset = 0

    async def ready(self) -> AsyncIterator[LogLine]:
        """The lines that are complete by now."""
        while True:
            self._watch.file(self._path)
            self._watch.file(index_path(self._path))
            async for line in self._read():
                yield line
            held = self._segments[0] if self._segments else None
            if is_newest(self._path, held):
                return
            self._segments = successors(self._path, held)
            if len(self._segments) <= (held is not None):
                return

    async def wait(self) -> None:
        """Until there may be more."""
        await self._watch.wait()
        await asyncio.sleep(SETTLE_SECONDS)  # the index is written after the log

    def close(self) -> None:
        """Hold nothing any more."""
        self._watch.close()
        close_all(self._segments)

    async def _read(self) -> AsyncIterator[LogLine]:
        while self._segments:
            segment = self._segments[0]
            if segment.size() < self._offset:
                self._offset, self._splitter = 0, Splitter()  # emptied in place
            segment.renew_index()
            while block := segment.read(self._offset):
                for line in self._splitter.feed(block, self._offset, segment.index.time_at):
                    yield line
                self._offset += len(block)
                await asyncio.sleep(0)
            if len(self._segments) == 1:
                return
            self._segments.pop(0).close()
            self._offset = 0


def _beginning(
    path: Path, last: int | None, since: float | None
) -> tuple[tuple[int, int] | None, int]:
    """The file (device and inode; None without a log) and the offset in it where to begin."""
    segments = open_segments(path)
    try:
        number, offset = start(segments, last, since)
        return (segments[number].inode if segments else None), offset
    finally:
        close_all(segments)
