"""Several logs read as one: lines in the order of their times, each log's own always in the order written."""

from __future__ import annotations

import asyncio
import heapq
import math
from collections.abc import AsyncGenerator, Iterable, Mapping

from gitproc.store.log_follow import Ask, Follower
from gitproc.store.log_lines import LogLine
from gitproc.store.logs import MOST_CHARACTERS, MOST_LINES, LogReader

Told = tuple[str, LogLine]
"""The unit, and what it wrote."""

_AHEAD = 100  # lines that wait for somebody who reads slowly


class Newest:
    """The newest lines of those added, log after log; no more than asked for, or than fits into memory."""

    def __init__(self, last: int | None) -> None:
        self._last = last
        self._count = MOST_LINES if last is None else min(last, MOST_LINES)
        self._heap: list[tuple[float, int, int, Told]] = []
        self._size = self._number = self._sequence = 0
        self._at = -math.inf
        self.floor = -math.inf
        """Seconds since 1970: what is older is left out, for newer lines have been."""
        self.cut = False
        """Whether lines were left out that had been asked for."""

    def add(self, unit: str, lines: Iterable[LogLine]) -> None:
        """All lines of one more log, oldest first."""
        self.next_log()
        for line in lines:
            self.put(unit, line)

    def next_log(self) -> None:
        """What is put from now on is of another log."""
        self._number += 1
        self._sequence, self._at = 0, -math.inf

    def put(self, unit: str, line: LogLine) -> None:
        """The next line of the log."""
        if line.time is not None:
            self._at = max(self._at, line.time)  # a clock set back does not turn its lines around
        if self._at < self.floor:
            return
        self._sequence += 1
        heapq.heappush(self._heap, (self._at, self._number, self._sequence, (unit, line)))
        self._size += len(line.text)
        while len(self._heap) > self._count or self._size > MOST_CHARACTERS:
            self.cut = self.cut or len(self._heap) <= self._count or self._count != self._last
            self.floor, *_, told = heapq.heappop(self._heap)
            self._size -= len(told[1].text)

    def lines(self) -> list[Told]:
        """Oldest first."""
        return [told for *_, told in sorted(self._heap)]


def newest_of(
    readers: Mapping[str, LogReader], last: int | None, since: float | None, until: float | None
) -> tuple[list[Told], bool]:
    """As `LogReader.newest`, of all these units' logs together."""
    found = Newest(last)
    for unit, reader in readers.items():
        begin = since if found.floor == -math.inf else max(found.floor, since or found.floor)
        lines, cut = reader.newest(last, begin, until)
        found.add(unit, lines)
        found.cut = found.cut or cut
    return found.lines(), found.cut


async def follow_all(
    readers: Mapping[str, LogReader], last: int | None, since: float | None, ask: Ask
) -> AsyncGenerator[Told, None]:
    """As `LogReader.follow`, of all these units' logs together: what comes comes as it is completed."""
    followers: dict[str, Follower] = {}
    tasks: list[asyncio.Task[None]] = []
    queue: asyncio.Queue[Told | Exception] = asyncio.Queue(_AHEAD)

    async def pump(unit: str, follower: Follower) -> None:
        try:
            while True:
                await follower.wait()
                async for line in follower.ready():
                    await queue.put((unit, line))
        except Exception as error:
            await queue.put(error)

    try:
        past = Newest(last)
        for unit, reader in readers.items():
            follower = followers[unit] = Follower(reader.path)
            await follower.begin(last, since, ask)
            past.next_log()
            async for line in follower.ready():
                past.put(unit, line)
        for told in past.lines():
            yield told
        del past
        tasks += [asyncio.ensure_future(pump(*one)) for one in followers.items()]
        while True:
            item = await queue.get()
            if isinstance(item, Exception):
                raise item
            yield item
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for follower in followers.values():
            follower.close()
