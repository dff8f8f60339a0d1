"""From bytes to lines that are safe to show: bounded in length, in the time of their first byte."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from gitproc.immutable import NamedTuple
from gitproc.pattern import pattern

LINE_BYTES = 64 << 10
"""A longer line is given in pieces of this size."""

_CONTROLS = pattern(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")
_UNSAFE = pattern(
    r"\x1b(?!\[[0-9;]*m)|[\x00-\x08\x0b-\x1a\x1c-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]"
)


class LogLine(NamedTuple):
    """One line. `time`: when its first byte arrived, seconds since 1970 (None: not known).

    `complete`: a newline ended it; otherwise it is a piece of a long line, or the end of the log.
    """

    time: float | None
    text: str
    complete: bool = True


def safe_text(line: bytes) -> str:
    r"""Text that can go to a terminal: other bytes than UTF-8 and control characters read `\xff`.

    Tabs and colours (`ESC [ ... m`) are kept; a carriage return at the end is dropped.
    """
    text = line.removesuffix(b"\r").decode("utf-8", "surrogateescape")
    return text if text.isprintable() else _UNSAFE.sub(_escape, text)


def without_controls(text: str) -> str:
    """Text whose control characters and direction marks, but for tabs and newlines, are spelled out."""
    return text if text.isprintable() else _CONTROLS.sub(_escape, text)


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    if 0xDC80 <= code <= 0xDCFF:  # a byte that surrogateescape has let through
        return f"\\x{code - 0xDC00:02x}"
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


class Splitter:
    """Cuts a stream of blocks into lines. Holds at most LINE_BYTES of an unfinished one."""

    def __init__(self) -> None:
        self._rest = b""
        self._time: float | None = None

    def feed(
        self, block: bytes, offset: int, time_at: Callable[[int], float | None]
    ) -> Iterator[LogLine]:
        """The lines that end within `block`, whose first byte is at `offset` of what `time_at` knows."""
        start = 0
        while start < len(block):
            if not self._rest:
                self._time = time_at(offset + start)
            room = LINE_BYTES - len(self._rest)
            end = block.find(b"\n", start, start + room + 1)
            if end >= 0:
                line = self._rest + block[start:end]
                start = end + 1
                self._rest = b""
                yield LogLine(self._time, safe_text(line))
            elif len(block) - start > room:
                line = self._rest + block[start : start + room]
                start += room
                self._rest = b""
                yield LogLine(self._time, safe_text(line), complete=False)
            else:
                self._rest += block[start:]
                return

    def finish(self) -> Iterator[LogLine]:
        """The last line, if no newline ended it."""
        if self._rest:
            yield LogLine(self._time, safe_text(self._rest), complete=False)
            self._rest = b""
