"""Reading services' logs: the end of one, the part since an instant, and what comes, over rotations.

A log is one stream of bytes that lies in several files, `NAME.log` being the newest part; a line may begin
in one and end in the next. Readers hold the files open, so that a rotation under their hands changes nothing.
Nobody here writes; memory is bounded by the length of a line, not of a log.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from gitproc.store.log_follow import Ask, Follower
from gitproc.store.log_lines import LogLine, Splitter
from gitproc.store.log_places import start
from gitproc.store.log_segments import BLOCK, close_all, open_segments
from gitproc.units.names import bare_name

MOST_LINES = 100_000  # that `newest` gives at once
MOST_CHARACTERS = 8 << 20


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
        lines = self._between(last, since, until)
        if last is None:
            return lines
        return iter(deque(lines, maxlen=max(0, last)))

    def newest(
        self, last: int | None, since: float | None, until: float | None = None
    ) -> tuple[list[LogLine], bool]:
        """As `lines`, but no more than fits into memory; second: whether older ones were left out.

        A line may have a byte or thousands, and who asks does not know what a service has written.
        """
        count = MOST_LINES if last is None else min(last, MOST_LINES)
        kept: deque[LogLine] = deque()
        size, cut = 0, False
        for line in self._between(count + 1, since, until):
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
            number, offset = start(segments, last, since, until)
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

        Waits for a log that is not there yet. Close the iterator to stop. `ask` has the place to begin at
        looked for in a thread. Raises StateError if the directory cannot be read.
        """
        follower = Follower(self.path)
        try:
            await follower.begin(last, since, ask)
            while True:
                async for line in follower.ready():
                    yield line
                await follower.wait()
        finally:
            follower.close()
