"""Properties of `show` as systemctl prints them: a line for each value, and times in words."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from gitproc.api.text_style import Style, moment, safe
from gitproc.pattern import pattern
from gitproc.units.timespan import format_span

_TIMES = frozenset({"NextElapseUSecRealtime", "LastTriggerUSec"})
_TIME = pattern(r"@([0-9]{1,17}\.[0-9]{6})")
_NEXT = pattern(r"(?<= ; next_elapse=)@([0-9]{1,17}\.[0-9]{6})(?= \}$)")
_SPAN = pattern(r"([0-9]{1,17}\.[0-9]{6})s")


def properties(found: Mapping[str, Any], style: Style) -> Iterator[str]:
    """The lines of one unit: `Name=value`, or the bare values."""
    for name, values in found.items():
        for value in values if isinstance(values, list) else [values]:
            text = safe(_in_words(name, str(value)))
            yield text if style.value else f"{name}={text}"


def _in_words(name: str, value: str) -> str:
    """Instants (`@SECONDS` since 1970) and the one span since the boot; `infinity` where there is none."""
    if name.endswith("Timestamp") or name in _TIMES:
        return _TIME.sub(_moment, value) if _TIME.fullmatch(value) else value
    if name == "TimersCalendar":
        return _NEXT.sub(_moment, value)
    if name == "NextElapseUSecMonotonic" and (found := _SPAN.fullmatch(value)):
        return format_span(float(found[1])) if float(found[1]) else "infinity"
    return value


def _moment(found: re.Match[str]) -> str:
    return moment(float(found[1]))
