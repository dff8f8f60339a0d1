"""From the files of a tree to the set of effective units, all at once or by what has changed.

A set is immutable. `updated` makes the next one and shares all that stays: usually a changed file
concerns a unit or two, found through indexes by name. What shifts names (links, Alias=, files that come
twice) is worked out anew for the whole tree, and even then only units whose parts differ are built again.
The outcome never depends on the way: an updated set equals one loaded from scratch.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import chain

from gitproc.units.assembly import LoadOptions
from gitproc.units.builtin_targets import BUILTIN, DEFAULT_TARGET
from gitproc.units.control import ROOT, slices_of
from gitproc.units.diagnostics import Diagnostic
from gitproc.units.link_check import check_folders, check_links
from gitproc.units.names import instantiate, is_valid_name, split_name, template_of
from gitproc.units.naming import redefine, resolve_names
from gitproc.units.specifiers import Host
from gitproc.units.tree import Role, SourceFile, Tree, place_of
from gitproc.units.unit import Unit
from gitproc.units.working_set import WorkingSet

__all__ = ["LoadOptions", "SourceFile", "UnitSet", "load"]

_DEFAULT_OPTIONS = LoadOptions()


class UnitSet:
    """The units of one commit: its effective units, their further names, and all that is wrong.

    `units` holds, by their own names, every unit that a file defines (masks included), the instances
    that others pull in, and the built-in targets that are mentioned; `aliases` maps further names;
    `templates` can be instantiated by `resolve`; `files` are the files as given.
    """

    __slots__ = ("_diagnostics", "_work", "aliases", "files", "templates", "units")

    def __init__(self, work: WorkingSet) -> None:
        self._work = work
        self._diagnostics: tuple[Diagnostic, ...] | None = None
        self.units: Mapping[str, Unit] = work.units
        self.aliases: Mapping[str, str] = work.names.aliases
        self.templates: frozenset[str] = frozenset(work.templates)
        self.files: Mapping[str, SourceFile] = work.tree.files

    @property
    def diagnostics(self) -> tuple[Diagnostic, ...]:
        """All findings, by file and line."""
        if self._diagnostics is None:
            work = self._work
            known = {*self.units, *self.aliases, *work.names.fragments, *BUILTIN}
            known.update(chain.from_iterable(map(slices_of, work.templates.values())))
            found = [
                *(problem for problems in work.names.diagnostics.values() for problem in problems),
                *(problem for problems in work.found.values() for problem in problems),
                *work.alias_problems,
                *check_links(work.tree),
                *check_folders(work.tree, known),
            ]
            self._diagnostics = tuple(
                sorted(dict.fromkeys(found), key=lambda d: (*d.location, d.severity, d.message))
            )
        return self._diagnostics

    @property
    def has_errors(self) -> bool:
        """Whether anything found is an error: then the commit must be refused."""
        return any(problem.severity == "error" for problem in self.diagnostics)

    def resolve(self, name: str) -> Unit | None:
        """The unit of this name or alias, made on demand from its template; None if there is none.

        None, too, if the template does not fit this instance (`misfits`).
        """
        unit, errors = self._resolved(name)
        return None if errors else unit

    def misfits(self, name: str) -> tuple[Diagnostic, ...]:
        """Why no unit of this name can be made of its template, which as such is in order."""
        return self._resolved(name)[1]

    def files_of(self, name: str) -> tuple[str, ...] | None:
        """The files that make a unit or a template, in order of effect; None if there are none."""
        unit = self._resolved(name)[0] or self.sample(name)
        if unit is None:
            return None
        return tuple(x for x in (unit.fragment, *unit.drop_ins) if x in self.files)

    def sample(self, template: str) -> Unit | None:
        """What one of `templates` was checked by: an instance of some name. None for other names."""
        return self._work.templates.get(self._work.names.canonical(template))

    def absence(self, name: str) -> str:
        """Why `resolve` finds nothing, for people."""
        if self.sample(name) is not None:
            instance = instantiate(name, "INSTANCE")
            return f"{name} is a template: name an instance, {instance}"
        misfits = self.misfits(name)
        if misfits:
            return f"{template_of(name)} cannot be {name}: {misfits[0]}"
        return f"no unit {name} in the applied commit"

    def _resolved(self, name: str) -> tuple[Unit | None, tuple[Diagnostic, ...]]:
        if not is_valid_name(name):
            return None, ()
        work = self._work
        name = work.names.canonical(name)
        unit = self.units.get(name)
        if unit is None and split_name(name)[1] != "":
            parts = work.assembler.gather(name)
            if parts is not None:
                unit, found = work.assembler.build(name, parts)
                return unit, tuple(x for x in found if x.severity == "error")
        return unit, ()

    def canonical(self, name: str) -> str:
        """The unit's own name behind an alias, also where the alias is that of its template."""
        return self._work.names.canonical(name)

    def names_of(self, name: str) -> tuple[str, ...]:
        """All names of a unit (`Names=`): its own first, then its aliases; () for no valid name."""
        if not is_valid_name(name):
            return ()
        name = self._work.names.canonical(name)
        return (name, *sorted(self._work.assembler.aliases_of(name)))

    def text_of(self, path: str) -> str:
        """What a file of the tree says, through links; empty for none, or a mask."""
        end = self._work.tree.follow(path)
        file = self.files.get(end.path)
        return file.data.decode("utf-8", "replace") if file is not None and not end.masked else ""

    def updated(self, changed: Mapping[str, SourceFile | None]) -> tuple[UnitSet, frozenset[str]]:
        """The set after some files changed (None: gone), and the names of what may differ.

        Those are of units, and of templates: some are needed though no instance of them is there yet.
        """
        real = {
            path: file for path, file in changed.items() if _differs(self.files.get(path), file)
        }
        if not real:
            return self, frozenset()
        old = self._work
        tree = old.tree.changed(real)
        affected = _affected(old, tree, real)
        work = None
        if affected is not None:
            work = old.over(tree, redefine(old.names, tree, sorted(_redefined(real))))
            work.refresh(affected)
        same = work is not None and work.claims == old.claims and work.gifts == old.gifts
        if work is not None and same and not old.alias_problems:
            candidates = work.touched
        else:
            work = WorkingSet(tree, resolve_names(tree), old.host, old.options, old)
            candidates = {*old.units, *work.units, *old.templates, *work.templates}
        different = {
            name
            for name in candidates
            if old.units.get(name) != work.units.get(name)
            or old.templates.get(name) != work.templates.get(name)
        }
        if work.names.aliases is not old.names.aliases:
            before, after = old.names.aliases.items(), work.names.aliases.items()
            different |= {name for name, _ in before ^ after}
        return UnitSet(work), frozenset(different)


