"""Shell-style patterns, in names of units and in paths (glob(7))."""

from __future__ import annotations

_WILD = frozenset("*?[")


def is_pattern(text: str) -> bool:
    """Whether a text stands for all that match it, not for itself."""
    return not _WILD.isdisjoint(text)
