"""Rows of the directive table for [Timer]: systemd.timer(5)."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from gitproc.units.calendar import Calendar, parse_calendar
from gitproc.units.directive import Change, Directive, Specifiers, Support
from gitproc.units.directives_triggers import TIMER_UNIT
from gitproc.units.rows import flag, known_flag, one, several
from gitproc.units.timespan import parse_span


def parse_spans(value: str) -> tuple[float, ...]:
    """One time span, as the item of a list."""
    return (parse_span(value),)


def parse_calendars(value: str) -> tuple[Calendar, ...]:
    """One calendar expression, as the item of a list."""
    return (parse_calendar(value),)


def _after(name: str, what: str) -> Directive[tuple[float, ...]]:
    doc = f"Elapse this long after {what}."
    return several("Timer", name, parse_spans, doc, specifiers=Specifiers.NONE)


def _span(name: str, default: float, doc: str) -> Directive[float]:
    return one("Timer", name, parse_span, default, doc)


ON_ACTIVE_SEC = _after("OnActiveSec", "the timer was started")
ON_BOOT_SEC = _after("OnBootSec", "the machine booted (in a container: GitProc was started)")
ON_STARTUP_SEC = _after("OnStartupSec", "GitProc was started")
ON_UNIT_ACTIVE_SEC = _after("OnUnitActiveSec", "the unit was last started")
ON_UNIT_INACTIVE_SEC = _after("OnUnitInactiveSec", "the unit last ended")
ON_CALENDAR = several(
    "Timer",
    "OnCalendar",
    parse_calendars,
    "Elapse at these times: a calendar expression, as `gitproc calendar` shows.",
    specifiers=Specifiers.TEXT,
)
ON_CLOCK_CHANGE = flag("Timer", "OnClockChange", False, "Elapse whenever the clock is set.")
ON_TIMEZONE_CHANGE = flag(
    "Timer", "OnTimezoneChange", False, "Elapse whenever the machine's time zone is changed."
)
ACCURACY_SEC = _span("AccuracySec", 60.0, "How much later it may be, to wake up less often.")
RANDOMIZED_DELAY_SEC = _span("RandomizedDelaySec", 0.0, "Delay each elapse by up to this, anew.")
FIXED_RANDOM_DELAY = flag(
    "Timer", "FixedRandomDelay", False, "The random delay is the same each time, on this machine."
)
RANDOMIZED_OFFSET_SEC = _span(
    "RandomizedOffsetSec", 0.0, "Shift OnCalendar= by up to this, always the same on this machine."
)
DEFER_REACTIVATION = flag(
    "Timer",
    "DeferReactivation",
    False,
    "Skip what OnCalendar= would have started while the unit still ran.",
)
PERSISTENT = flag(
    "Timer", "Persistent", False, "Catch up at once on what OnCalendar= missed while it was down."
)
WAKE_SYSTEM = known_flag(
    "Timer", "WakeSystem", Support.UNENFORCED, "Wake the machine from suspend: it is not woken."
)
REMAIN_AFTER_ELAPSE = flag(
    "Timer",
    "RemainAfterElapse",
    True,
    "Stay active when nothing more is to come.",
    Change.NONE,
)

MONOTONIC = (
    ON_ACTIVE_SEC,
    ON_BOOT_SEC,
    ON_STARTUP_SEC,
    ON_UNIT_ACTIVE_SEC,
    ON_UNIT_INACTIVE_SEC,
)
_LISTS = (*MONOTONIC, ON_CALENDAR)

RESETS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {row.key: tuple(one.key for one in _LISTS) for row in _LISTS}
)
"""An empty assignment of any of these empties all of them (systemd.timer(5), "OnActiveSec=")."""

ROWS: tuple[Directive[Any], ...] = (
    *_LISTS,
    ON_CLOCK_CHANGE,
    ON_TIMEZONE_CHANGE,
    ACCURACY_SEC,
    RANDOMIZED_DELAY_SEC,
    FIXED_RANDOM_DELAY,
    RANDOMIZED_OFFSET_SEC,
    DEFER_REACTIVATION,
    PERSISTENT,
    REMAIN_AFTER_ELAPSE,
    WAKE_SYSTEM,
    TIMER_UNIT,
)
