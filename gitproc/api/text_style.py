"""The pieces of plain text: colours, spans, sizes, instants, tables, and the escaping of what others wrote.

Words and units are systemctl's (`5min ago`, `512M`). Whatever comes from a service, a unit file or a commit
passes `safe()` before it reaches a terminal: no escape sequence of theirs is ever obeyed.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Sequence
from typing import Any

from gitproc.immutable import immutable
from gitproc.pattern import pattern

_CONTROLS = pattern("[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_CONTROLS_BUT_TAB = pattern(
    "[\x00-\x08\x0a-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)

_COLOURING = pattern("(\x1b\\[[0-9;:]{0,40}m)")
_LEAST = 8  # columns that are left of a cut one
_SGR = {"red": "1;31", "green": "1;32", "yellow": "1;33", "bold": "1", "dim": "2"}

STATE_COLORS = {
    "active": "green",
    "reloading": "green",
    "activating": "yellow",
    "deactivating": "yellow",
    "failed": "red",
    "good": "green",
    "refused": "red",
}


def _escaped(match: re.Match[str]) -> str:
    code = ord(match[0])
    if 0xDC80 <= code <= 0xDCFF:  # a byte that was not UTF-8
        code -= 0xDC00
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def safe(value: object, *, tabs: bool = False) -> str:
    """Text on one line whose control characters, undecodable bytes and direction marks are spelled out."""
    return (_CONTROLS_BUT_TAB if tabs else _CONTROLS).sub(_escaped, str(value))


@immutable
class Style:
    """How to render. `width`: columns of the terminal, 0 where there is none; `value`: bare values; `legend`:
    tables have a head and a count; `full`: none of their lines is cut to fit."""

    width: int = 0
    color: bool = False
    value: bool = False
    legend: bool = True
    full: bool = False

    def paint(self, text: str, color: str) -> str:
        """The text in a colour, where colours are wanted."""
        sgr = _SGR.get(color)
        return f"\x1b[{sgr}m{text}\x1b[0m" if self.color and sgr and text else text

    def state(self, word: str, text: str | None = None) -> str:
        """A state's word (or `text` in its colour)."""
        return self.paint(word if text is None else text, STATE_COLORS.get(word, ""))

    def raw(self, text: str) -> str:
        """A line of a service or a file: as it is for a program, escaped for a terminal.

        Of a service's own sequences a terminal gets colours alone, and only where colours are wanted.
        """
        if not self.width:
            return text
        if "\x1b[" not in text:
            return safe(text, tabs=True)
        parts = _COLOURING.split(text)  # text, sequence, text, ...
        for index, part in enumerate(parts):
            parts[index] = (part if self.color else "") if index % 2 else safe(part, tabs=True)
        return "".join(parts) + ("\x1b[0m" if self.color and len(parts) > 1 else "")


def ago(seconds: float) -> str:
    """How long ago, in the two largest units: `5min ago`, `2h 3min ago`, `3 weeks 2 days ago`."""
    if seconds < 1:
        return "just now"
    left, words = int(seconds), []
    for one, many, size in (
        (" year", " years", 31557600),
        (" month", " months", 2629800),
        (" week", " weeks", 604800),
        (" day", " days", 86400),
        ("h", "h", 3600),
        ("min", "min", 60),
        ("s", "s", 1),
    ):
        count, left = divmod(left, size)
        if count:
            words.append(f"{count}{one if count == 1 else many}")
        if len(words) == 2 or (words and size == 60 and count >= 5) or (size == 3600 and count > 5):
            break
    return " ".join(words) + " ago"


def moment(epoch: float) -> str:
    """`Tue 2024-05-07 10:00:00 UTC`, local time."""
    try:
        return time.strftime("%a %Y-%m-%d %H:%M:%S %Z", time.localtime(epoch))
    except (OverflowError, ValueError, OSError):
        return f"@{epoch}"


def size(count: float) -> str:
    """Bytes as systemd writes them: `512M`, `5.1M`."""
    for suffix in ("B", "K", "M", "G", "T", "P"):
        if count < 1024 or suffix == "P":
            whole = f"{int(count)}" if suffix == "B" else f"{int(count * 10) / 10:.1f}"
            return whole.removesuffix(".0") + suffix
        count /= 1024
    raise AssertionError


def number(value: Any) -> float | None:
    """A number out of a result, None for anything else."""
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def table(
    heads: Sequence[str],
    rows: Iterable[Sequence[str]],
    style: Style,
    *,
    right: frozenset[int] = frozenset(),
    colors: Sequence[Sequence[str]] | None = None,
) -> list[str]:
    """Aligned columns; on a terminal the last one is cut to fit. `colors[row][column]` names colours."""
    lines = [list(heads)] * style.legend + [list(row) for row in rows]
    if not lines:
        return []
    widths = [max(len(line[column]) for line in lines) for column in range(len(heads))]
    last = len(heads) - 1
    painted = []
    for index, line in enumerate(lines):
        cells, used = [], 2
        for column, cell in enumerate(line):
            if column == last:
                room = max(style.width - used, _LEAST)
                if style.width and not style.full and len(cell) > room:
                    cell = cell[: room - 1] + "…"
                padded = cell
            else:
                gap = " " * (widths[column] - len(cell))
                padded = gap + cell if column in right else cell + gap
                used += widths[column] + 1
            if index < style.legend:
                padded = style.paint(padded, "bold")
            elif colors is not None:
                padded = style.paint(padded, colors[index - style.legend][column])
            cells.append(padded)
        painted.append(("  " + " ".join(cells)).rstrip())
    return painted


def counted(lines: list[str], count: str, style: Style) -> list[str]:
    """A table, with how many it has listed below it."""
    if not style.legend:
        return lines
    return [*lines, "", count] if lines else [count]
