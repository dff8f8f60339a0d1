"""Calendar expressions: `Mon..Fri *-*-* 09:00`, `daily`, `*-*~01 12:00 Europe/Berlin` (systemd.time(7)).

An expression is parsed into what each of year, month, day, hour, minute and microsecond of the minute may be;
`str` of it is systemd's normal form. When it elapses next is for `elapse.py`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from gitproc.immutable import immutable
from gitproc.pattern import pattern
from gitproc.units.zones import is_zone_name

SECOND = 1_000_000  # microseconds
MINUTE = 60 * SECOND
FIRST_YEAR, LAST_YEAR = 1970, 2199
_MOST_COMPONENTS = 240
_MOST_CHARS = 4096
_LARGEST = 2**31 - 1
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_DAY_NAMES = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_DAY = pattern("|".join(f"{long}|{long[:3]}" for long in _DAY_NAMES), re.IGNORECASE)
_NUMBER = pattern(r"[0-9]+")
_FRACTION = pattern(r"\.([0-9]+)")
_TIMESTAMP = pattern(r"@([0-9]{1,18})")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SHORTHAND = {
    "minutely": "*-*-* *:*:00",
    "hourly": "*-*-* *:00:00",
    "daily": "*-*-* 00:00:00",
    "weekly": "Mon *-*-* 00:00:00",
    "monthly": "*-*-01 00:00:00",
    "quarterly": "*-01,04,07,10-01 00:00:00",
    "semiannually": "*-01,07-01 00:00:00",
    "semi-annually": "*-01,07-01 00:00:00",
    "biannually": "*-01,07-01 00:00:00",
    "bi-annually": "*-01,07-01 00:00:00",
    "yearly": "*-01-01 00:00:00",
    "annually": "*-01-01 00:00:00",
    "anually": "*-01-01 00:00:00",
}


@dataclass(frozen=True, slots=True, order=True)
class Component:
    """`start`, or `start..stop`, each `repeat` (0: once only); without `stop` up to the field's end (-1)."""

    start: int
    stop: int = -1
    repeat: int = 0


Chain = tuple[Component, ...]
"""What one field may be; empty for anything."""

_ZERO: Chain = (Component(0),)


@immutable
class Calendar:
    """A parsed expression. `weekdays`: bits from Monday (1) on, 0 for any. `days` count from the month's
    end if `from_end`. `seconds` are microseconds of the minute. `zone`: empty for the machine's own."""

    weekdays: int
    years: Chain
    months: Chain
    days: Chain
    from_end: bool
    hours: Chain
    minutes: Chain
    seconds: Chain
    zone: str = ""

    def __str__(self) -> str:
        weekdays = f"{_weekdays_text(self.weekdays)} " if self.weekdays else ""
        mark = "~" if self.from_end else "-"
        date = f"{_text(self.years, 4)}-{_text(self.months)}{mark}{_text(self.days)}"
        clock = f"{_text(self.hours)}:{_text(self.minutes)}:{_seconds_text(self.seconds)}"
        return f"{weekdays}{date} {clock}" + (f" {self.zone}" if self.zone else "")


def parse_calendar(text: str) -> Calendar:
    """The calendar that `text` describes; ValueError if it is none, or can never elapse by its form."""
    if len(text) > _MOST_CHARS:
        raise ValueError("too long for a calendar expression")
    body, zone = _split_zone(text)
    body = _SHORTHAND.get(body.lower(), body)
    if not body.strip():
        raise ValueError("a calendar expression is missing")
    reader = _Reader(body)
    weekdays = reader.weekdays()
    stamp = _TIMESTAMP.match(reader.rest)
    if stamp is not None:
        reader.at += stamp.end()
        found = _of_timestamp(int(stamp[1]), weekdays)
    else:
        found = reader.date_and_time(weekdays, zone)
    if reader.rest:
        raise reader.error()
    return _checked(found)


def _split_zone(text: str) -> tuple[str, str]:
    body, space, last = text.rpartition(" ")
    if space and last.upper() == "UTC":
        return body, "UTC"
    if space and is_zone_name(last):
        return body, last
    return text, ""


