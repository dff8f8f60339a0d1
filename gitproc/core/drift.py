"""Drift: where what is differs from what the commit in force wants, for reasons of its own.

Work that is under way is no drift. What the kernel says of limits is compared by the caller, who can read
it; this module knows holds, demands, and units that ended by themselves.
"""

from __future__ import annotations

from gitproc.core import reload, standing
from gitproc.core.plan import compare
from gitproc.core.states import Result, SubState
from gitproc.core.unit_state import UnitState
from gitproc.core.world import World
from gitproc.immutable import as_dict, immutable
from gitproc.units.directive import Change
from gitproc.units.seats import is_second


@immutable
class Drift:
    """One difference. `kind`: held, failed, ended, extra, outdated, limit. `heal`: what would end it."""

    unit: str
    kind: str
    detail: str
    heal: str

    def as_dict(self) -> dict[str, str]:
        """The stable JSON form."""
        return as_dict(self)


def drifts(world: World) -> list[Drift]:
    """Every difference, by unit."""
    names = set(world.pulled) | {name for name in world.units if not is_second(name)}
    triggered = (n for n, s in world.units.items() if s.demanded and s.activation is not None)
    meant = world.graph.closure(triggered, world.units)
    return [found for name in sorted(names) if (found := _drift(world, name, meant)) is not None]


def _drift(world: World, name: str, meant: frozenset[str]) -> Drift | None:
    """`meant`: what runs because a timer, path or socket has started it, or something that needs it."""
    state = world.units.get(name)
    if state is None:
        return None
    if state.hold is not None:
        return _held(world, name, state.hold.who)
    if name in world.blocked:
        return None  # the hold it follows says it
    if state.demanded and state.up and not (name in world.pulled or name in meant):
        return Drift(name, "extra", "started by an operator only", f"gitproc stop {name}")
    unit = standing.wanted(world, name)
    if unit is None:
        return None
    if state.down and state.done == unit.fingerprint and not (state.finished or state.skipped):
        return _ended(name, state)
    if reload.refused(state):
        detail = f"has not taken over {state.unread}: {state.reload_failed}"
        return Drift(name, "outdated", detail, f"gitproc reload {name}")
    if state.up and state.unit is not None and not state.restart_wanted:
        comparison = compare(state.unit, world.wanted_unit(name) or unit)
        if comparison.change in (Change.RESTART, Change.RELOAD):
            changed = ", ".join(comparison.directives)
            return Drift(
                name, "outdated", f"runs with another {changed}", f"gitproc restart {name}"
            )
    return None


def _held(world: World, name: str, who: str) -> Drift | None:
    """A hold is a difference if the commit runs the unit, or has it started by another."""
    wants = "the commit wants it"
    if name not in world.pulled:
        starters = sorted(x for x in world.graph.triggers.to(name) if x in world.pulled)
        if not starters:
            return None
        wants = f"{starters[0]} cannot start it"
    return Drift(name, "held", f"stopped by {who}; {wants}", f"gitproc start {name}")


def _ended(name: str, state: UnitState) -> Drift:
    if state.sub is SubState.FAILED or state.result is not Result.SUCCESS:
        return Drift(name, "failed", state.message or state.result.value, "gitproc sync")
    return Drift(name, "ended", "ended by itself, with success", "gitproc sync")
