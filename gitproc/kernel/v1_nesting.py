"""What a group of a v1 hierarchy may have beside those around it and below it: processors, nodes, and a share of time.

In the unified tree a group may ask for more than the group around it has, and gets what both allow. In v1 the kernel
refuses that: the one below when it asks, the one around when it is to have less. So a group is given here what both
allow, and the groups below are cut first. Who was cut gets its own again when its definition is applied.
"""

from __future__ import annotations

import os
from contextlib import suppress

from gitproc.kernel import cgroup_v2
from gitproc.kernel.knobs import ranges

_QUOTA, _PERIOD = "cpu.cfs_quota_us", "cpu.cfs_period_us"
_NONE = "-1"


def numbers(text: str) -> frozenset[int]:
    """`0-3,8`, as cpuset files have it."""
    found: set[int] = set()
    for part in filter(None, text.strip().split(",")):
        low, _, high = part.partition("-")
        found.update(range(int(low), int(high or low) + 1))
    return frozenset(found)


def allowed(path: str, name: str, text: str) -> str:
    """What a group can have of the set it wants ("": no wish): what the group above it has of that, or all."""
    above = numbers(_read(os.path.dirname(path), name))
    return ranges(numbers(text) & above or above) if above else text


def spread(path: str, name: str, text: str) -> None:
    """Give a group this set, and those below it what they may have of that; who had all has all. OSError."""
    _give(path, name, numbers(_read(path, name)), numbers(allowed(path, name, text)))


def _give(path: str, name: str, old: frozenset[int], new: frozenset[int]) -> None:
    if old == new:
        return
    cgroup_v2.write(path, name, ranges(old | new))
    for below in _below(path):
        had = numbers(_read(below, name))
        if had:
            _give(below, name, had, new if had == old else had & new or new)
    cgroup_v2.write(path, name, ranges(new))


def quota(path: str, period: str, wanted: str) -> str:
    """The quota that a group can have over a period (microseconds): what it wants (-1: none), less what is beyond.

    A group around it that has less holds it as well.
    """
    return _NONE if _share(wanted, period) >= _around(path) else wanted


def set_quota(path: str, period: str, wanted: str) -> None:
    """Set a group's quota, and end those below it that are larger. OSError."""
    share = _share(wanted, period)
    for below in cgroup_v2.subgroups(path)[:-1]:
        if _own(below) > share and _read(below, _QUOTA) != _NONE:
            cgroup_v2.write(below, _QUOTA, _NONE)
    if _read(path, _PERIOD) != period:
        cgroup_v2.write(path, _QUOTA, _NONE)  # else the share would be another one for a moment
        cgroup_v2.write(path, _PERIOD, period)
    cgroup_v2.write(path, _QUOTA, quota(path, period, wanted))


def _around(path: str) -> float:
    """The share of the nearest group around that has a quota."""
    while _read(path := os.path.dirname(path), _QUOTA):
        if (share := _own(path)) < _share(_NONE, "1"):
            return share
    return _share(_NONE, "1")


def _own(path: str) -> float:
    with suppress(ValueError):
        return _share(_read(path, _QUOTA), _read(path, _PERIOD))
    return _share(_NONE, "1")


def _share(quota: str, period: str) -> float:
    return float("inf") if quota.startswith("-") else int(quota) / int(period)


def _read(path: str, name: str) -> str:
    return (cgroup_v2.read(path, name) or "").strip()


def _below(path: str) -> list[str]:
    with os.scandir(path) as entries:
        return [x.path for x in entries if x.is_dir(follow_symlinks=False)]
