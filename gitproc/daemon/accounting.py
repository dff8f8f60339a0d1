"""What units and slices use, for `status`, `show` and `top`: read from their groups, never by a walk over /proc."""

from __future__ import annotations

from typing import Any

from gitproc.core.unit_state import UnitState
from gitproc.daemon.effects import Effects
from gitproc.daemon.loop import boottime
from gitproc.kernel.resource_controller import ResourceController
from gitproc.units.control import ROOT, slices_of
from gitproc.units.names import parent_slice

_USAGE = ("memory", "memory_peak", "memory_max", "tasks", "tasks_max", "cpu_seconds")
_DETAILS = ("swap", "io_read", "io_write", "io_reads", "io_writes", "oom_kills", "pressure")


def counts(state: UnitState | None) -> bool:
    """Whether the unit has a group whose use can be told."""
    if state is None or state.down or state.unit is None:
        return False
    return state.unit.kind == "slice" or not state.tree_empty


def usage(controller: ResourceController, seat: str) -> dict[str, Any]:
    """The few figures that every list of units shows."""
    found = controller.usage(seat)
    return {key: getattr(found, key) for key in _USAGE}


def details(controller: ResourceController, seat: str) -> dict[str, Any]:
    """The figures that are shown of one unit."""
    found = controller.details(seat)
    place = controller.paths(seat).directory
    return {"cgroup": place, **{key: getattr(found, key) for key in _DETAILS}}


def top(effects: Effects) -> dict[str, Any]:
    """Every unit with processes and every slice, with counters; `time` in seconds since boot."""
    controller, rows = effects.controller, []
    slices = {ROOT}
    for name, state in effects.world.units.items():
        if state.unit is None or not counts(state):
            continue
        if state.unit.kind == "slice":
            slices.update((name, *slices_of(state.unit)))
            continue
        around = slices_of(state.unit)
        slices.update(around)
        rows.append(_row(controller, name, around[0] if around else ROOT, state.seat))
    rows += [_row(controller, name, parent_slice(name) or "") for name in sorted(slices)]
    return {"version": 1, "time": boottime(), "units": rows}


def _row(controller: ResourceController, name: str, around: str, seat: str = "") -> dict[str, Any]:
    return {
        "unit": name,
        "slice": around,
        **usage(controller, seat or name),
        **details(controller, seat or name),
    }
