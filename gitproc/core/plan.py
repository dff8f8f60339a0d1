"""The plan: what a commit would change, unit by unit, with the smallest action and the directive that causes it.

The plan is an explanation, not a program: it is computed for `gitproc plan`, for the log and for the
verdict, and never walked. What is executed falls out of the rules in `schedule.py`, which use the same
`compare`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from gitproc.core.dependency_resolver import DependencyResolver
from gitproc.core.reload import can_reload
from gitproc.core.states import FINE, UNBEGUN
from gitproc.core.unit_state import UnitState
from gitproc.core.world import World
from gitproc.immutable import as_dict, immutable
from gitproc.units import directives as d
from gitproc.units.conditions import conditions_of
from gitproc.units.control import change_of
from gitproc.units.diagnostics import Location
from gitproc.units.directive import Change
from gitproc.units.directives_resources import LIVE
from gitproc.units.names import comes_on_demand
from gitproc.units.seats import is_second
from gitproc.units.service_types import ServiceType, Update
from gitproc.units.timespan import format_span
from gitproc.units.unit import Unit

if TYPE_CHECKING:
    from gitproc.units.loader import UnitSet

_RANK = {Change.NONE: 0, Change.LIVE: 1, Change.RELOAD: 2, Change.RESTART: 3}


class PlannedAction(StrEnum):
    """What will happen to a unit."""

    NONE = "none"
    LIVE = "live"
    RELOAD = "reload"
    RESTART = "restart"
    UPDATE = "update"
    START = "start"
    STOP = "stop"


_WEAKER = frozenset(
    {PlannedAction.NONE, PlannedAction.LIVE, PlannedAction.RELOAD, PlannedAction.UPDATE}
)


@immutable
class Difference:
    """One directive that differs; texts as written, joined where there are several."""

    directive: str
    old: str
    new: str
    change: Change
    where: Location

    def __str__(self) -> str:
        return f"{self.directive} {self.old or '(unset)'} → {self.new or '(unset)'}"


@immutable
class Comparison:
    """Everything that differs between two definitions of a unit, and the action it takes."""

    change: Change
    differences: tuple[Difference, ...]

    @property
    def directives(self) -> list[str]:
        """Those that need the strongest action."""
        return [x.directive for x in self.differences if x.change is self.change]

    @property
    def limits(self) -> bool:
        """Whether a resource limit is among them."""
        return any(f"Service.{x.directive}" in LIVE for x in self.differences)


def compare(old: Unit, new: Unit) -> Comparison:
    """Compare two definitions directive by directive.

    What follows from another directive is no difference beside that one (TimeoutAbortSec= takes after
    TimeoutStopSec=), unless it takes more than that one does, or nothing else differs: then the values
    are shown.
    """
    if old is new:
        return Comparison(Change.NONE, ())
    differences: list[Difference] = []
    derived: list[Difference] = []
    for key in sorted(old.values.keys() | new.values.keys()):
        directive = d.TABLE.get(key)
        if directive is None or old[directive] == new[directive]:
            continue
        where = new.where(directive) if new.has(directive) else old.where(directive)
        texts = "; ".join(old.written().get(key, ())), "; ".join(new.written().get(key, ()))
        change = change_of(directive, old, new)
        if new.kind == "socket" and directive.section not in ("Socket", "Unit"):
            change = Change.LIVE  # how its commands run is no reason to close it
        found = differences
        if texts[0] == texts[1]:
            name = directive.name
            found = derived
            texts = _effective(old[directive], name), _effective(new[directive], name)
        found.append(Difference(directive.name, *texts, change, where))
    differences += _trigger_differences(old, new)
    reached = _RANK[_strongest(differences)] if differences else -1
    differences += [x for x in derived if _RANK[x.change] > reached]
    return Comparison(_strongest(differences), tuple(differences))


def _strongest(differences: Iterable[Difference]) -> Change:
    return max((x.change for x in differences), key=_RANK.__getitem__, default=Change.NONE)


def _effective(value: Any, name: str) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if name.endswith("Sec") and isinstance(value, float):
        return "infinity" if value == math.inf else format_span(value)
    return str(value)


def _trigger_differences(old: Unit, new: Unit) -> Iterable[Difference]:
    for path in sorted(old.triggers.keys() | new.triggers.keys()):
        before, after = old.triggers.get(path, ""), new.triggers.get(path, "")
        if before != after:
            restart = path in new[d.RESTART_TRIGGERS] or path in old[d.RESTART_TRIGGERS]
            directive = d.RESTART_TRIGGERS if restart else d.RELOAD_TRIGGERS
            change = Change.RESTART if restart else Change.RELOAD
            texts = before[:12], after[:12]
            yield Difference(f"{directive.name} {path}", *texts, change, Location(path, 0))


@immutable
class PlanEntry:
    """One unit's line of the plan."""

    unit: str
    action: PlannedAction
    reason: str
    differences: tuple[Difference, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """The stable JSON form."""
        return {
            "unit": self.unit,
            "action": self.action.value,
            "reason": self.reason,
            "changes": [
                {**as_dict(x), "change": x.change.value, "where": str(x.where)}
                for x in self.differences
            ],
        }


def compute(
    world: World,
    units: UnitSet,
    graph: DependencyResolver,
    pulled: frozenset[str],
    changed: Iterable[str],
) -> list[PlanEntry]:
    """The plan for putting `units` in force, for the `changed` names and those that follow them."""
    entries: dict[str, PlanEntry] = {}
    held = set(_held(world, units))
    blocked = graph.stop_closure(sorted(held))
    kept_down = held | blocked.keys() | {name for name, unit in units.units.items() if unit.masked}
    gives_way = {
        name
        for name, state in world.units.items()
        if state.demanded and name not in pulled
        if any(other in pulled and other not in kept_down for other in graph.rivals(name))
    }
    freed = world.blocked.keys() - blocked.keys()
    asked = pulled | _demanded(world, units, graph)
    also = sorted(freed | gives_way | (asked - pulled))
    for name in dict.fromkeys((*changed, *also)):
        run = name in asked and name not in blocked and name not in gives_way
        entry = _entry(world, units, name, run=run)
        if entry is not None:
            entries[name] = entry
    todo = [
        name
        for name, entry in entries.items()
        if entry.action is PlannedAction.RESTART and not world.units[name].stopping
    ]
    while todo:
        name = todo.pop()
        for other in graph.follows_restart(name):
            state = world.units.get(other)
            if state is None or state.down or state.stopping:
                continue
            present = entries.get(other)
            weaker = present is None or present.action in _WEAKER
            if weaker and other not in blocked and other in asked:
                entries[other] = PlanEntry(other, PlannedAction.RESTART, f"{name} restarts")
                todo.append(other)
    return [entries[name] for name in graph.start_order(entries)]


def is_told(world: World, units: UnitSet, entry: PlanEntry) -> bool:
    """Whether people hear of it: what is there without files comes and goes unsaid."""
    state = world.units.get(entry.unit)
    unit = units.units.get(entry.unit) or (state.unit if state is not None else None)
    return unit is None or unit.has_files or bool(entry.differences)


def _definition(units: UnitSet, name: str) -> Unit | None:
    """What `units` says of `name`; of an instance that it does not mention, too."""
    return units.units.get(name) or (units.resolve(name) if comes_on_demand(name) else None)


def _demanded(world: World, units: UnitSet, graph: DependencyResolver) -> set[str]:
    """What operators have started, and what that pulls in."""
    names = {n for n, s in world.units.items() if s.demanded and _definition(units, n) is not None}
    return names | graph.closure((x for n in names for x in graph.pulls(n)), units.units)


def _held(world: World, units: UnitSet) -> Iterable[str]:
    """Units whose hold outlives the change: it does not touch them."""
    for name, state in world.units.items():
        if state.hold is not None:
            unit = _definition(units, name)
            if unit is not None and unit.fingerprint == state.hold.fingerprint:
                yield name


def _entry(world: World, units: UnitSet, name: str, *, run: bool) -> PlanEntry | None:
    """`run`: something wants the unit, and nothing keeps it down."""
    state = world.units.get(name)
    new = _definition(units, name)
    if is_second(name):
        return None  # it follows from the unit that it belongs to
    if state is not None and state.connection is not None:
        return None  # it serves its connection to the end
    run = run and new is not None and not new.masked
    if state is not None and new is not None:
        held = state.hold is not None and state.hold.fingerprint == new.fingerprint
        if held or (not run and name in world.blocked):
            return None
    if state is not None and not state.down and state.unit is not None:
        if not run or new is None:
            gone = "removed" if new is None else "masked" if new.masked else "no longer wanted"
            return PlanEntry(name, PlannedAction.STOP, gone)
        return _changed_entry(state, state.unit, new)
    if not run or new is None:
        return None
    if state is not None and (state.done == new.fingerprint or still_done(state, new)):
        differences = compare(state.unit, new).differences if state.unit is not None else ()
        if not look_again(state, new):
            text = "it has done its work"
            return PlanEntry(name, PlannedAction.NONE, text, differences) if differences else None
        return PlanEntry(name, PlannedAction.START, "other conditions", differences)
    known = world.wanted_unit(name)
    differences = compare(known, new).differences if known is not None else ()
    if known is not None and not differences and _is_wanted(world, name):
        return None  # down for reasons of its own
    reason = "new" if known is None else "changed" if differences else "not running"
    return PlanEntry(name, PlannedAction.START, reason, differences)


def _is_wanted(world: World, name: str) -> bool:
    """Whether the commit in force wants `name` to run already."""
    state = world.units.get(name)
    demanded, held = state is not None and state.demanded, state is not None and state.hold
    return (name in world.pulled or demanded) and name not in world.blocked and not held


def look_again(state: UnitState, unit: Unit) -> bool:
    """Whether a start that conditions or an assertion prevented is worth another try by `unit`.

    Conditions do not count as a change of a unit; one that is down for them is tried by the new ones.
    """
    if not (state.skipped or state.result in UNBEGUN) or state.unit is None:
        return False
    old = state.unit
    if conditions_of(old.values) != conditions_of(unit.values):
        return True
    return old[d.EXEC_CONDITION] != unit[d.EXEC_CONDITION]


def still_done(state: UnitState, unit: Unit) -> bool:
    """Whether a oneshot that ended well has done the work of `unit`, too.

    What would change in a running process, or nowhere, is no reason to do the work once more.
    """
    old = state.unit
    if old is None or not state.down or state.done != old.fingerprint or state.result not in FINE:
        return False
    oneshot = old[d.TYPE] is unit[d.TYPE] is ServiceType.ONESHOT
    return oneshot and compare(old, unit).change in (Change.NONE, Change.LIVE)


def overlaps(state: UnitState, new: Unit) -> bool:
    """Whether the instance goes on until one of `new` takes over (Update=overlap).

    Both definitions have to allow that, so the commit that introduces it still restarts.
    """
    old = state.unit
    both = old is not None and old[d.UPDATE] is new[d.UPDATE] is Update.OVERLAP
    return both and new.kind == "service" and state.connection is None


def _changed_entry(state: UnitState, old: Unit, new: Unit) -> PlanEntry | None:
    comparison = compare(old, new)
    if not comparison.differences:
        return None
    action = PlannedAction(comparison.change.value)
    reason = ", ".join(comparison.directives)
    if action is PlannedAction.RELOAD and not can_reload(new):
        action, reason = PlannedAction.RESTART, f"{reason}, and it has no ExecReload="
    if action is PlannedAction.RESTART and state.up and overlaps(state, new):
        action = PlannedAction.UPDATE
    return PlanEntry(state.name, action, reason, comparison.differences)
