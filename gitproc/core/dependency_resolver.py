"""Dependencies: who needs whom, who comes after whom, and whether a set of units makes sense as a graph.

Requirement and ordering are independent (systemd.unit(5)): `Requires=b` starts b along, `After=b` makes wait,
and each is harmless without the other. Every edge remembers where it was written, so that a cycle or a
missing requirement is reported with file and line of each edge.

The graph is kept up incrementally: a commit that changes one unit replaces that unit's edges, and a new
cycle can only run through a unit whose edges are new, so checking costs what the change touches.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from itertools import chain
from typing import TYPE_CHECKING

from gitproc.core.edges import EARLY_TARGETS, Edge, edges_of
from gitproc.core.relation import Relation
from gitproc.immutable import field, mutable
from gitproc.units.control import ROOT
from gitproc.units.names import template_of
from gitproc.units.unit import Unit

if TYPE_CHECKING:
    from gitproc.units.loader import UnitSet

_FEW = 4  # names that are sooner found again than kept
KEPT_UP_BY = ("requires", "binds_to", "wants", "upholds", "requisite")
"""The relations for whose sake their targets run."""


class DependencyResolver:
    """The dependency graph of all loaded units."""

    def __init__(self) -> None:
        self.after = Relation()
        self.requires = Relation()
        self.wants = Relation()
        self.binds_to = Relation()
        self.requisite = Relation()
        self.upholds = Relation()
        self.part_of = Relation()
        self.conflicts = Relation()
        self.stops = Relation()  # who stops whom along: PropagatesStopTo=
        self.reloads = Relation()  # who has whom reload along
        self.on_failure = Relation()
        self.on_success = Relation()
        self.on_retry = Relation()
        self.unneeded = Relation()  # from each unit that stops when nothing needs it to itself
        self.triggers = Relation()  # who starts whom when its time has come; pulls nothing in
        self.declared: dict[str, tuple[Edge, ...]] = {}
        self._waits_on: dict[str, tuple[str, ...]] = {}
        self._followers: dict[str, tuple[str, ...]] = {}

    def replace(self, name: str, edges: tuple[Edge, ...]) -> tuple[Edge, ...]:
        """Give `name` these edges in place of its former ones, which are returned (for undoing)."""
        former = self.declared.pop(name, ())
        for edge in former:
            self._relation(edge).remove(edge)
        for edge in edges:
            self._relation(edge).add(edge)
        if edges:
            self.declared[name] = edges
        for edge in (*former, *edges):
            for end in (edge.source, edge.target):
                self._waits_on.pop(end, None)
                self._followers.pop(end, None)
        return former

    def _relation(self, edge: Edge) -> Relation:
        relation: Relation = getattr(self, edge.relation)
        return relation

    def requirements(self, name: str) -> Iterable[str]:
        """What must be up for `name` to start: Requires= and BindsTo=."""
        yield from self.requires.of(name)
        yield from self.binds_to.of(name)

    def gates(self, name: str) -> Iterable[str]:
        """What must be up before `name` starts: what it is bound to, finds up or not at all (Requisite=),
        or requires and is ordered after.

        Requires= alone starts both at once, and the failure of one is no matter to the other.
        """
        yield from self.binds_to.of(name)
        yield from self.requisite.of(name)
        for other in self.requires.of(name):
            if self.ordered(name, other):
                yield other

    def ordered(self, name: str, other: str) -> bool:
        """Whether `name`, which pulls in `other`, is ordered after it; targets are (systemd.target(5))."""
        if self.after.has(name, other):
            return True
        return name.endswith(".target") and not self.after.has(other, name)

    def rivals(self, name: str) -> Iterable[str]:
        """Who conflicts with `name`, whichever of the two says so."""
        yield from self.conflicts.of(name)
        yield from self.conflicts.to(name)

    def pulls(self, name: str) -> Iterable[str]:
        """What starting `name` starts along."""
        yield from self.requires.of(name)
        yield from self.binds_to.of(name)
        yield from self.wants.of(name)
        yield from self.upholds.of(name)

    def unneeded_without(self, name: str) -> list[str]:
        """Which units with StopWhenUnneeded= may have run for the sake of `name`."""
        if not self.unneeded:
            return []
        kept = chain.from_iterable(getattr(self, relation).of(name) for relation in KEPT_UP_BY)
        return [other for other in kept if self.unneeded.has(other, other)]

    def needed_by(self, name: str) -> Iterable[str]:
        """For whose sake a unit with StopWhenUnneeded= runs."""
        for relation in KEPT_UP_BY:
            yield from getattr(self, relation).to(name)

    def missed_by(self, name: str) -> Iterable[str]:
        """Who must not be without `name`: a commit that takes it away and leaves them is refused.

        A template is missed by who needs an instance of it, a slice by all that lies in it.
        """
        if name.endswith(".slice"):
            yield from self.stop_closure([name])
        for relation in (self.requires, self.binds_to, self.requisite, self.triggers):
            yield from relation.to(name)
            if "@." in name:
                for other in relation.targets():
                    if "@" in other and template_of(other) == name:
                        yield from relation.to(other)

    def follows_restart(self, name: str) -> Iterable[str]:
        """Who is restarted along: another socket is of no use to a service that has the one before."""
        yield from self._follows(name)
        if name.endswith(".socket"):
            yield from self.triggers.of(name)

    def follows_stop(self, name: str) -> Iterable[str]:
        """Who is stopped along: PropagatesStopTo= passes on a stop alone."""
        yield from self._follows(name)
        yield from self.stops.of(name)

    def _follows(self, name: str) -> Iterable[str]:
        """Who is stopped or restarted along when `name` explicitly is: RequiredBy, BoundBy, ConsistsOf."""
        yield from self.requires.to(name)
        yield from self.binds_to.to(name)
        yield from self.requisite.to(name)
        yield from self.part_of.to(name)

    def waits_on(self, name: str) -> tuple[str, ...]:
        """What `name` is ordered after. A target also comes after all that it pulls in (systemd.target(5))."""
        found = self._waits_on.get(name)
        if found is None:
            names = dict.fromkeys(self.after.of(name))
            if name.endswith(".target"):
                names.update(
                    dict.fromkeys(o for o in self.pulls(name) if not self.after.has(o, name))
                )
            found = tuple(names)
            if len(found) > _FEW:
                self._waits_on[name] = found
        return found

    def followers(self, name: str) -> tuple[str, ...]:
        """Who is ordered after `name`; the inverse of `waits_on`."""
        found = self._followers.get(name)
        if found is None:
            names = dict.fromkeys(self.after.to(name))
            for relation in (self.requires, self.binds_to, self.wants, self.upholds):
                for other in relation.to(name):
                    if other.endswith(".target") and not self.after.has(name, other):
                        names[other] = None
            found = tuple(names)
            if len(found) > _FEW:
                self._followers[name] = found
        return found

    def comes_after(self, name: str, other: str) -> bool:
        """Whether `name` may have to wait for `other`, by way of whomever."""
        seen = {name}
        todo = [name]
        while todo:
            current = todo.pop()
            for each in chain(self.waits_on(current), self.gates(current)):
                if each not in seen:
                    seen.add(each)
                    todo.append(each)
        return other in seen

    def closure(self, roots: Iterable[str], exists: Mapping[str, object]) -> frozenset[str]:
        """Everything that `roots` pull in, themselves included, as far as it exists."""
        found: set[str] = set()
        todo = deque(roots)
        while todo:
            name = todo.popleft()
            if name in found or name not in exists:
                continue
            found.add(name)
            todo.extend(self.pulls(name))
        return frozenset(found)

    def stop_closure(self, roots: Iterable[str]) -> dict[str, str]:
        """Who must be down while any of `roots` is held down: unit -> the root that is the cause."""
        found: dict[str, str] = {}
        for root in roots:
            todo = deque(self.follows_stop(root))
            while todo:
                name = todo.popleft()
                if name not in found and name != root:
                    found[name] = root
                    todo.extend(self.follows_stop(name))
        return found

    def start_order(self, names: Iterable[str]) -> list[str]:
        """Kahn's algorithm: `names` so that each comes after what it is ordered after; ties by name.

        Units on a cycle (which `check` refuses) come last.
        """
        wanted = set(names)
        missing = {n: sum(1 for o in self.waits_on(n) if o in wanted) for n in wanted}
        ready = deque(sorted(n for n, count in missing.items() if count == 0))
        order: list[str] = []
        while ready:
            name = ready.popleft()
            order.append(name)
            freed = []
            for other in self.followers(name):
                if other in wanted:
                    missing[other] -= 1
                    if missing[other] == 0:
                        freed.append(other)
            ready.extend(sorted(freed))
        return order + sorted(wanted.difference(order))

    def find_cycle(self, start: str, cleared: set[str]) -> list[str] | None:
        """A cycle of the ordering that can be reached from `start`, as [a, b, ..., a]; depth-first, iterative.

        `cleared`: names known to lie on no cycle; extended. Who needs another to be up already
        (Requisite=) waits for it, too.
        """
        path: dict[str, None] = {start: None}
        stack = [chain(self.waits_on(start), self.requisite.of(start))]
        while stack:
            for other in stack[-1]:
                if other in path:
                    names = list(path)
                    return [*names[names.index(other) :], other]
                if other not in cleared:
                    path[other] = None
                    stack.append(chain(self.waits_on(other), self.requisite.of(other)))
                    break
            else:
                stack.pop()
                cleared.add(path.popitem()[0])
        return None


def build(units: UnitSet) -> DependencyResolver:
    """The graph of a whole unit set."""
    graph = DependencyResolver()
    for name, unit in units.units.items():
        graph.replace(name, edges_of(unit, units.canonical))
    return graph


def roots_of(units: UnitSet, default_target: str) -> tuple[str, ...]:
    """What runs because it is there: the default target, the early ones, and the slice of all.

    `default.target` is multi-user.target unless the repository has one (bootup(7)).
    """
    name = units.aliases.get(default_target, default_target)
    if name not in units.units and name == "default.target":
        name = "multi-user.target"
    return (name, *EARLY_TARGETS, ROOT)


@mutable
class GraphChange:
    """Edges replaced for a candidate commit, and how to take that back."""

    former: dict[str, tuple[Edge, ...]] = field(default_factory=dict)

    def undo(self, graph: DependencyResolver) -> None:
        """Give every unit its former edges again."""
        for name, edges in self.former.items():
            graph.replace(name, edges)


def replace_edges(
    graph: DependencyResolver,
    units: UnitSet,
    changed: Iterable[str],
    guests: Mapping[str, Unit],
) -> tuple[GraphChange, set[str]]:
    """Bring the graph up to `units` for the `changed` names; second: those whose edges really differ.

    `guests`: instances of templates that are not part of `units` and run because somebody asked.
    """
    different: dict[str, tuple[Edge, ...]] = {}
    for name in changed:
        unit = units.units.get(name) or guests.get(name)
        edges = edges_of(unit, units.canonical) if unit is not None else ()
        if edges != graph.declared.get(name, ()):
            different[name] = edges
    former = {name: graph.replace(name, edges) for name, edges in different.items()}
    return GraphChange(former), {*different}
