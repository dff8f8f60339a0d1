"""What a unit has kept out of its log: levels above LogLevelMax=, and more lines than its rate limit allows.

Rules travel as a tuple: (highest level or -1, level of lines without a prefix, whether `<N>` in front of a line
is its level, seconds and lines of the rate limit or 0, 0). Lines are kept as they were written. What is held
back for want of its end is lost if the logger is killed; streams without rules are not read at all.
"""

from __future__ import annotations

TYPE_CHECKING = False  # `typing` and `collections` stay out of this process
if TYPE_CHECKING:
    Rules = tuple[int, int, bool, float, int]

LINE_MAX = 48 << 10  # bytes; a longer line counts as several


class RateLimit:
    """`burst` lines in `interval` seconds; what comes on top is counted, and told once the interval is over."""

    __slots__ = ("_began", "_seen", "burst", "interval", "suppressed")

    def __init__(self) -> None:
        self.interval, self.burst, self.suppressed = 0.0, 0, 0
        self._began, self._seen = float("-inf"), 0

    def admit(self, now: float) -> bool:
        """Whether a line that comes now may pass."""
        if not self.interval or not self.burst:
            return True
        if now - self._began >= self.interval:
            self._began, self._seen = now, 0
        self._seen += 1
        if self._seen <= self.burst:
            return True
        self.suppressed += 1
        return False

    def over(self, now: float) -> bool:
        """Whether lines were suppressed in an interval that has ended."""
        return self.suppressed > 0 and now - self._began >= self.interval

    def tell(self) -> bytes:
        """The line that says how many were suppressed, if any; it is said once."""
        count, self.suppressed = self.suppressed, 0
        return b"gitproc: %d lines suppressed by the rate limit\n" % count if count else b""


class Sieve:
    """Applies the rules to the bytes of one stream; the rate limit belongs to the log as a whole."""

    __slots__ = ("_highest", "_level", "_limit", "_prefixed", "_rest")

    def __init__(self, rules: Rules, limit: RateLimit) -> None:
        self._highest, self._level, self._prefixed, limit.interval, limit.burst = rules
        self._limit = limit
        self._rest = b""

    def sift(self, data: bytes, now: float) -> bytes:
        """What of the stream's next bytes, and of those held back, goes into the log. `now`: monotonic."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        kept = [b"" if not self._limit.over(now) else self._limit.tell()]
        kept += [line + b"\n" for line in lines if self._passes(line, now)]
        while len(self._rest) >= LINE_MAX:
            piece, self._rest = self._rest[:LINE_MAX], self._rest[LINE_MAX:]
            if self._passes(piece, now):
                kept.append(piece + b"\n")
        return b"".join(kept)

    def finish(self, now: float) -> bytes:
        """What is left at the end of the stream: a line without its end, and what was suppressed."""
        rest, self._rest = self._rest, b""
        kept = rest if rest and self._passes(rest, now) else b""
        told = self._limit.tell()
        return kept + b"\n" + told if kept and told else kept + told

    def _passes(self, line: bytes, now: float) -> bool:
        if self._highest >= 0 and self._level_of(line) > self._highest:
            return False
        return self._limit.admit(now)

    def _level_of(self, line: bytes) -> int:
        """Of `<N>` in front, N from 0 to 7 (sd-daemon(3)), else that of the stream."""
        if self._prefixed and line[:1] == b"<":
            digits = line[1 : max(line.find(b">", 1, 5), 1)]
            if digits.isdigit() and int(digits) <= 7:
                return int(digits)
        return self._level
