"""Time spans as `systemd.time(7)` writes them: `90`, `1min 30s`, `5.5s 500ms`, `infinity`.

The arithmetic is done in whole microseconds (nanoseconds for the few NSec= settings), digit by digit
of a fraction, so that a span means here exactly what it means to systemd. Callers get seconds.
"""

from __future__ import annotations

import math

from gitproc.pattern import pattern

_MICROSECOND = 1
_MILLISECOND = 1_000
_SECOND = 1_000_000
_MINUTE = 60 * _SECOND
_HOUR = 60 * _MINUTE
_DAY = 24 * _HOUR
_WEEK = 7 * _DAY
_MONTH = 2_629_800 * _SECOND
_YEAR = 31_557_600 * _SECOND

_UNITS = {
    name: factor
    for names, factor in (
        ("seconds second sec s", _SECOND),
        ("minutes minute min m", _MINUTE),
        ("months month M", _MONTH),
        ("msec ms", _MILLISECOND),
        ("hours hour hr h", _HOUR),
        ("days day d", _DAY),
        ("weeks week w", _WEEK),
        ("years year y", _YEAR),
        ("usec us \N{GREEK SMALL LETTER MU}s \N{MICRO SIGN}s", _MICROSECOND),
    )
    for name in names.split()
}
_NANO_UNITS = {name: factor * 1000 for name, factor in _UNITS.items()} | {"nsec": 1, "ns": 1}
_FORMAT = (
    ("y", _YEAR), ("month", _MONTH), ("w", _WEEK), ("d", _DAY), ("h", _HOUR),
    ("min", _MINUTE), ("s", _SECOND), ("ms", _MILLISECOND), ("us", _MICROSECOND),
)  # fmt: skip
_LIMIT = 2**64 - 1

_SIMPLE = pattern(r"([0-9]{1,9})(s|ms|min|m|h|d)?")
_ITEM = pattern(
    r"[ \t\n\r]*(?:(\+?[0-9]+)(?:\.([0-9]+))?|\.([0-9]+))([ \t\n\r]*)("
    + "|".join(sorted(_NANO_UNITS, key=len, reverse=True))
    + ")?"
)


def parse_span(text: str, default_unit: float = 1.0) -> float:
    """Seconds; a bare number counts in `default_unit` seconds. math.inf for `infinity`.

    Raises ValueError for anything else, negative spans and empty text included.
    """
    simple = _SIMPLE.fullmatch(text)
    if simple is not None:
        number, unit = simple.groups()
        if unit is not None:
            return int(number) * _UNITS[unit] / _SECOND
        if default_unit == 1.0:
            return float(number)
    micros = parse_microseconds(text, round(default_unit * _SECOND))
    return math.inf if micros is None else micros / _SECOND


def parse_timeout(text: str) -> float:
    """As parse_span, but 0 means never (`TimeoutStartSec=0`)."""
    return parse_span(text) or math.inf


def parse_span_or_infinity(text: str) -> float:
    """As parse_span, but the empty text means never."""
    return parse_span(text) if text.strip() else math.inf


def parse_microseconds(text: str, default_unit: int = _SECOND) -> int | None:
    """Whole microseconds, None for infinity; a bare number counts in `default_unit` microseconds."""
    return _parse(text, default_unit, _UNITS)


def parse_nanoseconds(text: str) -> int | None:
    """Whole nanoseconds, None for infinity; a bare number is nanoseconds (`TimerSlackNSec=`)."""
    return _parse(text, 1, _NANO_UNITS)


def format_span(seconds: float, accuracy: float = 0.000001) -> str:
    """A span as systemd prints it: `18min 31s`, `100ms`, `infinity`, `0`.

    Units below `accuracy` (seconds) are left out once something larger was printed, and below one
    minute a fraction is printed only down to it.
    """
    if seconds == math.inf:
        return "infinity"
    rest = round(seconds * _SECOND)
    if rest <= 0:
        return "0"
    finest = max(1, round(accuracy * _SECOND))
    parts: list[str] = []
    for suffix, unit in _FORMAT:
        if rest <= 0 or (parts and rest < finest):
            break
        if rest < unit:
            continue
        whole, remainder = divmod(rest, unit)
        digits = len(str(unit)) - len(str(finest))
        if rest < _MINUTE and remainder and digits > 0:
            parts.append(f"{whole}.{remainder // finest:0{digits}d}{suffix}")
            break
        parts.append(f"{whole}{suffix}")
        rest = remainder
    return " ".join(parts) or "0"


def _parse(text: str, default_unit: int, units: dict[str, int]) -> int | None:
    if text.strip(" \t\n\r") == "infinity":
        return None
    total = 0
    end = len(text.rstrip(" \t\n\r"))
    if not end:
        raise ValueError("a time span is missing")
    at = 0
    while at < end:
        item = _ITEM.match(text, at)
        if item is None:
            raise ValueError(f"'{text}' is not a time span (such as 90, 1min 30s, infinity)")
        whole, after_point, bare_fraction, gap, name = item.groups()
        at = item.end()
        if name is not None and name not in units:
            raise ValueError(f"'{text}': '{name}' is too fine a unit for this setting")
        if name is None and not gap and at < end:
            raise ValueError(f"'{text}': '{text[at:]}' is not a unit of time")
        unit = units[name] if name else default_unit
        total += int(whole or 0) * unit
        scale = unit
        for digit in after_point or bare_fraction or "":
            scale //= 10
            total += int(digit) * scale
        if total >= _LIMIT:
            raise ValueError(f"'{text}' is too long a time")
    return total
