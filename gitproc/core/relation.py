"""One kind of edge of the dependency graph, both ways.

Most units say little about others and are mentioned by few: up to a handful, edges and names are kept in
plain tuples, a third of the size of a dictionary. What has more (a target with a thousand members) has one.
"""

from __future__ import annotations

from collections.abc import Iterable

from gitproc.core.edges import Edge
from gitproc.units.diagnostics import Location

_FEW = 4


class Relation:
    """Edges of one kind. An edge may be stated several times: by both its ends, say."""

    __slots__ = ("_backward", "_forward")

    def __init__(self) -> None:
        self._forward: dict[str, tuple[Edge, ...] | dict[str, tuple[Edge, ...]]] = {}
        self._backward: dict[str, tuple[str, ...] | dict[str, None]] = {}

    def __bool__(self) -> bool:
        """Whether there is any edge of this kind."""
        return bool(self._forward)

    def add(self, edge: Edge) -> None:
        """Add one statement of an edge."""
        known = self._forward.get(edge.source, ())
        if isinstance(known, tuple):
            if len(known) < _FEW:
                self._forward[edge.source] = (*known, edge)
            else:
                many: dict[str, tuple[Edge, ...]] = {}
                for one in (*known, edge):
                    many[one.target] = (*many.get(one.target, ()), one)
                self._forward[edge.source] = many
        else:
            known[edge.target] = (*known.get(edge.target, ()), edge)
        names = self._backward.get(edge.target, ())
        if edge.source in names:
            return
        if not isinstance(names, tuple):
            names[edge.source] = None
        elif len(names) < _FEW:
            self._backward[edge.target] = (*names, edge.source)
        else:
            self._backward[edge.target] = dict.fromkeys((*names, edge.source))

    def remove(self, edge: Edge) -> None:
        """Take one statement of an edge back; the edge goes with the last."""
        known = self._forward[edge.source]
        if isinstance(known, tuple):
            at = known.index(edge)
            self._forward[edge.source] = known[:at] + known[at + 1 :]
        else:
            stated = known[edge.target]
            at = stated.index(edge)
            known[edge.target] = stated[:at] + stated[at + 1 :]
            if not known[edge.target]:
                del known[edge.target]
        if not self._forward[edge.source]:
            del self._forward[edge.source]
        if self.has(edge.source, edge.target):
            return
        names = self._backward[edge.target]
        if isinstance(names, tuple):
            self._backward[edge.target] = tuple(name for name in names if name != edge.source)
        else:
            del names[edge.source]
        if not self._backward[edge.target]:
            del self._backward[edge.target]

    def of(self, name: str) -> Iterable[str]:
        """What `name` relates to."""
        known = self._forward.get(name)
        if known is None:
            return ()
        if isinstance(known, tuple):
            return dict.fromkeys(edge.target for edge in known)
        return known

    def to(self, name: str) -> Iterable[str]:
        """Who relates to `name`."""
        return self._backward.get(name, ())

    def targets(self) -> Iterable[str]:
        """All that something relates to."""
        return self._backward

    def has(self, source: str, target: str) -> bool:
        """Whether there is an edge from `source` to `target`."""
        known = self._forward.get(source, ())
        if isinstance(known, tuple):
            return any(edge.target == target for edge in known)
        return target in known

    def where(self, source: str, target: str) -> Location:
        """Where the edge was first written."""
        known = self._forward[source]
        edges = known if isinstance(known, tuple) else known[target]
        return next(edge.where for edge in edges if edge.target == target)
