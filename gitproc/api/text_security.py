"""`security` in plain text: scores in a table, or the points of a single unit with the line that mends each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gitproc.api.text_style import Style, safe, table

_COLORS = {"DANGEROUS": "red", "UNSAFE": "red", "EXPOSED": "yellow", "OK": "green", "SAFE": "green"}


def security(data: Mapping[str, Any], style: Style) -> list[str]:
    """Of one unit every gap, the largest first; of several a line each, the most exposed first."""
    units = list(data.get("units") or ())
    if len(units) == 1 and data.get("named"):
        return _points(units[0], style)
    if not units:
        return ["none of these is a service" if data.get("named") else "no services"]
    rows = [(safe(x.get("unit")), f"{x.get('exposure')}", safe(x.get("level"))) for x in units]
    colors = [("", _COLORS.get(level, ""), _COLORS.get(level, "")) for _, _, level in rows]
    heads = ("UNIT", "EXPOSURE", "LEVEL")
    return table(heads, rows, style, right=frozenset({1}), colors=colors)


def _points(unit: Mapping[str, Any], style: Style) -> list[str]:
    gaps = [x for x in unit.get("points") or () if x.get("set") is False]
    rows = [(f"{x.get('exposure')}", safe(x.get("text")), _line(x.get("line"))) for x in gaps]
    level = safe(unit.get("level"))
    score = style.paint(f"{unit.get('exposure')} {level}", _COLORS.get(level, ""))
    heads = ("EXPOSURE", "GAP", "CLOSED BY")
    lines = table(heads, rows, style, right=frozenset({0})) if gaps else []
    return [*lines, f"{safe(unit.get('unit'))}: {score} ({len(gaps)} gaps)"]


def _line(lines: Any) -> str:
    """What closes a gap; nothing does what another setting opens."""
    return ", then ".join(map(safe, str(lines or "").split("\n"))) or "-"


def above(data: Mapping[str, Any]) -> bool:
    """Whether a unit is more exposed than the threshold that was asked for."""
    threshold = data.get("threshold")
    units = data.get("units") or ()
    return threshold is not None and any(x.get("exposure", 0) > threshold for x in units)
