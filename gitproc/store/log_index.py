"""The time index beside a log: which bytes arrived when, in records of 16 bytes, one per chunk.

A record (offset, nanoseconds since 1970; two little-endian 64-bit numbers) says when the bytes from offset
on arrived, up to the next record's offset. A logger killed at the wrong instant leaves a chunk without a
record: its bytes count to the chunk before. An index that is missing gives no times, and nothing else.
"""

from __future__ import annotations

import os
import struct
from bisect import bisect_right

_RECORD = struct.Struct("<QQ")
_BLOCK = 4096  # records read at once


class TimeIndex:
    """Random access to an index through `fd` (owned by the caller; -1: there is none)."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._count = 0
        self._block_start = -1
        self._block: list[tuple[int, int]] = []
        self._span: tuple[int, float, float | None] = (0, -1, None)  # [from, to) arrived at
        self.refresh()

    def refresh(self) -> None:
        """Look again how many records there are."""
        self._count = os.fstat(self._fd).st_size // _RECORD.size if self._fd >= 0 else 0
        self._block_start = -1
        self._span = (0, -1, None)

    @property
    def last_time(self) -> float | None:
        """When the last chunk arrived (seconds since 1970); None without records."""
        return self._record(self._count - 1)[1] / 1e9 if self._count else None

    def time_at(self, offset: int) -> float | None:
        """When the byte at `offset` arrived (seconds since 1970). None without any record."""
        start, end, time = self._span
        if start <= offset < end:
            return time
        if not self._count:
            return None
        number = max(0, self._number_after(offset) - 1)
        start, nanoseconds = self._record(number)
        end = self._record(number + 1)[0] if number + 1 < self._count else float("inf")
        self._span = (min(start, offset), end, nanoseconds / 1e9)
        return nanoseconds / 1e9

    def offset_since(self, seconds: float) -> int | None:
        """Where the first chunk begins that arrived at `seconds` since 1970 or later; None: no such.

        Binary search: of a clock that was set back it finds one of the possible answers.
        """
        wanted = seconds * 1e9
        low, high = 0, self._count
        while low < high:
            middle = (low + high) // 2
            if self._record(middle)[1] < wanted:
                low = middle + 1
            else:
                high = middle
        return self._record(low)[0] if low < self._count else None

    def _number_after(self, offset: int) -> int:
        """The number of the first record whose chunk begins behind `offset`."""
        low, high = 0, self._count
        while high - low > _BLOCK:
            middle = (low + high) // 2
            if self._record(middle)[0] <= offset:
                low = middle + 1
            else:
                high = middle
        self._load(low)
        return self._block_start + bisect_right(
            self._block, offset, lo=low - self._block_start, key=lambda record: record[0]
        )

    def _record(self, number: int) -> tuple[int, int]:
        if not self._block_start <= number < self._block_start + len(self._block):
            self._load(max(0, number - _BLOCK // 2))
        return self._block[number - self._block_start]

    def _load(self, start: int) -> None:
        if self._block_start >= 0 and self._block_start <= start:
            held = self._block_start + len(self._block)
            if held >= min(self._count, start + _BLOCK):
                return
        length = min(2 * _BLOCK, self._count - start) * _RECORD.size
        data = os.pread(self._fd, length, start * _RECORD.size)
        data = data[: len(data) - len(data) % _RECORD.size]
        self._block = list(_RECORD.iter_unpack(data))
        self._block_start = start
