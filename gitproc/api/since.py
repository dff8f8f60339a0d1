"""Instants as people type them for `--since`: a small part of systemd.time(7), read by the daemon.

Understood: `@EPOCH`, a number (seconds since 1970), `now`, `today`, `yesterday`, `HH:MM[:SS]`,
`YYYY-MM-DD[ HH:MM[:SS]]` (local time), `-SPAN`, `SPAN` and `SPAN ago`, where SPAN is like `1h 30min`
(systemd.time(7)).
"""

from __future__ import annotations

import datetime
import math
import time

from gitproc.errors import UsageError
from gitproc.units.timespan import parse_span

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
    try:
        return _finite(now - parse_span(text.removesuffix("ago").removeprefix("-").strip()), value)
    except ValueError:
        raise _error(value) from None


def _finite(number: float, original: object) -> float:
    if not math.isfinite(number):
        raise _error(original)
    return number


def _error(value: object) -> UsageError:
    return UsageError(
        f"cannot read the time {str(value)[:60]!r}: say 5min ago, today, 14:30 or 2024-05-31 14:30"
    )