def _of_timestamp(seconds: int, weekdays: int) -> Calendar:
    try:
        at = _EPOCH + timedelta(seconds=seconds)
    except OverflowError:
        raise ValueError("that is too far in the future") from None
    fields = (at.year, at.month, at.day, at.hour, at.minute, at.second * SECOND)
    year, month, day, hour, minute, second = ((Component(value),) for value in fields)
    return Calendar(weekdays, year, month, day, False, hour, minute, second, "UTC")


class _Reader:
    """Reads an expression from left to right."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    @property
    def rest(self) -> str:
        return self.text[self.at :]

    def peek(self) -> str:
        return self.text[self.at : self.at + 1]

    def error(self) -> ValueError:
        if not self.rest:
            return ValueError("the calendar expression ends too early")
        return ValueError(f"'{self.rest[:40]}' does not fit into a calendar expression")

    def skip_spaces(self) -> None:
        while self.peek() == " ":
            self.at += 1

    def weekdays(self) -> int:
        bits, start, first = 0, -1, True
        while True:
            match = _DAY.match(self.text, self.at)
            if match is None:
                if first:
                    return 0
                raise self.error()
            after = self.text[match.end() : match.end() + 1]
            if after not in ("", "-", ".", ",", " "):
                raise self.error()
            day = _DAYS.index(match[0][:3].title())
            if start > day:
                raise ValueError(f"{_DAYS[start]}..{_DAYS[day]} runs backwards")
            for each in range(start if start >= 0 else day, day + 1):
                bits |= 1 << each
            self.at = match.end()
            if after in ("", " "):
                break
            ranges = after in ("-", ".")
            if ranges and (start >= 0 or (after == "." and not self.rest.startswith(".."))):
                raise self.error()
            self.at += 2 if after == "." else 1
            start = day if ranges else -1
            if self.peek() in ("", " "):
                if ranges:
                    raise self.error()
                break
            first = False
        self.skip_spaces()
        return 0 if bits == 127 else bits

    def date_and_time(self, weekdays: int, zone: str) -> Calendar:
        years, months, days, from_end = self._date()
        hours, minutes, seconds = self._time()
        return Calendar(weekdays, years, months, days, from_end, hours, minutes, seconds, zone)

    def _date(self) -> tuple[Chain, Chain, Chain, bool]:
        begin = self.at
        if not self.rest:
            return (), (), (), False
        first = self._chain()
        if self.peek() in ("", ":"):
            self.at = begin  # it was the hour
            return (), (), (), False
        from_end = self._dash()
        second = self._chain()
        if self.peek() in ("", " "):
            self.skip_spaces()
            return (), first, second, from_end and bool(second)
        if from_end:
            raise self.error()
        from_end = self._dash()
        third = self._chain()
        if self.peek() not in ("", " "):
            raise self.error()
        self.skip_spaces()
        return _full_years(first), second, third, from_end and bool(third)

    def _dash(self) -> bool:
        if self.peek() not in ("-", "~"):
            raise self.error()
        self.at += 1
        return self.text[self.at - 1] == "~"

    def _time(self) -> tuple[Chain, Chain, Chain]:
        if not self.rest:
            return _ZERO, _ZERO, _ZERO
        hours = self._chain()
        self._colon()
        minutes = self._chain()
        if not self.rest:
            return hours, minutes, _ZERO
        self._colon()
        return hours, minutes, self._chain(scale=SECOND)

    def _colon(self) -> None:
        if self.peek() != ":":
            raise self.error()
        self.at += 1

    def _chain(self, scale: int = 1) -> Chain:
        if self.peek() == "*":
            self.at += 1
            return () if scale == 1 else (Component(0, repeat=scale),)
        found = []
        while True:
            found.append(self._component(scale))
            if len(found) > _MOST_COMPONENTS:
                raise ValueError("too many values in a calendar expression")
            if self.peek() != ",":
                return tuple(found)
            self.at += 1

    def _component(self, scale: int) -> Component:
        start, stop, repeat = self._number(scale), -1, 0
        if self.rest.startswith(".."):
            self.at += 2
            stop, repeat = self._number(scale), scale
            if stop == start and self.peek() != "/":
                stop, repeat = -1, 0
        if self.peek() == "/":
            self.at += 1
            repeat = self._number(scale)
            if repeat == 0:
                raise ValueError("a repetition each 0 never gets on")
        if self.peek() not in ("", " ", ",", "-", "~", ":"):
            raise self.error()
        return Component(start, stop, repeat)

    def _number(self, scale: int) -> int:
        match = _NUMBER.match(self.text, self.at)
        if match is None:
            raise self.error()
        self.at = match.end()
        value = int(match[0][:12]) * scale if len(match[0]) <= 12 else _LARGEST + 1
        fraction = _FRACTION.match(self.text, self.at) if scale != 1 else None
        if fraction is not None:
            digits = fraction[1][:7].ljust(7, "0")
            value += int(digits[:6]) + (digits[6] >= "5")
            self.at = fraction.end()
        if value > _LARGEST:
            raise ValueError(f"'{match[0][:40]}' is too large for a calendar expression")
        return value


def _full_years(chain: Chain) -> Chain:
    def full(year: int) -> int:
        return year + 2000 if 0 <= year < 70 else year + 1900 if 70 <= year < 100 else year

    return tuple(Component(full(c.start), full(c.stop), c.repeat) for c in chain)


def _checked(found: Calendar) -> Calendar:
    """In normal form: each field sorted, without doubles, within its bounds. ValueError if it is not."""
    last_day = 28 if found.from_end else 31
    return Calendar(
        found.weekdays,
        _chain(found.years, FIRST_YEAR, LAST_YEAR, "year"),
        _chain(found.months, 1, 12, "month"),
        _chain(found.days, 1, last_day, "day", backwards=found.from_end),
        found.from_end,
        _chain(found.hours, 0, 23, "hour"),
        _chain(found.minutes, 0, 59, "minute"),
        _whole(_chain(found.seconds, 0, MINUTE - 1, "second")),
        found.zone,
    )


def _chain(chain: Chain, low: int, high: int, field: str, *, backwards: bool = False) -> Chain:
    normal = []
    for one in chain:
        stop = one.stop
        if stop > one.start and one.repeat:
            stop -= (stop - one.start) % one.repeat
        bad = not low <= one.start <= high or one.repeat > high - low
        if stop >= 0:
            bad = bad or not low <= stop <= high or one.start + one.repeat > stop
        elif backwards:
            bad = bad or one.start - one.repeat < low
        else:
            bad = bad or one.start + one.repeat > high
        if bad:
            told = _second_text(one) if field == "second" else _component_text(one, 1)
            raise ValueError(
                f"{told} is not possible as {'an' if field == 'hour' else 'a'} {field}"
            )
        normal.append(Component(one.start, stop, one.repeat))
    return tuple(sorted(set(normal)))


def _whole(seconds: Chain) -> Chain:
    """Each second is `*`, whatever whole seconds stand beside it."""
    every = Component(0, repeat=SECOND)
    if every in seconds and all(not (c.start % SECOND or c.repeat % SECOND) for c in seconds):
        return (every,)
    return seconds


# -- normal form -------------------------------------------------------------------------------------


def _weekdays_text(bits: int) -> str:
    runs: list[list[int]] = []
    for day in range(7):
        if bits >> day & 1:
            if runs and runs[-1][-1] == day - 1:
                runs[-1].append(day)
            else:
                runs.append([day])
    words = []
    for run in runs:
        between = ".." if len(run) > 2 else ","
        words.append(between.join(_DAYS[day] for day in dict.fromkeys((run[0], run[-1]))))
    return ",".join(words)


def _text(chain: Chain, width: int = 2) -> str:
    return ",".join(_component_text(one, width) for one in chain) if chain else "*"


def _component_text(one: Component, width: int) -> str:
    text = f"{one.start:0{width}}" + (f"..{one.stop:0{width}}" if one.stop >= 0 else "")
    implied = one.stop >= 0 and one.repeat == 1
    return text + (f"/{one.repeat}" if one.repeat and not implied else "")


def _seconds_text(chain: Chain) -> str:
    if chain == (Component(0, repeat=SECOND),):
        return "*"
    return ",".join(_second_text(one) for one in chain)


def _second_text(one: Component) -> str:
    text = _with_fraction(one.start, 2)
    if one.stop >= 0:
        text += f"..{_with_fraction(one.stop, 2)}"
    implied = one.stop >= 0 and one.repeat == SECOND
    return text + (f"/{_with_fraction(one.repeat, 1)}" if one.repeat and not implied else "")


def _with_fraction(value: int, width: int) -> str:
    fraction = f".{value % SECOND:06}" if value % SECOND else ""
    return f"{value // SECOND:0{width}}{fraction}"
