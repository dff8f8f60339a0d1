"""Names of time zones: what may be one, and who knows what they mean.

Whether a zone exists, and its rules, are facts of the host's data base (tzdata): the pure part is given a
`Zones` that looks names up. Here it is only told whether a word has the form of such a name, so that a typo
in an expression is found before any host is asked.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import tzinfo

from gitproc.pattern import pattern

Zones = Callable[[str], tzinfo | None]
"""Finds the rules of a zone by name; "" is the machine's own. None if there is no such zone."""

_IN_AREA = pattern(
    r"(Africa|America|Antarctica|Arctic|Asia|Atlantic|Australia|Brazil|Canada|Chile|Etc|Europe|Indian"
    r"|Mexico|Pacific|US)(/[A-Za-z0-9_+-]{1,32}){1,3}"
)
_ALONE = frozenset(
    {
        "CET", "CST6CDT", "Cuba", "EET", "EST", "EST5EDT", "Egypt", "Eire", "GB", "GB-Eire", "GMT", "GMT+0",
        "GMT-0", "GMT0", "Greenwich", "HST", "Hongkong", "Iceland", "Iran", "Israel", "Jamaica", "Japan",
        "Kwajalein", "Libya", "MET", "MST", "MST7MDT", "NZ", "NZ-CHAT", "Navajo", "PRC", "PST8PDT", "Poland",
        "Portugal", "ROC", "ROK", "Singapore", "Turkey", "UCT", "UTC", "Universal", "W-SU", "WET", "Zulu",
    }
)  # fmt: skip


def is_zone_name(word: str) -> bool:
    """Whether `word` has the form of the name of a time zone (tzselect(8))."""
    return word in _ALONE or _IN_AREA.fullmatch(word) is not None
