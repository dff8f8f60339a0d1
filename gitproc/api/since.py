"""Instants as people type them for `--since`: a small part of systemd.time(7), read by the daemon.

Understood: `@EPOCH`, a number (seconds since 1970), `now`, `today`, `yesterday`, `HH:MM[:SS]`,
`YYYY-MM-DD[ HH:MM[:SS]]` (local time), `-SPAN`, `SPAN` and `SPAN ago`, where SPAN is like `1h 30min`.
"""

from __future__ import annotations

import datetime
import math
import re
import time

from gitproc.errors import UsageError

_UNITS = {
    **dict.fromkeys(("s", "sec", "second", "seconds", ""), 1.0),
    **dict.fromkeys(("m", "min", "minute", "minutes"), 60.0),
    **dict.fromkeys(("h", "hr", "hour", "hours"), 3600.0),
    **dict.fromkeys(("d", "day", "days"), 86400.0),
    **dict.fromkeys(("w", "week", "weeks"), 604800.0),
    **dict.fromkeys(("month", "months"), 2629800.0),
    **dict.fromkeys(("y", "year", "years"), 31557600.0),
    "ms": 0.001,
}
_PART = re.compile(r"(\d+(?:\.\d+)?)\s*([a-z]*)\s*")
_FORMATS = ("%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%d")
_CLOCK = ("%H:%M:%S", "%H:%M")


def parse_since(value: str | float, now: float | None = None) -> float:
    """Seconds since 1970 of an instant, relative ones counted back from `now`. Raises UsageError."""
    if not isinstance(value, str):
        return _finite(float(value), value)
    if now is None:
        now = time.time()
    text = value.strip().replace("T", " ") if value[:1].isdigit() else value.strip().lower()
    if text.startswith("@"):
        try:
            return _finite(float(text[1:]), value)
        except ValueError:
            raise _error(value) from None
    today = datetime.datetime.fromtimestamp(now).replace(hour=0, minute=0, second=0, microsecond=0)  # noqa: DTZ006 -- local time, as typed
    words = {
        "now": now,
        "today": today.timestamp(),
        "yesterday": (today - datetime.timedelta(days=1)).timestamp(),
    }
    if text in words:
        return words[text]
    for form in _FORMATS + _CLOCK:
        try:
            moment = datetime.datetime.strptime(text, form)  # noqa: DTZ007 -- local time, as typed
        except ValueError:
            continue
        if form in _CLOCK:
            moment = datetime.datetime.combine(today.date(), moment.time())
        try:
            return moment.timestamp()
        except (OverflowError, ValueError, OSError):
            raise _error(value) from None
    return now - _span(text.removesuffix("ago").removeprefix("-").strip().lower(), value)


def _span(text: str, original: str) -> float:
    total, at = 0.0, 0
    while at < len(text):
        part = _PART.match(text, at)
        if part is None or part[2] not in _UNITS:
            raise _error(original)
        total += float(part[1]) * _UNITS[part[2]]
        at = part.end()
    if not text:
        raise _error(original)
    return _finite(total, original)


def _finite(number: float, original: object) -> float:
    if not math.isfinite(number):
        raise _error(original)
    return number


def _error(value: object) -> UsageError:
    return UsageError(
        f"cannot read the time {str(value)[:60]!r}: say 5min ago, today, 14:30 or 2024-05-31 14:30"
    )
