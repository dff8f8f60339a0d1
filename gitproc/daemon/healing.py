"""Limits that somebody has changed by hand: what they are now, and setting them again as the commit says."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from gitproc.core.drift import Drift
from gitproc.core.events import Event, SyncAsked
from gitproc.daemon.effects import Effects


def differing_limits(effects: Effects) -> list[Drift]:
    """Limits of running units that somebody has changed by hand."""
    found = []
    for name, state in effects.world.units.items():
        if state.down or state.unit is None or state.unit.kind not in ("service", "slice"):
            continue
        if state.unit.kind == "service" and state.tree_empty:
            continue
        differing = effects.controller.differing_limits(state.unit)
        if differing:
            found.append(Drift(name, "limit", "; ".join(differing), "gitproc sync"))
    return found


def heal_limits(effects: Effects, who: str) -> Iterable[str]:
    """Set them again as the commit says; the units."""
    for drift in differing_limits(effects):
        unit = effects.world.units[drift.unit].definition
        problems = effects.controller.set_limits(unit)
        text = "; ".join(problems) or f"set again as the commit says: {drift.detail}"
        kind = "unit.limits-failed" if problems else "unit.limits-changed"
        effects.events.append(kind, drift.unit, text, {}, who, time.time())
        yield drift.unit


def resync(effects: Effects, post: Callable[[Event], None]) -> None:
    """What `resync = "heal"` has every slow poll do."""
    for _ in heal_limits(effects, "gitproc"):
        pass
    post(SyncAsked(0, "gitproc", thorough=False))
