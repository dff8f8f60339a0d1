"""From the files of a commit to what can be put in force: units, graph, and everything that is wrong with them.

One way for all who ask: a push that may be refused, `verify`, `plan`. Nothing here touches the world: the graph
is one of its own, so that it can be built in a thread.
"""

from __future__ import annotations

from typing import Any

from gitproc.core import foreign, plan
from gitproc.core.dependency_resolver import DependencyResolver, build, roots_of
from gitproc.core.graph_check import check_changed
from gitproc.core.world import World
from gitproc.daemon.host_units import of_commit
from gitproc.immutable import immutable
from gitproc.source.reading import TreeChange
from gitproc.units.diagnostics import Diagnostic
from gitproc.units.loader import LoadOptions, UnitSet, load
from gitproc.units.specifiers import Host


@immutable
class Compiled:
    """A commit ready to be judged. `changed`: names that may differ from the base (None: compare all)."""

    units: UnitSet
    changed: frozenset[str] | None
    diagnostics: tuple[Diagnostic, ...]
    graph: DependencyResolver
    pulled: frozenset[str]

    @property
    def errors(self) -> list[Diagnostic]:
        """Why it is refused, if it is."""
        return [x for x in self.diagnostics if x.severity == "error"]

    @property
    def warnings(self) -> list[Diagnostic]:
        """What is worth knowing about it."""
        return [x for x in self.diagnostics if x.severity != "error"]

    @property
    def count(self) -> int:
        """How many units the commit itself defines."""
        return sum(1 for unit in self.units.units.values() if unit.fragment)


def compile_commit(
    change: TreeChange,
    base: UnitSet | None,
    host: Host,
    options: LoadOptions,
    target: str = "default.target",
    *,
    partial: bool = False,
    user_mode: bool = False,
) -> Compiled:
    """Compile what was read, on top of `base` where only what differs from it was read.

    The graph is checked even where single units are wrong, so that everything is said at once.
    `partial`: the files are some of many; a requirement that is not among them is no error. The host's
    systemd, if there is one (`user_mode`: the user's), is asked for what the commit requires and does
    not have. Blocks: call it in a thread.
    """
    changed: frozenset[str] | None = None
    if base is not None and not change.full:
        units, changed = base.updated(change.files)
    else:
        present = [file for file in change.files.values() if file is not None]
        units = load(present, host, options)
    roots = roots_of(units, target)
    graph = build(units)
    found = [*change.diagnostics, *units.diagnostics]
    abroad = None if partial else of_commit(units, units.units, user_mode=user_mode)
    has = foreign.elsewhere(abroad or {}, again=False)
    found += check_changed(graph, units, units.units, roots, partial=partial, elsewhere=has)
    pulled = graph.closure(roots, units.units)
    ordered = sorted(dict.fromkeys(found), key=lambda x: (*x.location, x.severity, x.message))
    return Compiled(units, changed, tuple(ordered), graph, pulled)


def plan_for(world: World, compiled: Compiled) -> list[plan.PlanEntry]:
    """What putting it in force would do now, unit by unit, as far as people hear of it."""
    names = {*compiled.units.units, *world.units}
    entries = plan.compute(world, compiled.units, compiled.graph, compiled.pulled, names)
    return [
        entry
        for entry in entries
        if entry.action is not plan.PlannedAction.NONE
        and plan.is_told(world, compiled.units, entry)
    ]


def plan_record(entries: list[plan.PlanEntry]) -> list[dict[str, Any]]:
    """The stable JSON form of a plan."""
    return [entry.as_dict() for entry in entries]
