"""What a unit says about others, as edges: its dependency directives, [Install], and what is implied.

A dependency that is given from the other end (Before=, WantedBy=) is turned round here, so that the graph
knows one direction of each relation only.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gitproc.immutable import NamedTuple
from gitproc.units import directives as d
from gitproc.units.control import slices_of
from gitproc.units.diagnostics import Location
from gitproc.units.directive import Directive
from gitproc.units.directives_resources import SLICE
from gitproc.units.directives_socket import ACCEPT
from gitproc.units.unit import Unit

EARLY_TARGETS = ("sysinit.target", "basic.target")
_GATHERED_BY = {"timer": "timers.target", "path": "paths.target", "socket": "sockets.target"}


class Edge(NamedTuple):
    """`source` relates to `target`, as unit `declarer` says at `where`."""

    relation: str
    source: str
    target: str
    declarer: str
    where: Location


# directive -> (relation, whether the declaring unit is the edge's target)
_DECLARES: tuple[tuple[Directive[tuple[str, ...]], str, bool], ...] = (
    (d.AFTER, "after", False),
    (d.BEFORE, "after", True),
    (d.REQUIRES, "requires", False),
    (d.WANTS, "wants", False),
    (d.BINDS_TO, "binds_to", False),
    (d.PART_OF, "part_of", False),
    (d.CONFLICTS, "conflicts", False),
    (d.REQUISITE, "requisite", False),
    (d.UPHOLDS, "upholds", False),
    (d.PROPAGATES_STOP_TO, "stops", False),
    (d.STOP_PROPAGATED_FROM, "stops", True),
    (d.PROPAGATES_RELOAD_TO, "reloads", False),
    (d.RELOAD_PROPAGATED_FROM, "reloads", True),
    (d.ON_FAILURE, "on_failure", False),
    (d.ON_SUCCESS, "on_success", False),
    (d.ON_RETRY, "on_retry", False),
    (d.SOCKETS, "wants", False),
    (d.SOCKETS, "after", False),
)
_INSTALLS: tuple[tuple[Directive[tuple[str, ...]], str], ...] = (
    (d.WANTED_BY, "wants"),
    (d.REQUIRED_BY, "requires"),
    (d.UPHELD_BY, "upholds"),
)


def edges_of(unit: Unit, canonical: Callable[[str], str]) -> tuple[Edge, ...]:
    """Every edge that `unit` declares, implicit ones included (systemd.unit(5), systemd.target(5)).

    `canonical` finds a unit's own name behind an alias.
    """
    if unit.masked:
        return ()
    name = unit.name
    edges: list[Edge] = []

    def add(relation: str, other: str, directive: Directive[Any], turned: bool) -> None:
        own = canonical(other)
        if own != name:
            source, target = (own, name) if turned else (name, own)
            edges.append(Edge(relation, source, target, name, unit.where(directive, other)))

    for directive, relation, turned in _DECLARES:
        for other in unit[directive]:
            add(relation, other, directive, turned)
    if unit[d.ENABLED] and unit.installs:
        for directive, relation in _INSTALLS:
            for other in unit[directive]:
                add(relation, other, directive, True)
    if unit[d.STOP_WHEN_UNNEEDED]:
        edges.append(Edge("unneeded", name, name, name, unit.where(d.STOP_WHEN_UNNEEDED)))
    started = triggered(unit)
    if started:
        add("triggers", started, d.TRIGGERED[unit.kind], False)
        add("after", started, d.TRIGGERED[unit.kind], True)
    for other in slices_of(unit)[:1]:  # whatever DefaultDependencies= says (systemd.slice(5))
        edges.append(Edge("requires", name, other, name, unit.where(SLICE)))
        edges.append(Edge("after", name, other, name, unit.where(SLICE)))
    if unit.kind in _GATHERED_BY and unit[d.DEFAULT_DEPENDENCIES]:
        where = Location(unit.fragment, 0)
        edges.append(Edge("requires", name, "sysinit.target", name, where))
        edges.append(Edge("after", name, "sysinit.target", name, where))
        edges.append(Edge("after", _GATHERED_BY[unit.kind], name, name, where))
    if unit.kind == "service" and unit[d.DEFAULT_DEPENDENCIES]:
        ordered = {edge.source for edge in edges if edge.relation == "after"}
        where = Location(unit.fragment, 0)
        for target in EARLY_TARGETS:
            if target not in ordered:
                edges.append(Edge("after", name, target, name, where))
    return tuple(edges)


def triggered(unit: Unit) -> str:
    """The unit that this one starts: Unit=, or the service of the same name; empty if its kind has none."""
    directive = d.TRIGGERED.get(unit.kind)
    if directive is None:
        return ""
    prefix = unit.name.removesuffix(f".{unit.kind}")
    if unit.kind == "socket" and unit[ACCEPT]:
        return f"{prefix}@.service"  # an instance of it for each connection
    return unit[directive] or f"{prefix}.service"
