"""Reading services' logs: the end of one, the part since an instant, and what comes, over rotations.

A log is one stream of bytes that lies in several files, `NAME.log` being the newest part; a line may begin
in one and end in the next. Readers hold the files open, so that a rotation under their hands changes nothing.
Nobody here writes; memory is bounded by the length of a line, not of a log.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Protocol, TypeVar

from gitproc.errors import StateError
from gitproc.store.inotify import Watch
from gitproc.store.log_lines import LINE_BYTES, LogLine, Splitter
from gitproc.store.log_segments import (
    BLOCK,
    Segment,
    close_all,
    index_path,
    is_newest,
    open_segments,
    successors,
)
from gitproc.units.names import bare_name

T = TypeVar("T")

SETTLE_SECONDS = 0.01
MOST_LINES = 100_000  # that `newest` gives at once
MOST_CHARACTERS = 8 << 20


class Ask(Protocol):
    """Has something done in a thread."""

    async def __call__(self, work: Callable[[], T], /) -> T:
        """What `work` returns."""


class LogReader:
    """Reads the log of one unit in `directory`. Holds no file between calls."""

    def __init__(self, directory: Path, unit: str) -> None:
        self.path = directory / f"{bare_name(unit)}.log"

    def lines(
        self, *, last: int | None = None, since: float | None = None, until: float | None = None
    ) -> Iterator[LogLine]:
        """Lines, oldest first: of those that arrived in [`since`, `until`) the `last` ones.

        Instants in seconds since 1970, None: no bound. Reads files while iterated (use a thread).
        Raises StateError at the first step. No log: no lines.
        """
        lines = self._between(last if until is None else None, since, until)
        if last is None:
            return lines
        return iter(deque(lines, maxlen=max(0, last)))

    def newest(self, last: int | None, since: float | None) -> tuple[list[LogLine], bool]:
        """As `lines`, but no more than fits into memory; second: whether older ones were left out.

        A line may have a byte or thousands, and who asks does not know what a service has written.
        """
        count = MOST_LINES if last is None else min(last, MOST_LINES)
        kept: deque[LogLine] = deque()
        size, cut = 0, False
        for line in self._between(count + 1, since, None):
            kept.append(line)
            size += len(line.text)
            while len(kept) > count or size > MOST_CHARACTERS:
                cut = cut or len(kept) <= count or count != last
                size -= len(kept.popleft().text)
        return list(kept), cut

    def tail(self, lines: int) -> list[LogLine]:
        """The last `lines` lines."""
        return list(self.lines(last=lines))

    def since(self, seconds: float) -> Iterator[LogLine]:
        """What arrived at `seconds` since 1970 or later."""
        return self.lines(since=seconds)

    def _between(
        self, last: int | None, since: float | None, until: float | None
    ) -> Iterator[LogLine]:
        segments = open_segments(self.path)
        try:
            splitter = Splitter()
            number, offset = _start(segments, last, since)
            for segment in segments[number:]:
                end = segment.size()
                while offset < end:
                    block = segment.read(offset, min(BLOCK, end - offset))
                    if not block:
                        break
                    for line in splitter.feed(block, offset, segment.index.time_at):
                        if until is not None and line.time is not None and line.time >= until:
                            return
                        yield line
                    offset += len(block)
                offset = 0
            for line in splitter.finish():
                if until is None or line.time is None or line.time < until:
                    yield line
        finally:
            close_all(segments)

    async def follow(
        self,
        *,
        last: int | None = 10,
        since: float | None = None,
        ask: Ask = asyncio.to_thread,
    ) -> AsyncIterator[LogLine]:
        """The lines as `lines` gives them, then every further one as it is completed, without end.

        Waits for a log that is not there yet. Goes over rotations; bytes are missing only if they were
        rotated out of existence before they could be read. Close the iterator to stop. `ask` has the place to
        begin at looked for in a thread: it may lie far back.
        Raises StateError if the directory cannot be read.
        """
        if not self.path.parent.is_dir():
            raise StateError(f"no log directory {self.path.parent}")
        watch = Watch()
        segments: list[Segment] = []
        try:
            watch.directory(self.path.parent)
            inode, offset = await ask(lambda: _beginning(self.path, last, since))
            segments = open_segments(self.path)
            inodes = [segment.inode for segment in segments]
            if inode in inodes:
                close_all(segments[: inodes.index(inode)])
                del segments[: inodes.index(inode)]
            else:  # rotated out of existence meanwhile
                offset = 0
            splitter = Splitter()
            while True:
                watch.file(self.path)
                watch.file(index_path(self.path))
                while segments:
                    segment = segments[0]
                    if segment.size() < offset:
                        offset, splitter = 0, Splitter()  # emptied in place
                    segment.renew_index()
                    while block := segment.read(offset):
                        for line in splitter.feed(block, offset, segment.index.time_at):
                            yield line
                        offset += len(block)
                        await asyncio.sleep(0)
                    if len(segments) == 1:
                        break
                    segments.pop(0).close()
                    offset = 0
                held = segments[0] if segments else None
                if not is_newest(self.path, held):
                    segments = successors(self.path, held)
                    if len(segments) > (held is not None):
                        continue
                await watch.wait()
                await asyncio.sleep(SETTLE_SECONDS)  # the index is written after the log
        finally:
            watch.close()
            close_all(segments)


def _beginning(
    path: Path, last: int | None, since: float | None
) -> tuple[tuple[int, int] | None, int]:
    """The file (device and inode; None without a log) and the offset in it where to begin."""
    segments = open_segments(path)
    try:
        number, offset = _start(segments, last, since)
        return (segments[number].inode if segments else None), offset
    finally:
        close_all(segments)


def _start(segments: list[Segment], last: int | None, since: float | None) -> tuple[int, int]:
    """Where to begin (number of the segment, offset in it) for the `last` lines since `since`."""
    place = (0, 0)
    if since is not None:
        place = _place_since(segments, since)
    if last is not None:
        place = max(place, _place_of_last(segments, last))
    return place


def _place_since(segments: list[Segment], since: float) -> tuple[int, int]:
    """The first line that begins in a chunk which arrived at `since` or later."""
    for number, segment in enumerate(segments):
        newest = segment.index.last_time
        if newest is None:
            if segment.changed >= since:
                return number, 0  # no times: rather too much than too little
        elif newest >= since:
            offset = segment.index.offset_since(since)
            if offset is not None:
                return _next_line(segments, number, offset)
    return _end(segments)


def _end(segments: list[Segment]) -> tuple[int, int]:
    return (len(segments) - 1, segments[-1].size()) if segments else (0, 0)


def _next_line(segments: list[Segment], number: int, offset: int) -> tuple[int, int]:
    """`offset`, if a line begins there, or else the beginning of the next line."""
    if offset == 0 or segments[number].read(offset - 1, 1) == b"\n":
        return number, offset
    while block := segments[number].read(offset):
        newline = block.find(b"\n")
        if newline >= 0:
            return number, offset + newline + 1
        offset += len(block)
    return (number + 1, 0) if number + 1 < len(segments) else _end(segments)


def _place_of_last(segments: list[Segment], last: int) -> tuple[int, int]:
    """The beginning of the `last`-th line from the end, looking back over no more than it can need."""
    wanted = last + 1  # newlines: the one that ends the last line is not before any line
    budget = last * LINE_BYTES
    first_block = True
    for number in range(len(segments) - 1, -1, -1):
        end = segments[number].size()
        while end > 0:
            offset = max(0, end - BLOCK)
            block = segments[number].read(offset, end - offset)
            if first_block and block:
                first_block = False
                if not block.endswith(b"\n"):
                    wanted -= 1
                if wanted <= 0:
                    return number, end
            newlines = block.count(b"\n")
            if newlines >= wanted:
                at = len(block)
                for _ in range(wanted):
                    at = block.rindex(b"\n", 0, at)
                return number, offset + at + 1
            wanted -= newlines
            budget -= len(block)
            if budget <= 0:
                return number, offset
            end = offset
    return 0, 0
