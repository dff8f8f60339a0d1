"""Timers as people and programs see them: a projection of the world, never stored."""

from __future__ import annotations

from typing import Any

from gitproc.core.timers import Elapse, calendar, monotonic, next_at
from gitproc.core.triggers import started_by
from gitproc.core.unit_state import UnitState
from gitproc.core.world import World
from gitproc.units.calendar import Calendar


def timer_status(world: World, state: UnitState) -> dict[str, float | None] | None:
    """When a timer elapses next and did last, seconds since 1970; None for other units."""
    timer = state.timer
    if timer is None:
        return None
    return {
        "next": next_at(world, timer) if state.up else None,
        "next_realtime": timer.realtime if state.up else None,
        "next_monotonic": timer.monotonic if state.up else None,
        "last": timer.last or world.stamps.get(state.name),
    }


def elapses(
    world: World, state: UnitState
) -> tuple[list[Elapse], list[tuple[Calendar, float | None]]]:
    """What each setting of a timer that is up comes to; none of one that is not."""
    timer, name = state.timer, started_by(world, state.name)
    if timer is None or name is None or not state.up:
        return [], []
    target = world.units.get(name) or UnitState(name)
    spans = list(monotonic(world, state, timer, target))
    return spans, list(calendar(world, state.definition, timer, target))


def timers(world: World) -> list[dict[str, Any]]:
    """Every timer of the commit in force, the next to elapse first."""
    names = {name for name in world.units if name.endswith(".timer")}
    if world.desired is not None:
        units = world.desired.units.values()
        names.update(unit.name for unit in units if unit.kind == "timer" and unit.instance != "")
    found = []
    for name in sorted(names):
        state = world.units.get(name) or UnitState(name)
        one = timer_status(world, state) or {"next": None, "last": world.stamps.get(name)}
        activates = next(iter(world.graph.triggers.of(name)), "")
        about = {"unit": name, "activates": activates, "active_state": state.active.value}
        found.append({**about, "next": one["next"], "last": one["last"]})
    return sorted(found, key=lambda one: (one["next"] is None, one["next"] or 0.0, one["unit"]))
