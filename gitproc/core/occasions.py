"""Facts that timers and path units wait for: about clocks, the time zone and paths, in the past tense."""

from __future__ import annotations

from gitproc.immutable import immutable


@immutable
class PathsSeen:
    """What a path unit watches, as it is now. `marks`: of each path, empty if it is not there (does not
    match, is an empty folder). `changed`: the numbers of those that were written. `begun`: this is the
    first look since they are watched. `problem`: they cannot be watched."""

    unit: str
    invocation: str
    marks: tuple[str, ...]
    changed: frozenset[int] = frozenset()
    begun: bool = False
    problem: str = ""


@immutable
class ClockSet:
    """The wall clock was set. `wall`: seconds to add to CLOCK_BOOTTIME to get seconds since 1970."""

    wall: float


@immutable
class ZoneSet:
    """The machine is in another time zone; `zone` tells it from others."""

    zone: str
