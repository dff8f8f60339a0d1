"""When a calendar expression elapses next (systemd.time(7)).

The search goes from the largest field to the smallest and never looks back: at most the months of two
centuries, then the days of one month, then the minutes of the days that are left. A wall-clock time that a
change of the clocks leaves out does not elapse; one that comes twice elapses the first time.
"""

from __future__ import annotations

import calendar as months
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta, tzinfo

from gitproc.units.calendar import LAST_YEAR, MINUTE, Calendar, Chain, Component

_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 -- wall clocks know no zone
_LAST = (_EPOCH.replace(year=LAST_YEAR + 1) - _EPOCH) // timedelta(microseconds=1)
_MICROSECOND = timedelta(microseconds=1)


def next_elapse(spec: Calendar, after: int, zone: tzinfo) -> int | None:
    """The first elapse strictly after `after`, both microseconds since 1970; None if there is none.

    `zone`: the rules of the expression's own zone, or else the machine's.
    """
    after = max(after, 0)
    if after >= _LAST:
        return None
    start = _local(after + 1, zone)
    hours = [hour for hour in range(24) if _matches(spec.hours, hour)]
    minutes = [minute for minute in range(60) if _matches(spec.minutes, minute)]
    for day in _days(spec, start.date()):
        begin = datetime.combine(day, datetime.min.time())
        floor = max(begin, start)
        for hour in hours:
            if hour < floor.hour:
                continue
            for minute in minutes:
                this = begin.replace(hour=hour, minute=minute)
                if this + timedelta(minutes=1) <= floor:
                    continue
                offset = max(0, (floor - this) // _MICROSECOND)
                found = _first(spec.seconds, offset, MINUTE)
                if found is None:
                    continue
                at = _instant(this + found * _MICROSECOND, after, zone)
                if at is not None:
                    return at
    return None


def _days(spec: Calendar, start: date) -> Iterator[date]:
    """Every day from `start` on that fits; ends with the last year."""
    for year in range(start.year, LAST_YEAR + 1):
        if not _matches(spec.years, year):
            continue
        for month in range(start.month if year == start.year else 1, 13):
            if not _matches(spec.months, month):
                continue
            first, length = months.monthrange(year, month)
            begin = start.day if (year, month) == (start.year, start.month) else 1
            for day in range(begin, length + 1):
                weekday = (first + day - 1) % 7
                if spec.weekdays and not spec.weekdays >> weekday & 1:
                    continue
                if _matches(spec.days, day, length if spec.from_end else 0):
                    yield date(year, month, day)


def _matches(chain: Chain, value: int, length: int = 0) -> bool:
    """Whether a field may be `value`. `length`: of the month, if days count from its end."""
    return not chain or any(_fits(one, value, length) for one in chain)


def _fits(one: Component, value: int, length: int) -> bool:
    start, stop = one.start, one.stop
    if length:
        start = length + 1 - start
        if stop >= 0:
            start, stop = length + 1 - stop, start
    if value == start:
        return True
    past = value - start
    return one.repeat > 0 and past > 0 and past % one.repeat == 0 and (stop < 0 or value <= stop)


def _first(chain: Chain, floor: int, end: int) -> int | None:
    """The smallest value of a field from `floor` on and below `end`."""
    best: int | None = None
    for one in chain:
        value = one.start
        if value < floor and one.repeat:
            value += -(-(floor - value) // one.repeat) * one.repeat
        fits = floor <= value < end and (one.stop < 0 or value <= one.stop or value == one.start)
        if fits and (best is None or value < best):
            best = value
    return best


def _local(instant: int, zone: tzinfo) -> datetime:
    """The wall clock at an instant (microseconds since 1970)."""
    at = (_EPOCH + instant * _MICROSECOND).replace(tzinfo=UTC)
    return at.astimezone(zone).replace(tzinfo=None, fold=0)


def _instant(wall: datetime, after: int, zone: tzinfo) -> int | None:
    """When the wall clock shows `wall`, the first time after `after`; None if it never does."""
    for fold in (0, 1):
        offset = wall.replace(tzinfo=zone, fold=fold).utcoffset() or timedelta()
        instant = (wall - offset - _EPOCH) // _MICROSECOND
        if instant > after and _local(instant, zone) == wall:
            return instant
    return None
