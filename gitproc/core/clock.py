"""What time it is, as far as decisions need it, and what a timer keeps of it.

The world's instants are seconds of CLOCK_BOOTTIME; `wall` leads from them to the wall clock. It is a fact:
given at the start, and again by an event whenever the clock is set.
"""

from __future__ import annotations

from datetime import UTC, tzinfo
from typing import Any

from gitproc.immutable import field, mutable
from gitproc.units.zones import Zones


def _utc_alone(name: str) -> tzinfo | None:
    return UTC if name in ("", "UTC") else None


@mutable
class Clock:
    """`wall`: seconds to add to an instant to get seconds since 1970. `booted`, `started`: the instants at
    which the machine (or container) and GitProc were. `zones` knows time zones; `zone` tells the machine's
    own from any it had before. `machine`: what tells this machine from others, for delays of its own."""

    wall: float = 0.0
    booted: float = 0.0
    started: float = 0.0
    zone: str = ""
    zones: Zones = _utc_alone
    machine: str = ""


@mutable
class TimerState:
    """Where a timer stands, in its present instance (`invocation`).

    `since`: seconds since 1970 of its start, `last`: of its last elapse, `last_at` the instant of it (0:
    none). `realtime` and `monotonic`: when OnCalendar= (seconds since 1970) and the others (instant) elapse
    next, `deadline` the instant at which it acts on the earlier one, all computed for the circumstances
    `basis`. `floor`: not before this instant, so that nothing makes it spin. `armed`: what has an alarm.
    """

    invocation: str
    since: float = 0.0
    last: float = 0.0
    last_at: float = 0.0
    realtime: float | None = None
    monotonic: float | None = None
    deadline: float | None = None
    floor: float = 0.0
    basis: list[Any] = field(default_factory=list)
    armed: float | None = None
