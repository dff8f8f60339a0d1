"""The time index beside a log: which bytes arrived when, in records of 16 bytes, one per chunk.

A record (offset, nanoseconds since 1970; two little-endian 64-bit numbers) says when the bytes from offset
on arrived, up to the next record's offset. A logger killed at the wrong instant leaves a chunk without a
record: its bytes count to the chunk before. An index that is missing gives no times, and nothing else.
"""

from __future__ import annotations

import math
import os
import struct
import time
from bisect import bisect_right
from collections.abc import Callable

_RECORD = struct.Struct("<QQ")
_BLOCK = 4096  # records read at once
_SLACK = 1_000_000_000  # nanoseconds: clocks are corrected by fractions of a second all the time


class TimeIndex:
    """Random access to an index through `fd` (owned by the caller; -1: there is none)."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self.refresh()

    def refresh(self) -> None:
        """Look again how many records there are."""
        self._count = os.fstat(self._fd).st_size // _RECORD.size if self._fd >= 0 else 0
        self._offsets: list[int] = []  # a part of the index, for readers go from line to line
        self._times: list[float] = []
        self._end: float = -1  # the offset up to which that part answers

    @property
    def last_time(self) -> float | None:
        """When the last chunk arrived (seconds since 1970); None without records."""
        return self._record(self._count - 1)[1] / 1e9 if self._count else None

    def time_at(self, offset: int) -> float | None:
        """When the byte at `offset` arrived (seconds since 1970). None without any record."""
        if not self._count:
            return None
        if not self._offsets or not self._offsets[0] <= offset < self._end:
            self._load(offset)
        if not self._offsets:
            return None
        return self._times[max(0, bisect_right(self._offsets, offset) - 1)]

    def offset_since(self, seconds: float) -> int | None:
        """Where the first chunk begins that arrived at `seconds` since 1970 or later; None: no such.

        Binary search: of a clock that was set back it finds one of the possible answers; but what arrived
        in the future, by the clock of now, did not arrive since.
        """
        number = self._first(lambda record: record[1] >= seconds * 1e9)
        if number >= self._count:
            return None
        offset, arrived = self._record(number)
        now = time.time_ns() + _SLACK
        return offset if arrived <= now else self._past_future(number, seconds, now)

    def _past_future(self, number: int, seconds: float, now: int) -> int | None:
        for start in range(number, self._count, _BLOCK):
            length = min(_BLOCK, self._count - start)
            data = os.pread(self._fd, length * _RECORD.size, start * _RECORD.size)
            for offset, arrived in _RECORD.iter_unpack(
                data[: len(data) - len(data) % _RECORD.size]
            ):
                if seconds * 1e9 <= arrived <= now:
                    return int(offset)
        return None

    def _first(self, wanted: Callable[[tuple[int, int]], bool]) -> int:
        """The number of the first record that is wanted, where all after it are too."""
        low, high = 0, self._count
        while low < high:
            middle = (low + high) // 2
            if wanted(self._record(middle)):
                high = middle
            else:
                low = middle + 1
        return low

    def _record(self, number: int) -> tuple[int, int]:
        data = os.pread(self._fd, _RECORD.size, number * _RECORD.size)
        offset, nanoseconds = _RECORD.unpack(data.ljust(_RECORD.size, b"\xff"))  # cut off meanwhile
        return offset, nanoseconds

    def _load(self, offset: int) -> None:
        """Read the part of the index that begins with the chunk of `offset`."""
        start = max(0, self._first(lambda record: record[0] > offset) - 1)
        length = min(_BLOCK, self._count - start)
        data = os.pread(self._fd, length * _RECORD.size, start * _RECORD.size)
        records = list(_RECORD.iter_unpack(data[: len(data) - len(data) % _RECORD.size]))
        self._offsets = [record[0] for record in records]
        self._times = [record[1] / 1e9 for record in records]
        if start + len(records) >= self._count:
            self._end = math.inf
        else:
            self._end = self._offsets[-1] if len(records) > 1 else -1
