"""What units say of each other, read from their settings: never from the graph or the helpers under test."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

from gitproc.units import directives as d
from gitproc.units.unit import Unit
from tests.core.drawn import GUEST


class Oracle:
    """What the commit in force means, read from its units' settings."""

    def __init__(self, units: Mapping[str, Unit]) -> None:
        self.after: dict[str, set[str]] = defaultdict(set)
        self.needs: dict[str, set[str]] = defaultdict(set)
        self.bound: dict[str, set[str]] = defaultdict(set)
        self.pulls: dict[str, set[str]] = defaultdict(set)
        self.part: dict[str, set[str]] = defaultdict(set)
        self.rivals: dict[str, set[str]] = defaultdict(set)
        self.requisite: dict[str, set[str]] = defaultdict(set)
        self.upheld: dict[str, set[str]] = defaultdict(set)
        self.stopped_with: dict[str, set[str]] = defaultdict(set)
        self.starts: dict[str, set[str]] = defaultdict(set)  # whom its end starts
        self.on_failure: dict[str, set[str]] = defaultdict(set)
        self.triggers: dict[str, str] = {}  # socket or path -> its service
        self.unneeded = {name for name, unit in units.items() if unit[d.STOP_WHEN_UNNEEDED]}
        self.units = units
        for name, unit in units.items():
            self.after[name] |= {*unit[d.AFTER]}
            for other in unit[d.BEFORE]:
                self.after[other].add(name)
            self.requisite[name] |= {*unit[d.REQUISITE]}
            self.upheld[name] |= {*unit[d.UPHOLDS]}
            self.on_failure[name] |= {*unit[d.ON_FAILURE]}
            self.starts[name] |= {*unit[d.ON_FAILURE], *unit[d.ON_SUCCESS]}
            for other in unit[d.PROPAGATES_STOP_TO]:
                self.stopped_with[other].add(name)
            self.needs[name] |= {*unit[d.REQUIRES], *unit[d.BINDS_TO], *unit[d.REQUISITE]}
            self.bound[name] |= {*unit[d.BINDS_TO]}
            self.pulls[name] |= {
                *unit[d.REQUIRES],
                *unit[d.BINDS_TO],
                *unit[d.WANTS],
                *unit[d.UPHOLDS],
            }
            self.part[name] |= {*unit[d.PART_OF]}
            for other in unit[d.WANTED_BY]:
                self.pulls[other].add(name)
            if name.endswith((".socket", ".path")):
                self.triggers[name] = f"{name.rpartition('.')[0]}.service"
                self.after[self.triggers[name]].add(name)
            for other in unit[d.CONFLICTS]:
                self.rivals[name].add(other)
                self.rivals[other].add(name)
        for name in units:
            if name.endswith(".target"):
                members = self.pulls[name] - {o for o in units if name in self.after[o]}
                self.after[name] |= members

    def wanted(self, extra: Iterable[str]) -> set[str]:
        """What the default target (and `extra`) pulls in."""
        found: set[str] = set()
        todo = ["multi-user.target", *extra]
        while todo:
            name = todo.pop()
            if name not in found and name in self.units:
                found.add(name)
                todo += self.pulls[name]
        return found

    def struck(self, roots: Iterable[str]) -> set[str]:
        """Who goes down or up with `roots`, at most: whoever leans on them, and whatever they pull in."""
        found: set[str] = set()
        todo = [*roots]
        while todo:
            name = todo.pop()
            if name in found:
                continue
            found.add(name)
            for other in (*self.units, GUEST):
                if name in self.needs[other] | self.part[other] | self.stopped_with[other]:
                    todo.append(other)
            todo += (self.pulls[name] | self.requisite[name]) & self.unneeded
            for other in (*self.starts[name], *filter(None, [self.triggers.get(name)])):
                todo += self.wanted([other]) - self.wanted([])
                todo.append(other)
            todo += self.rivals[name]
        return found
