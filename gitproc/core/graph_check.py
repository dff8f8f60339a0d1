"""What is wrong with a dependency graph: cycles of the order, requirements nobody has, conflicts that would meet."""

from __future__ import annotations

from collections.abc import Container, Iterable
from itertools import pairwise
from typing import TYPE_CHECKING

from gitproc.core.dependency_resolver import DependencyResolver, build, roots_of
from gitproc.core.relation import Relation
from gitproc.units import directives as d
from gitproc.units.control import slices_of
from gitproc.units.diagnostics import Diagnostic, Location, Severity
from gitproc.units.directives_resources import SLICE
from gitproc.units.directives_socket import ACCEPT
from gitproc.units.service_types import Update

if TYPE_CHECKING:
    from gitproc.units.loader import UnitSet


def _edge_where(graph: DependencyResolver, source: str, target: str) -> tuple[Location, str]:
    for relation, words in (
        (graph.after, "is ordered after"),
        (graph.requires, "requires"),
        (graph.binds_to, "is bound to"),
        (graph.wants, "wants"),
        (graph.requisite, "starts only beside"),
    ):
        if relation.has(source, target):
            return relation.where(source, target), words
    return Location(source, 0), "comes after"


def check_changed(
    graph: DependencyResolver,
    units: UnitSet,
    changed: Iterable[str],
    roots: Iterable[str],
    ran: frozenset[str] = frozenset(),
    *,
    partial: bool = False,
    elsewhere: Container[str] = (),
) -> list[Diagnostic]:
    """What is wrong with the graph as far as the edges of `changed` units can be to blame.

    `ran`: what was pulled in before; two of them that conflict are no news, unless one has changed.
    `partial`: these are some units of many, so that one that is not here may be elsewhere.
    `elsewhere`: names that the commit need not have, as the host's systemd has them.
    """
    findings: list[Diagnostic] = []
    cleared: set[str] = set()
    names = sorted(changed)
    for name in names:
        findings += _missing(graph, units, name, elsewhere, partial=partial)
        findings += _masked_around(units, name)
        findings += _overlap(graph, units, name, partial=partial)
        if name in cleared:
            continue
        cycle = graph.find_cycle(name, cleared)
        if cycle is not None:
            findings.append(_cycle(graph, cycle))
            cleared.update(cycle)
    if not any(one.severity == "error" for one in findings):
        pulled = graph.closure(roots, units.units)
        findings += _conflicts(graph, sorted({*names, *(pulled - ran)}), pulled)
    return findings


def _missing(
    graph: DependencyResolver,
    units: UnitSet,
    name: str,
    elsewhere: Container[str],
    *,
    partial: bool,
) -> list[Diagnostic]:
    among = "among these files" if partial else "in this commit"
    absent: Severity = "warning" if partial else "error"
    around = slices_of(units.units[name]) if name in units.units else ()
    found: list[tuple[Relation, str, str, Severity, str]] = []
    for relation, directive in (
        (graph.requires, "Requires"),
        (graph.binds_to, "BindsTo"),
        (graph.requisite, "Requisite"),
    ):
        for other in relation.of(name):
            unit = units.units.get(other) or units.resolve(other)
            if unit is None and other not in elsewhere:
                problem = f"{name} needs {other}, {_lack(units, other, among)}"
                found.append((relation, other, directive, absent, problem))
            elif unit is not None and unit.masked and other not in around:
                problem = f"{name} needs {other}, which is masked"
                found.append((relation, other, directive, "error", problem))
    for relation, directive in (
        (graph.on_failure, "OnFailure"),
        (graph.on_success, "OnSuccess"),
        (graph.on_retry, "OnRetry"),
    ):
        for other in relation.of(name):
            if other not in units.units and units.resolve(other) is None:
                problem = f"{name} would start {other}, {_lack(units, other, among)}"
                found.append((relation, other, directive, "warning", problem))
    for other in graph.triggers.of(name):
        if not (other in units.templates or other in units.units or units.resolve(other)):
            problem = f"{name} starts {other}, {_lack(units, other, among)}"
            found.append((graph.triggers, other, "Unit", absent, problem))
    return [
        Diagnostic(relation.where(name, other), severity, directive, problem)
        for relation, other, directive, severity, problem in found
    ]


def _masked_around(units: UnitSet, name: str) -> list[Diagnostic]:
    """Whether it lies in a masked slice, at whatever depth."""
    unit = units.units.get(name)
    if unit is None or unit.masked:
        return []
    slices = filter(None, map(units.units.get, slices_of(unit)))
    problems = [f"{name} lies in {x.name}, which is masked" for x in slices if x.masked]
    return [Diagnostic(unit.where(SLICE), "error", "Slice", problem) for problem in problems]


def _lack(units: UnitSet, name: str, among: str) -> str:
    misfits = units.misfits(name)
    return f"and its template cannot be that: {misfits[0]}" if misfits else f"which is not {among}"


def _overlap(
    graph: DependencyResolver, units: UnitSet, name: str, *, partial: bool
) -> list[Diagnostic]:
    """Whether two instances of it could be there at once, as Update=overlap asks for."""
    unit = units.units.get(name) or (units.resolve(name) if "@" in name else None)
    accepting = unit is not None and unit.kind == "socket" and unit[ACCEPT]
    if accepting:  # what it starts is a template
        unit = units.resolve(f"{name.removesuffix('.socket')}@0.service")
    if unit is None or unit.kind != "service" or unit.masked:
        return []
    if unit[d.UPDATE] is not Update.OVERLAP:
        return []
    where, directive = unit.where(d.UPDATE), d.UPDATE.name
    if accepting:
        text = f"each instance serves one connection of {name} to its end: nothing could take over"
        return [Diagnostic(where, "error", directive, text)]
    sockets = {*unit[d.SOCKETS], *(x for x in graph.triggers.to(name) if x.endswith(".socket"))}
    if sockets or partial:
        return []
    text = "no socket unit serves it: both instances would open their own sockets"
    return [Diagnostic(where, "warning", directive, text)]


def _cycle(graph: DependencyResolver, cycle: list[str]) -> Diagnostic:
    steps = []
    first: Location | None = None
    for source, target in pairwise(cycle):
        where, words = _edge_where(graph, source, target)
        first = first or where
        steps.append(f"{source} {words} {target} ({where})")
    return Diagnostic(
        first or Location(cycle[0], 0), "error", "After", "ordering cycle: " + ", ".join(steps)
    )


def _conflicts(
    graph: DependencyResolver, names: list[str], pulled: frozenset[str]
) -> list[Diagnostic]:
    findings = []
    told: set[tuple[str, str]] = set()
    for name in names:
        if name not in pulled:
            continue
        for other in dict.fromkeys(graph.rivals(name)):
            ends = (name, other) if graph.conflicts.has(name, other) else (other, name)
            if other in pulled and ends not in told:
                told.add(ends)
                where = graph.conflicts.where(*ends)
                message = f"{ends[0]} conflicts with {ends[1]}, and both would run"
                findings.append(Diagnostic(where, "error", "Conflicts", message))
    return findings


def check(units: UnitSet, default_target: str = "default.target") -> list[Diagnostic]:
    """Everything that is wrong with the graph of a unit set: cycles, missing requirements, conflicts."""
    roots = roots_of(units, default_target)
    return check_changed(build(units), units, units.units, roots)