def load(
    files: Iterable[SourceFile], host: Host, options: LoadOptions = _DEFAULT_OPTIONS
) -> UnitSet:
    """All units of a tree. Raises nothing: whatever is wrong is among the set's diagnostics."""
    tree = Tree(files)
    return UnitSet(WorkingSet(tree, resolve_names(tree), host, options))


def _differs(old: SourceFile | None, new: SourceFile | None) -> bool:
    if old is None or new is None:
        return old is not new
    return (old.oid, old.link) != (new.oid, new.link)


def _redefined(changed: Iterable[str]) -> set[str]:
    places = [place_of(path) for path in changed]
    return {place.owner for place in places if place.role is Role.UNIT}


def _affected(
    work: WorkingSet, tree: Tree, changed: Mapping[str, SourceFile | None]
) -> set[str] | None:
    """The units that changed files are about; None if names themselves may shift."""
    names = work.names
    found: set[str] = set()
    for path, file in changed.items():
        if path in names.followed or (file is not None and file.link is not None):
            return None
        found |= work.users.get(path, frozenset())
        place = place_of(path)
        if place.role in (Role.HIDDEN, Role.OTHER):
            continue
        owner = place.owner
        if owner in names.aliases or owner == DEFAULT_TARGET:
            return None
        if place.role is not Role.UNIT:
            found |= _under(work, owner)
            continue
        twice = max(len(tree.fragments.get(owner, ())), len(work.tree.fragments.get(owner, ())))
        if twice > 1 or not is_valid_name(owner) or ("@" in owner and tree.links):
            return None
        found.add(owner)
        if "@." in owner:
            found |= _instances(work, owner)
    return found


def _under(work: WorkingSet, owner: str) -> set[str]:
    """Units and templates that folders of `owner` are about."""
    if "." not in owner:
        start, end = "", f".{owner}"
    else:
        prefix, instance, end = split_name(owner)
        if not prefix.endswith("-") and instance != "":
            return {work.names.canonical(owner)}
        start = prefix if prefix.endswith("-") else f"{prefix}@"
    everything = (*work.units, *work.templates, *work.names.aliases, ROOT)
    found = {
        work.names.canonical(name)
        for name in everything
        if name.startswith(start) and name.endswith(end)
    }
    for template in [name for name in found if "@." in name]:
        found |= _instances(work, template)
    return found


def _instances(work: WorkingSet, template: str) -> set[str]:
    """Instances of a template that are there or wanted."""
    start = template.partition("@")[0] + "@"
    everything = (*work.units, *work.counts)
    return {n for n in everything if n.startswith(start) and template_of(n) == template}
