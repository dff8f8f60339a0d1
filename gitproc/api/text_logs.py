"""Lines of services' logs as text, with when and by whom in front or without, as journalctl shows them."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from gitproc.api.text_style import Style, number, safe
from gitproc.units.names import bare_name

Line = Mapping[str, Any]
Moment = datetime.datetime

_STAMPS: Mapping[str, Callable[[Moment], str]] = {
    "short": lambda at: f"{at:%b %d %H:%M:%S}",
    "short-precise": lambda at: f"{at:%b %d %H:%M:%S.%f}",
    "short-full": lambda at: f"{at:%a %Y-%m-%d %H:%M:%S %Z}",
    "short-iso": lambda at: at.isoformat(timespec="seconds"),
    "short-iso-precise": lambda at: at.isoformat(timespec="microseconds"),
    "short-unix": lambda at: f"{at.timestamp():.6f}",
}
_COLORS: Mapping[Any, str] = {**dict.fromkeys(range(4), "red"), 4: "yellow", 5: "bold", 7: "dim"}
FORMS = (*_STAMPS, "cat", "json")


def log_line(line: Line, form: str, style: Style, *, utc: bool = False) -> str:
    """One line; `form` is one of FORMS but json. A line whose time is not known has `-` for it."""
    text = style.paint(style.raw(str(line.get("text", ""))), _COLORS.get(line.get("priority"), ""))
    if form == "cat":
        return text
    stamp, at = "-", number(line.get("time"))
    if at is not None:
        zone = datetime.UTC if utc else None
        try:
            stamp = _STAMPS[form](datetime.datetime.fromtimestamp(at, zone).astimezone(zone))
        except (OverflowError, ValueError, OSError):
            stamp = f"@{at}"
    unit = f" {safe(bare_name(str(line['unit'])))}" if line.get("unit") else ""
    return f"{style.paint(stamp, 'dim')}{unit}: {text}"


def journal_entry(line: Line) -> dict[str, str]:
    """The fields that the journal has for such a line (systemd.journal-fields(7))."""
    text, at = str(line.get("text", "")), number(line.get("time"))
    unit, priority = str(line.get("unit", "")), str(line.get("priority", 6))
    entry = {"PRIORITY": priority, "SYSLOG_IDENTIFIER": bare_name(unit), "MESSAGE": text}
    entry = {"_TRANSPORT": "stdout", "_SYSTEMD_UNIT": unit, **entry}
    if at is None:
        return entry
    return {"__REALTIME_TIMESTAMP": str(round(at * 1e6)), **entry}


def form_of(lines: Sequence[Line]) -> str:
    """How to show them unless asked otherwise: who wrote what is told where there is more than one."""
    return "short" if len({line.get("unit") for line in lines}) > 1 else "cat"


def cut(data: Mapping[str, Any], count: int, what: str = "shown") -> str:
    """What to say where an answer has not all the lines that were asked for; else nothing."""
    where = data.get("cut")
    return (
        f"gitproc: only the last {count} lines are {what}: {safe(where)} has all\n" if where else ""
    )


def log_lines(lines: Iterable[Line], form: str, style: Style, *, utc: bool = False) -> list[str]:
    """`log_line` of each."""
    return [log_line(line, form, style, utc=utc) for line in lines]
