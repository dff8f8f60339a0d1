"""Sizes in bytes and shares of a whole: MemoryMax=, TasksMax=, CPUQuota=, limits of files."""

from __future__ import annotations

from collections.abc import Callable

from gitproc.immutable import immutable
from gitproc.pattern import pattern
from gitproc.units.scalars import parse_ratio, parse_unsigned

_SUFFIXES = "EPTGMKB"
_SIMPLE = pattern(r"([0-9]{1,6})([KMGT]?)")
_ITEM = pattern(r"[ \t\n\r]*\+?([0-9]+)(?:\.([0-9]*))?[ \t\n\r]*([EPTGMKB]?)")
_MAX_SIZE = 2**63 - 1
_MAX_U64 = 2**64 - 1
_PER_CENT_SIGNS = ("%", "\u2030", "\u2031")


@immutable
class Amount:
    """A limit: a count (bytes, tasks), or a fraction of what the host has (0.5 = 50 %).

    Both None: no limit.
    """

    absolute: int | None = None
    fraction: float | None = None

    @property
    def infinite(self) -> bool:
        """Whether this is no limit at all."""
        return self.absolute is None and self.fraction is None

    def of(self, total: int) -> int | None:
        """The count where the host has `total`; None without a limit."""
        return int(total * self.fraction) if self.fraction is not None else self.absolute


def parse_size(text: str, base: int = 1024) -> int:
    """Bytes: `1024`, `10M`, `1.5G`, `3.5G 4B`; `base` is 1000 for bandwidths (systemd.syntax(7))."""
    simple = _SIMPLE.fullmatch(text)
    if simple is not None:
        return int(simple[1]) * int(base ** " KMGT".index(simple[2] or " "))
    total = 0
    smaller = -1
    at = 0
    while at < len(text) or not at:
        item = _ITEM.match(text, at)
        if item is None or item.end() == at:
            raise ValueError(f"'{text}' is not a size (such as 512K, 10M, 1.5G)")
        whole, fraction, suffix = item.groups()
        rank = _SUFFIXES.index(suffix) if suffix else len(_SUFFIXES)
        if rank <= smaller:
            raise ValueError(f"'{text}': parts of a size go from the larger unit to the smaller")
        smaller = rank
        factor = int(base ** (6 - min(rank, 6)))
        total += int(whole) * factor
        if fraction:
            total += int(fraction) * factor // 10 ** len(fraction)
        at = item.end()
    if total > _MAX_SIZE:
        raise ValueError(f"{text} is too large a size")
    return total


def parse_amount(text: str) -> Amount:
    """Bytes, a percentage of the host's memory, or `infinity` (also: empty). 0 is allowed."""
    return _amount(text, parse_size)


def parse_positive_amount(text: str) -> Amount:
    """As parse_amount without 0, which as MemoryMax= or MemoryHigh= could only be a mistake."""
    amount = parse_amount(text)
    if amount.absolute == 0 or amount.fraction == 0:
        raise ValueError("a limit of 0 would leave nothing to run with")
    return amount


def parse_tasks(text: str) -> Amount:
    """A count of tasks (threads count), a percentage of the host's, or `infinity`; not 0."""
    amount = _amount(text, lambda count: parse_unsigned(count, 0, _MAX_U64))
    if amount.absolute == 0 or amount.fraction == 0:
        raise ValueError("a limit of 0 tasks would leave nothing to run with")
    return amount


def parse_cpu_quota(text: str) -> float | None:
    """CPUs: `150%` is 1.5; None (no quota) for the empty text."""
    if not text:
        return None
    quota = parse_ratio(text, bounded=False)
    if quota == 0:
        raise ValueError("a CPU quota of 0 would leave nothing to run with")
    return quota / 10_000


def _amount(text: str, parse: Callable[[str], int]) -> Amount:
    if text in ("", "infinity"):
        return Amount()
    if text.endswith(_PER_CENT_SIGNS):
        return Amount(fraction=parse_ratio(text) / 10_000)
    return Amount(absolute=parse(text))
