"""Instants as people type them for `--since` and `--until` (TIMESTAMPS of systemd.time(7)), read by the daemon.

Understood: `now`, `today`, `yesterday`, `tomorrow`, `boot` (when the machine was started), `@EPOCH`, a number
(seconds since 1970); `-SPAN`, `SPAN`, `SPAN ago`, `+SPAN`, `SPAN left`, where SPAN is like `1h 30min` or `2 hours`;
`[WEEKDAY] [YYYY-MM-DD] [HH:MM[:SS[.FRACTION]]] [ZONE]`, with `T` between date and time as well, and `Z` or `+02:00`
as the zone; without a zone it is the machine's local time.
"""

from __future__ import annotations

import datetime
import math
import time

from gitproc.errors import UsageError
from gitproc.pattern import pattern
from gitproc.units.timespan import parse_span
from gitproc.units.zones import is_zone_name

_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_FORM = pattern(
    r"(?:(?P<day>[A-Za-z]{3,9}),?(?: +|$))?"
    r"(?:(?P<year>[0-9]{4}|[0-9]{2})-(?P<month>[0-9]{1,2})-(?P<date>[0-9]{1,2})(?:[Tt ] *|$))?"
    r"(?:(?P<hour>[0-9]{1,2}):(?P<minute>[0-9]{2})(?::(?P<second>[0-9]{2})(?:\.(?P<part>[0-9]{1,9}))?)?)?"
    r" *(?P<zone>[A-Za-z][\w/+-]{0,40}|[+-][0-9]{2}:?[0-9]{2})?"
)


def parse_since(value: str | float, now: float | None = None) -> float:
    """Seconds since 1970 of an instant, relative ones counted from `now`. Raises UsageError."""
    if not isinstance(value, str):
        return _finite(float(value), value)
    if now is None:
        now = time.time()
    text = value.strip()
    try:
        if text.startswith("@"):
            return _finite(float(text[1:]), value)
        found = _word(text.lower(), now)
        if found is None:
            found = _absolute(text, now)
        return _finite(_relative(text, now) if found is None else found, value)
    except (ValueError, OverflowError, OSError):
        raise _error(value) from None


def _word(text: str, now: float) -> float | None:
    if text == "now":
        return now
    if text == "boot":
        return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
    days = {"yesterday": -1, "today": 0, "tomorrow": 1}.get(text)
    if days is None:
        return None
    day = datetime.date.fromtimestamp(now) + datetime.timedelta(days)  # noqa: DTZ012 -- local time, as typed
    return datetime.datetime(day.year, day.month, day.day).timestamp()  # noqa: DTZ001 -- likewise


def _relative(text: str, now: float) -> float:
    if text.startswith("+") or text.endswith("left"):
        return now + parse_span(text.removesuffix("left").removeprefix("+").strip())
    return now - parse_span(text.removesuffix("ago").removeprefix("-").strip())


def _absolute(text: str, now: float) -> float | None:
    """None for what does not look like a date or a time; ValueError for one that is none."""
    found = _FORM.fullmatch(text)
    if found is None or (found["year"] is None and found["hour"] is None):
        return None
    zone = _zone(found["zone"])
    if found["year"] is None:
        today = datetime.datetime.fromtimestamp(now, zone)
        year, month, date = today.year, today.month, today.day
    else:
        year, month, date = (int(found[part]) for part in ("year", "month", "date"))
        if len(found["year"]) == 2:
            year += 1900 if year >= 69 else 2000  # as strptime(3) has it
    hour, minute, second = (int(found[part] or 0) for part in ("hour", "minute", "second"))
    micro = int((found["part"] or "0").ljust(6, "0")[:6])
    moment = datetime.datetime(year, month, date, hour, minute, second, micro, zone)
    if found["day"] is not None:
        day = found["day"].lower()
        if day not in (_DAYS[moment.weekday()], _DAYS[moment.weekday()][:3]):
            raise ValueError(f"it is not a {day}")
    return moment.timestamp()


def _zone(word: str | None) -> datetime.tzinfo | None:
    """None for local time. ValueError for one that nobody knows."""
    if word is None or word in time.tzname:
        return None
    if word in ("Z", "z", "UTC"):
        return datetime.UTC
    if word[0] in "+-":
        away = datetime.timedelta(hours=int(word[1:3]), minutes=int(word[-2:]))
        return datetime.timezone(-away if word[0] == "-" else away)
    if not is_zone_name(word):
        raise ValueError(f"{word} is no time zone")
    from zoneinfo import ZoneInfo  # hardly anybody asks

    try:
        return ZoneInfo(word)
    except KeyError as error:  # ZoneInfoNotFoundError is one
        raise ValueError(f"{word} is not known here") from error


def _finite(number: float, original: object) -> float:
    if not math.isfinite(number):
        raise _error(original)
    return number


def _error(value: object) -> UsageError:
    return UsageError(
        f"cannot read the time {str(value)[:60]!r}: say 5min ago, today, 14:30 or 2024-05-31 14:30"
    )
