"""Properties of `show` that tell what starts a unit and what is kept for it (org.freedesktop.systemd1(5)).

By systemd's names, several values as a list, as in `core/properties.py`: `Listen=127.0.0.1:80 (Stream)`,
`TimersCalendar={ OnCalendar=... ; next_elapse=@1767225600.000000 }`, `Paths=/srv (PathChanged)`,
`NFileDescriptorStore=2`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gitproc.core.properties import property_name
from gitproc.core.status_timers import elapses
from gitproc.core.unit_state import UnitState
from gitproc.core.world import World
from gitproc.units import directives_path, directives_timer
from gitproc.units.timespan import format_span
from gitproc.units.unit import Unit

Shown = str | list[str]


def more_properties(
    world: World, unit: Unit, status: Mapping[str, Any], stored: int
) -> dict[str, Shown]:
    """What a unit of its kind has of these; `status` is its `unit_status`, `stored` the descriptors kept for it."""
    found: dict[str, Shown] = {}
    if unit.kind in ("timer", "path") and status["triggers"]:
        found["Unit"] = str(status["triggers"][0]["name"])
    if unit.kind == "service":
        found["NFileDescriptorStore"] = str(stored)
    elif unit.kind == "timer":
        found |= _timers(world, unit)
    elif unit.kind == "path":
        found["Paths"] = [
            f"{path} ({row.name})" for row in directives_path.WATCHES for path in unit[row]
        ]
    elif unit.kind == "socket":
        record = status["socket"]
        found["Listen"] = [f"{each['address']} ({each['type']})" for each in record["listen"]]
        for key, name in _COUNTS.items():
            found[name] = str(record.get(key, 0))
    return found


def _timers(world: World, unit: Unit) -> dict[str, Shown]:
    """What each setting of a timer comes to: a calendar's in seconds since 1970, others' since the boot."""
    spans, calendars = elapses(world, world.units.get(unit.name) or UnitState(unit.name))
    rested = [(row.name, span, 0.0) for row in directives_timer.MONOTONIC for span in unit[row]]
    instants = [(each.name, each.span, each.at) for each in spans] or rested
    times = calendars or [(one, None) for one in unit[directives_timer.ON_CALENDAR]]
    return {
        "TimersCalendar": [
            f"{{ OnCalendar={one} ; next_elapse={'n/a' if at is None else f'@{at:.6f}'} }}"
            for one, at in times
        ],
        "TimersMonotonic": [
            f"{{ {property_name(name)}={format_span(span)} ; next_elapse={format_span(at)} }}"
            for name, span, at in instants
        ],
    }


_COUNTS = {"accepted": "NAccepted", "connections": "NConnections", "refused": "NRefused"}
