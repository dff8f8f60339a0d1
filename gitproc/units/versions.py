"""The order of version numbers as the UAPI group's version format has it (systemd.unit(5), "ConditionVersion=").

Digits are compared as numbers and letters as text; `~` comes before everything, even the end, and `^` after
the end; `-`, then `.` separate parts.
"""

from __future__ import annotations

from itertools import zip_longest

from gitproc.pattern import pattern

_PIECE = pattern(r"[0-9]+|[A-Za-z]+|[~^.-]")
# What a piece is worth against one of another kind; the end of the text is worth END.
_WORTH = {"~": 0, "-": 2, "^": 3, ".": 4}
_END, _LETTERS, _DIGITS = 1, 5, 6


def _key(piece: str | None) -> tuple[int, int, str]:
    if piece is None:
        return (_END, 0, "")
    if piece.isdigit():
        return (_DIGITS, int(piece), "")
    return (_WORTH.get(piece, _LETTERS), 0, piece)


def compare_versions(left: str, right: str) -> int:
    """Negative, zero or positive, as `left` is older, the same or newer."""
    for pair in zip_longest(_PIECE.findall(left), _PIECE.findall(right)):
        mine, others = map(_key, pair)
        if mine != others:
            return -1 if mine < others else 1
    return 0
