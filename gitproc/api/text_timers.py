"""`list-timers` in plain text: systemctl's columns."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from gitproc.api.text_style import Style, ago, counted, moment, number, safe, table
from gitproc.units.timespan import format_span

_HEADS = ("NEXT", "LEFT", "LAST", "PASSED", "UNIT", "ACTIVATES")


def timers(data: Mapping[str, Any], style: Style) -> list[str]:
    """One line a timer, the next one to elapse first."""
    now = time.time()
    rows = []
    for one in data.get("timers") or ():
        after, last = number(one.get("next")), number(one.get("last"))
        rows.append(
            (
                moment(after) if after is not None else "-",
                left(after - now) if after is not None else "-",
                moment(last) if last is not None else "-",
                ago(now - last) if last is not None else "-",
                safe(one.get("unit")),
                safe(one.get("activates") or "-"),
            )
        )
    count = f"{len(rows)} timer{'' if len(rows) == 1 else 's'} listed."
    return counted(table(_HEADS, rows, style) if rows else [], count, style)


def left(seconds: float) -> str:
    """How long until then, in the two largest units: `1h 5min`."""
    if seconds <= 0:
        return "now"
    span = format_span(float(int(seconds)) if seconds >= 1 else round(seconds, 3))
    return " ".join(span.split(" ")[:2])
