"""The making of a unit set: builds units, follows what they mention, and settles their names.

Mutable while it is worked on, left alone afterwards. What a unit mentions decides which instances of
templates, which built-in targets and which slices without a file there are, so units come and go with the
mentions of others; counts of mentions keep that as cheap as the change is small.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Set
from copy import copy
from typing import Any

from gitproc.units.assembly import Assembler, LoadOptions, Parts
from gitproc.units.assignments import Setting
from gitproc.units.builtin_targets import DEFAULT_TARGET
from gitproc.units.control import ROOT, slices_of
from gitproc.units.diagnostics import Diagnostic
from gitproc.units.directives import (
    AFTER,
    ALIAS,
    BEFORE,
    BINDS_TO,
    CONFLICTS,
    DEFAULT_INSTANCE,
    ENABLED,
    PART_OF,
    RELOAD_TRIGGERS,
    REQUIRED_BY,
    REQUIRES,
    RESTART_TRIGGERS,
    SOCKETS,
    UPHELD_BY,
    UPHOLDS,
    WANTED_BY,
    WANTS,
)
from gitproc.units.file_check import CheckedFile
from gitproc.units.implicit import needs_no_file
from gitproc.units.names import instantiate, template_of
from gitproc.units.naming import Names, alias_problem
from gitproc.units.specifiers import Host
from gitproc.units.tree import Tree
from gitproc.units.unit import Unit

_PULLS = frozenset(row.key for row in (REQUIRES, WANTS, BINDS_TO, UPHOLDS, SOCKETS))
_POINTS = _PULLS | {
    row.key for row in (AFTER, BEFORE, PART_OF, CONFLICTS, WANTED_BY, REQUIRED_BY, UPHELD_BY)
}
_INSTALLS = (WANTED_BY, REQUIRED_BY, UPHELD_BY, ALIAS)
_GIVES = ((WANTED_BY, WANTS), (REQUIRED_BY, REQUIRES), (UPHELD_BY, UPHOLDS))
_TRIGGERS = frozenset({RESTART_TRIGGERS.key, RELOAD_TRIGGERS.key})
_NO_FILES: Set[str] = frozenset()
_SAMPLE = "instance"
"""Instance name by which a template is checked before it has instances."""


class WorkingSet:
    """Units of one tree and the indexes between them.

    `templates` holds, by name, the sample instance each was checked by, `defaults` the instance that each
    enables by DefaultInstance=; `claims` are the Alias= of each unit, `gifts` what it makes instances of
    templates depend on, `counts` how many units mention a name, `users` the units that a trigger file concerns,
    `touched` the names looked at since the copy was made.
    """

    def __init__(
        self,
        tree: Tree,
        names: Names,
        host: Host,
        options: LoadOptions,
        former: WorkingSet | None = None,
    ) -> None:
        """Build everything; units of `former` whose parts are the same are taken over."""
        self.host = host
        self.options = options
        self.checked: dict[tuple[str, str], CheckedFile] = former.checked if former else {}
        self.former = former
        self.units: dict[str, Unit] = {}
        self.parts: dict[str, Parts] = {}
        self.found: dict[str, tuple[Diagnostic, ...]] = {}
        self.claims: dict[str, tuple[str, ...]] = {}
        self.gifts: dict[str, tuple[tuple[str, Setting], ...]] = {}
        self.mentions: dict[str, frozenset[str]] = {}
        self.counts: dict[str, int] = {}
        self.users: dict[str, frozenset[str]] = {}
        self.alias_problems: tuple[Diagnostic, ...] = ()
        self.touched: set[str] = set()
        self.templates: dict[str, Unit] = {}
        self.defaults: dict[str, str] = {}
        self._stirred: set[str] = set()
        self._forgotten = False
        self.shared: dict[frozenset[str], frozenset[str]] = {}  # most units mention the same
        self.adopt(tree, names)
        for name in sorted({*names.fragments, ROOT}):
            self.make(name)
        self._enable_all()
        for name in self.defaults.values():
            self.make(name)
        if self.claims:
            self.adopt(tree, names._replace(aliases=self._claimed(names)))
            instances = [name for name in self.units if "@" in name]
            again = {*self.claims, *(n for n in instances if template_of(n) in self.claims)}
            for name in sorted(again):
                self.make(name)
        if self.gifts:
            self.adopt(tree, self.names)
            for name in [name for name in self.units if "@" in name]:
                self.make(name)
        self._enable_all()
        for name in sorted({*self.names.aliases.values(), DEFAULT_TARGET}):
            self._count(self.names.canonical(name), 1)
        for name, unit in self.units.items():
            self._mention(name, unit)
        self._settle()
        self.former = None

    def over(self, tree: Tree, names: Names) -> WorkingSet:
        """The same units over a tree with the same links and aliases, to be refreshed."""
        new = copy(self)
        for index in (
            "units", "templates", "defaults", "parts", "found", "claims", "gifts", "mentions", "counts",
            "users",
        ):  # fmt: skip
            setattr(new, index, dict(getattr(self, index)))
        new.touched = set()
        new.shared = {}
        new.adopt(tree, names)
        return new

    def adopt(self, tree: Tree, names: Names) -> None:
        """Look at this tree, with these names, from now on."""
        self.tree = tree
        self.names = names
        installs: dict[str, tuple[Setting, ...]] = {}
        for giver in sorted(self.gifts):
            for template, setting in self.gifts[giver]:
                own = names.canonical(template)
                installs[own] = (*installs.get(own, ()), setting)
        self.assembler = Assembler(tree, names, self.host, self.options, self.checked, installs)

    def refresh(self, names: Iterable[str]) -> None:
        """Build these units again, or drop those that nothing defines or mentions any more."""
        self._stirred = set()
        for name in sorted(names):
            self.make(name)
            unit = self.units.get(name)
            if unit is not None:
                self._mention(name, unit)
            elif name in self.templates:
                self._enable(name, self.templates[name])
        self._settle()

    def make(self, name: str) -> None:
        """Build one unit (of a template: a sample), unless what it is made of is the same."""
        self.touched.add(name)
        template = "@." in name
        built = instantiate(name, _SAMPLE) if template else name
        parts = self.assembler.gather(built) if self._wanted(name) else None
        if parts is None or (template and parts.masked):
            self._drop(name)
            return
        known = self if name in self.parts else self.former
        kept = known.kept(name, parts) if known is not None else None
        if kept is not None and self._same_triggers(kept):
            assert known is not None
            unit, found = kept, known.found.get(name, ())
        else:
            unit, found = self.assembler.build(built, parts, sample=template)
        self.parts[name] = parts
        _set(self.found, name, found)
        aliases = unit[ALIAS] if template or unit.installs else ()
        _set(self.claims, name, tuple(a for a in aliases if ("@." in a) == template))
        _set(self.gifts, name, _gifts(name, unit) if name in self.names.fragments else ())
        if template:
            self.templates[name] = unit
            return
        self._watch(name, unit)
        self.units[name] = unit

    def _wanted(self, name: str) -> bool:
        """Whether there is such a unit: by a file, by who mentions it, or as the slice of all."""
        return name in self.names.fragments or self.counts.get(name, 0) > 0 or self._is_told(name)

    def _is_told(self, name: str) -> bool:
        """Whether it is the slice of all, which is there unnamed, and something is said of it."""
        parts = self.assembler.gather(name) if name == ROOT else None
        return parts is not None and bool(parts.drop_ins or parts.needs)

    def kept(self, name: str, parts: Parts) -> Unit | None:
        """The unit of this name (of a template: its sample), if made of just these parts."""
        if self.parts.get(name) != parts:
            return None
        return self.templates[name] if "@." in name else self.units[name]

    def _same_triggers(self, unit: Unit) -> bool:
        paths = (*unit[RESTART_TRIGGERS], *unit[RELOAD_TRIGGERS])
        return all(unit.triggers.get(path) == self.assembler.blob_of(path) for path in paths)

    def _drop(self, name: str) -> None:
        self.touched.add(name)
        unit = self.units.pop(name, None)
        self._enable(name, None)
        for index in (self.parts, self.found, self.claims, self.gifts, self.templates):
            index.pop(name, None)
        if unit is not None:
            self._watch(name, None)
            for mentioned in self.mentions.pop(name, ()):
                self._count(mentioned, -1)

    def _watch(self, name: str, unit: Unit | None) -> None:
        """Keep `users` true of a unit that is about to become `unit`."""
        old = self.units.get(name)
        before = _trigger_files(old, self.assembler) if old else _NO_FILES
        after = _trigger_files(unit, self.assembler) if unit else _NO_FILES
        if not before and not after:
            return
        for path in before - after:
            _set(self.users, path, self.users.get(path, frozenset()) - {name})
        for path in after - before:
            self.users[path] = self.users.get(path, frozenset()) | {name}

    def _mention(self, name: str, unit: Unit) -> None:
        """Count what a unit mentions that may exist for that alone."""
        canonical = self.names.canonical
        aliases = self.names.aliases
        new = frozenset(
            canonical(item)
            for key, items in unit.values.items()
            if key in _POINTS
            for item in items
            if needs_no_file(item) or item in aliases or ("@" in item and key in _PULLS)
        )
        if around := slices_of(unit):
            new = new.union(around)
        old = self.mentions.get(name, frozenset())
        for mentioned in new - old:
            self._count(mentioned, 1)
        for mentioned in old - new:
            self._count(mentioned, -1)
        self.mentions[name] = self.shared.setdefault(new, new)

    def _enable(self, template: str, sample: Unit | None) -> None:
        """Count the instance that a template asks for in its own name (systemd.unit(5), "DefaultInstance=")."""
        old, new = self.defaults.get(template, ""), ""
        if sample is not None and sample[DEFAULT_INSTANCE] and any(sample[x] for x in _INSTALLS):
            new = self.names.canonical(instantiate(template, sample[DEFAULT_INSTANCE]))
        if new != old:
            _set(self.defaults, template, new)
            for instance, step in ((new, 1), (old, -1)):
                if instance:
                    self._count(instance, step)

    def _enable_all(self) -> None:
        for name, sample in self.templates.items():
            self._enable(name, sample)

    def _count(self, name: str, step: int) -> None:
        count = self.counts.get(name, 0) + step
        self._forgotten |= step < 0
        if count:
            self.counts[name] = count
        else:
            self.counts.pop(name, None)
        self._stirred.add(name)

    def _settle(self) -> None:
        """Make and drop units until all that are mentioned exist, and none else."""
        while self._stirred or self._sweep():
            stirred = sorted(self._stirred)
            self._stirred.clear()
            for name in stirred:
                there = name in self.units
                if there is self._wanted(name):
                    continue
                self.make(name)
                unit = self.units.get(name)
                if unit is not None:
                    self._mention(name, unit)

    def _sweep(self) -> bool:
        """Drop units that only mention one another; whether there were any.

        Counts do not tell those: two instances that pull each other in would stay for ever.
        """
        if not self._forgotten:
            return False
        self._forgotten = False
        guests = [name for name in self.units if name not in self.names.fragments]
        inner = Counter(item for name in guests for item in self.mentions.get(name, ()))
        alive = {n for n in guests if self.counts.get(n, 0) > inner[n] or self._is_told(n)}
        waiting = list(alive)
        while waiting:
            more = self.mentions.get(waiting.pop(), frozenset()) - alive
            alive |= more
            waiting += more
        dead = [name for name in guests if name not in alive]
        for name in dead:
            self._drop(name)
        return bool(dead)

    def _claimed(self, names: Names) -> dict[str, str]:
        """The aliases after Alias= of all units; what cannot be granted is a problem."""
        aliases = dict(names.aliases)
        granted: dict[str, str] = {}
        problems: list[Diagnostic] = []
        for name in sorted(self.claims):
            unit = self.templates.get(name) or self.units[name]
            for alias in self.claims[name]:
                if alias == name:
                    continue
                taken = granted.get(alias)
                if taken is None and (alias != DEFAULT_TARGET or alias in self.tree.fragments):
                    taken = aliases.get(alias)
                problem = alias_problem(alias, name)
                if not problem and alias in names.fragments:
                    problem = f"{alias} is a unit of its own"
                elif not problem and taken not in (None, name):
                    problem = f"{alias} is an alias of {taken} already"
                if problem:
                    where = unit.where(ALIAS, alias)
                    problems.append(Diagnostic(where, "error", "Alias", problem))
                else:
                    granted[alias] = name
        self.alias_problems = tuple(problems)
        return aliases | granted


def _gifts(name: str, unit: Unit) -> tuple[tuple[str, Setting], ...]:
    """What the unit's [Install] makes all instances of templates depend on (systemd.unit(5), "WantedBy=").

    A template that names no instance of its own gives each the one of its name.
    """
    given = [
        (other, row, needs)
        for row, needs in _GIVES
        for other in unit.values.get(row.key, ())
        if "@." in other
    ]
    if not given or not unit[ENABLED]:
        return ()
    default = unit[DEFAULT_INSTANCE] if "@." in name else ""
    who = instantiate(name, default) if default else name
    return tuple(
        (other, Setting(needs.key, who, *unit.where(row, other))) for other, row, needs in given
    )


def _set(index: dict[str, Any], key: str, value: Any) -> None:
    """Keep only what is not empty."""
    if value:
        index[key] = value
    else:
        index.pop(key, None)


def _trigger_files(unit: Unit, assembler: Assembler) -> Set[str]:
    """The files whose change concerns the unit: the named paths and where links lead."""
    if _TRIGGERS.isdisjoint(unit.values):
        return _NO_FILES
    paths = {*unit[RESTART_TRIGGERS], *unit[RELOAD_TRIGGERS]}
    return paths | {assembler.tree.follow(path).path for path in paths}
