"""One unit put together from its files: the main file, drop-ins, dependency links, the host's options.

What goes in is gathered first (`Parts`): as long as that is the same, so is the unit, and a new commit
takes it over as it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import chain
from sys import intern

from gitproc.immutable import NamedTuple, immutable
from gitproc.units import overlap_rules, socket_rules, trigger_rules, unit_rules
from gitproc.units.assignments import Assignments, Setting
from gitproc.units.diagnostics import Diagnostic, Location
from gitproc.units.directive import Directive, Specifiers
from gitproc.units.directives import RELOAD_TRIGGERS, RESTART_TRIGGERS, TABLE, UPDATE
from gitproc.units.dropins import all_owners, choose
from gitproc.units.evaluate import judge, targets_of
from gitproc.units.file_check import CheckedFile, check_file
from gitproc.units.implicit import needs_no_file, without_file
from gitproc.units.names import is_valid_name, split_name, template_of
from gitproc.units.naming import Names
from gitproc.units.service_rules import verify
from gitproc.units.specifiers import Host, expand, of_instance
from gitproc.units.tree import NEEDS, Tree, needs_key
from gitproc.units.unit import Unit

_SAYS_OF = unit_rules.SAYS_OF | {UPDATE.key, RESTART_TRIGGERS.key, RELOAD_TRIGGERS.key}
"""What the rules are about that every kind of unit may break."""


@immutable
class LoadOptions:
    """What the host's configuration says about loading.

    `allow_unenforced`: names of restricting directives (or `*`) that may go unenforced;
    `default_private_pids`: PrivatePIDs= of services that do not set it.
    """

    allow_unenforced: frozenset[str] = frozenset()
    default_private_pids: bool = False


class Parts(NamedTuple):
    """What a unit is made of: (path, blob id) of each file in order of effect, dependency links, and
    dependencies that the [Install] of others gives all instances of its template."""

    fragment: tuple[str, str] | None
    drop_ins: tuple[tuple[str, str], ...] = ()
    needs: tuple[tuple[str, str], ...] = ()
    masked: bool = False
    clashes: tuple[tuple[str, str], ...] = ()
    installs: tuple[Setting, ...] = ()


class Assembler:
    """Builds units of one tree, keeping what it has read of each file."""

    def __init__(
        self,
        tree: Tree,
        names: Names,
        host: Host,
        options: LoadOptions,
        checked: dict[tuple[str, str], CheckedFile],
        installs: Mapping[str, tuple[Setting, ...]],
    ) -> None:
        """`installs`: by template, what its instances depend on by the [Install] of others."""
        self.tree = tree
        self.names = names
        self._host = host
        self._options = options
        self._checked = checked
        self._installs = installs
        self._further: dict[str, list[str]] = {}
        for alias, name in names.aliases.items():
            self._further.setdefault(name, []).append(alias)

    def aliases_of(self, name: str) -> frozenset[str]:
        """Every further name of a unit, through aliases of aliases and of its template."""
        found: set[str] = set()
        waiting = [name]
        while waiting:
            this = waiting.pop()
            more = self._further.get(this, ())
            found.update(more)
            waiting += more
        prefix, instance, suffix = split_name(name)
        if instance:
            for template in self.aliases_of(f"{prefix}@{suffix}"):
                alias = template.replace("@.", f"@{instance}.", 1)
                if alias not in self.names.fragments and self.names.canonical(alias) == name:
                    found.add(alias)
        return frozenset(found)

    def gather(self, name: str) -> Parts | None:
        """What unit `name` is made of; None if nothing defines it."""
        path = self.names.fragment_of(name)
        if path is None and not needs_no_file(name):
            return None
        if path == "":
            return Parts(None, masked=True)
        tree = self.tree
        fragment = (path, tree.files[path].oid) if path else None
        installs = self._installs.get(template_of(name) or "", ()) if self._installs else ()
        if not tree.drop_ins and not tree.needs:
            return Parts(fragment, installs=installs)
        folders = all_owners(name, self.aliases_of(name))
        drop_ins: list[tuple[str, str]] = []
        chosen, clashes = choose(folders, tree.drop_ins) if tree.drop_ins else ([], [])
        for drop_in in chosen:
            end = tree.follow(drop_in)
            if not end.problem and not end.masked:
                drop_ins.append((drop_in, tree.files[end.path].oid))
        needs: list[tuple[str, str]] = []
        for role in NEEDS if tree.needs else ():
            links, twice = choose([needs_key(role, folder) for folder in folders], tree.needs)
            clashes += [pair for pair in twice if len({tree.follow(x).masked for x in pair}) > 1]
            needs += [(f"Unit.{role.value}", link) for link in links if self._counts(link)]
        return Parts(fragment, tuple(drop_ins), tuple(needs), False, tuple(clashes), installs)

    def build(
        self, name: str, parts: Parts, *, sample: bool = False
    ) -> tuple[Unit, tuple[Diagnostic, ...]]:
        """The unit and what is wrong with it beyond its files.

        `sample`: it stands for a template, and values that no instance may have are no errors of its.
        """
        if parts.masked:
            return Unit(name, "", (), self._host, masked=True), ()
        kind = intern(split_name(name)[2][1:])
        found: list[Diagnostic] = []
        paths = (parts.fragment, *parts.drop_ins) if parts.fragment else parts.drop_ins
        files = [self.read(path, kind) for path, _ in paths]
        found += chain.from_iterable(file.diagnostics for file in files)
        if parts.fragment and len(files) == 1 and not parts.needs and not parts.installs:
            settings = files[0].settings  # as it is: nothing is copied
        else:
            own = [] if parts.fragment else [without_file(name)]
            links = [Setting(k, link.rpartition("/")[2], link, 0) for k, link in parts.needs]
            files_too = (file.settings for file in files)
            settings = Assignments.of([*chain(*own, *files_too, links, parts.installs)])
        for first, second in parts.clashes:
            message = f"{first} has the same name for the same unit: nothing says which counts"
            found.append(Diagnostic(Location(second, 0), "error", "", message))
        values: list[Diagnostic] = []
        unit = Unit(
            name,
            parts.fragment[0] if parts.fragment else "",
            settings,
            self._host,
            drop_ins=tuple(path for path, _ in parts.drop_ins),
            blob_of=self.blob_of,
            private_pids=self._options.default_private_pids,
            diagnostics=values,
        )
        found += values
        found += judge(unit.values, settings, self._options.allow_unenforced)
        # An error in a value leaves it out: what is missing then is no second error.
        broken = {problem.directive for problem in found if problem.severity == "error"}
        if kind == "service":
            found += [d for d in verify(unit.values, unit.where) if d.directive not in broken]
        elif kind == "socket":
            if not any(problem.severity == "error" for problem in found):
                found += socket_rules.verify(unit.values, unit.where)
        else:
            found += trigger_rules.verify(unit, broken)
        if not _SAYS_OF.isdisjoint(unit.values):
            found += overlap_rules.verify_unit(kind, unit.values, settings, unit.where)
            found += unit_rules.verify(unit)
            found += self._missing(unit, RESTART_TRIGGERS)
            found += self._missing(unit, RELOAD_TRIGGERS)
        if sample and values:
            theirs = {x.where for x in settings if self._is_instances(name, x)}
            found = [x for x in found if x not in values or x.location not in theirs]
        return unit, tuple(found)

    def _is_instances(self, name: str, setting: Setting) -> bool:
        """Whether a value depends on the instance, so that it may be right for another than `name`."""
        if not of_instance(setting.text):
            return False
        rows = [TABLE[key] for key in targets_of(setting.key) if key in TABLE]
        if not any(row.specifiers is not Specifiers.NONE for row in rows):
            return False
        try:
            expand(setting.text, name, self._host, fragment="-")
        except ValueError:
            return False
        return True

    def read(self, path: str, kind: str) -> CheckedFile:
        """The settings of the file at `path` (or that it links to), read once for each content."""
        file = self.tree.files[path]
        if file.link is not None:
            file = self.tree.files[self.tree.follow(path).path]._replace(path=path)
        known = self._checked.get((path, kind))
        if known is None or known.oid != file.oid:
            known = self._checked[path, kind] = check_file(file, kind)
        return known

    def _counts(self, link: str) -> bool:
        """Whether a dependency link names a unit and is not masked; where it leads does not matter."""
        if not is_valid_name(link.rpartition("/")[2]):
            return False
        end = self.tree.follow(link)
        return not end.masked and not (end.problem and not end.path)

    def blob_of(self, path: str) -> str | None:
        """The blob id of a file of the tree, through links; None if there is none."""
        end = self.tree.follow(path)
        return None if end.problem else self.tree.files[end.path].oid

    def _missing(self, unit: Unit, triggers: Directive[tuple[str, ...]]) -> Iterable[Diagnostic]:
        for path in unit[triggers]:
            if path not in unit.triggers:
                message = f"{path} is not a file of the repository"
                yield Diagnostic(unit.where(triggers), "error", triggers.name, message)
