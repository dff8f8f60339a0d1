"""Which names a tree defines: unit files, masks, aliases by link, and what is wrong with them.

A link to another unit's file is a further name of that unit; an instance may be a link to its template.
Whatever cannot be told (two files of one name, a link that leads nowhere) is reported, never guessed.
"""

from __future__ import annotations

from collections.abc import Iterable

from gitproc.immutable import NamedTuple
from gitproc.units.builtin_targets import BUILTIN, DEFAULT_TARGET, DEFAULT_TARGET_IS
from gitproc.units.diagnostics import Diagnostic, Location
from gitproc.units.names import (
    instantiate,
    is_valid_name,
    is_valid_slice,
    split_name,
    template_of,
)
from gitproc.units.tree import Target, Tree

OWN_KINDS = ("service", "target", "slice", "timer", "path", "socket")


class Names(NamedTuple):
    """Names of a tree. `fragments`: name -> path ("" if masked); `aliases`: name -> unit."""

    fragments: dict[str, str]
    aliases: dict[str, str]
    diagnostics: dict[str, tuple[Diagnostic, ...]]
    followed: frozenset[str]

    def canonical(self, name: str) -> str:
        """The unit's own name behind an alias, an instance of a template's alias included."""
        for _ in range(len(self.aliases) + 1):
            target = self.aliases.get(name)
            if target is None and "@" in name and is_valid_name(name):
                _, instance, _ = split_name(name)
                template = self.aliases.get(template_of(name) or "") if instance else None
                if template and instance and name not in self.fragments:
                    target = instantiate(template, instance)
            if target is None:
                return name
            name = target
        return name

    def fragment_of(self, name: str) -> str | None:
        """Path of the file that defines a unit, its template's if it has none; None: no file."""
        path = self.fragments.get(name)
        if path is None and "@" in name:
            path = self.fragments.get(template_of(name) or "")
        return path


def resolve_names(tree: Tree) -> Names:
    """All names that files and links of the tree define."""
    names = Names({}, {}, {}, _followed(tree))
    found: dict[str, list[Diagnostic]] = {}
    for name in sorted(tree.fragments):
        _define(tree, names, name, found)
    for alias in sorted(names.aliases):
        _check_circle(tree, names, alias, found)
    if DEFAULT_TARGET not in names.fragments:
        names.aliases.setdefault(DEFAULT_TARGET, DEFAULT_TARGET_IS)
    names.diagnostics.update((path, tuple(problems)) for path, problems in found.items())
    return names


def redefine(names: Names, tree: Tree, changed: Iterable[str]) -> Names:
    """The names after files of these unit names have come, gone or changed, and no link has."""
    new = Names(dict(names.fragments), names.aliases, dict(names.diagnostics), names.followed)
    found: dict[str, list[Diagnostic]] = {}
    for name in changed:
        new.fragments.pop(name, None)
        for path in tree.fragments.get(name, ()):
            new.diagnostics.pop(path, None)
        if name in tree.fragments:
            _define(tree, new, name, found)
    new.diagnostics.update((path, tuple(problems)) for path, problems in found.items())
    for path in [path for path in new.diagnostics if path not in tree.files]:
        del new.diagnostics[path]
    return new


def name_problem(name: str, path: str) -> str:
    """Why a file of this name cannot be a unit file; empty if it can."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return "the name is not valid UTF-8"
    if len(name) > 255:
        return f"the unit name is too long ({len(name)} characters, 255 are allowed)"
    if not is_valid_name(name):
        return f"{name!r} is not a valid unit name"
    if name.endswith(".slice") and not is_valid_slice(name):
        return f"{name!r} is not the name of a slice (such as web.slice, web-shop.slice)"
    return ""


def alias_problem(alias: str, name: str) -> str:
    """Why `alias` cannot be a further name of unit `name` (systemd's rules); empty if it can."""
    _, instance, suffix = split_name(alias)
    _, target_instance, target_suffix = split_name(name)
    if suffix != target_suffix:
        return f"a {suffix[1:]} unit cannot be an alias of a {target_suffix[1:]} unit"
    if suffix == ".slice":
        return "a slice cannot have an alias"
    if instance == "" and target_instance != "":
        return f"the template {alias} cannot be an alias of {name}, which is none"
    if instance is None and target_instance == "":
        return f"{alias} cannot be an alias of the template {name}"
    if instance and target_instance not in ("", instance):
        return f"{alias} cannot be an alias of {name}: the instances differ"
    return ""


def _define(
    tree: Tree,
    names: Names,
    name: str,
    found: dict[str, list[Diagnostic]],
) -> None:
    paths = tree.fragments[name]
    if problem := name_problem(name, paths[0]):
        for path in paths:
            found.setdefault(path, []).append(_error(path, problem))
        return
    ends: dict[str, Target] = {}
    for path in paths:
        end = tree.follow(path)
        if end.problem and end.path and _known_elsewhere(tree, end.path):
            end = Target(end.path)
        if end.problem:
            found.setdefault(path, []).append(_error(path, end.problem))
        else:
            ends[path] = end
    if not ends:
        return
    first = next(iter(ends))
    for path, end in ends.items():
        if end != ends[first]:
            found.setdefault(path, []).append(_error(path, f"{name} is defined by {first} too"))
    end = ends[first]
    kind = split_name(name)[2][1:]
    if end.masked:
        names.fragments[name] = ""
        return
    if kind not in OWN_KINDS:
        found.setdefault(first, []).append(_error(first, f"{kind} units are not supported"))
        return
    target = end.path.rpartition("/")[2]
    if target == name and end.path in tree.files:
        names.fragments[name] = end.path
        return
    problem = alias_problem(name, target) if is_valid_name(target) else f"{target} is no unit file"
    if problem:
        found.setdefault(first, []).append(_error(first, problem))
        return
    _, instance, _ = split_name(name)
    if instance and split_name(target)[1] == "":
        target = instantiate(target, instance)
    if target == name and end.path not in tree.files:
        found.setdefault(first, []).append(_error(first, tree.follow(first).problem))
    elif target == name:
        names.fragments[name] = end.path  # getty@tty1.service -> getty@.service
    else:
        names.aliases[name] = target


def _known_elsewhere(tree: Tree, path: str) -> bool:
    """Whether a link to a path without a file still names a unit: a built-in one, or an instance."""
    name = path.rpartition("/")[2]
    if name in BUILTIN:
        return True
    return "@" in name and is_valid_name(name) and template_of(name) in tree.fragments


def _followed(tree: Tree) -> frozenset[str]:
    """Every path that some link passes through or ends at, there or not."""
    seen: set[str] = set()
    for path in tree.links:
        seen.add(path)
        end = tree.follow(path)
        if end.path:
            seen.add(end.path)
    return frozenset(seen)


def _check_circle(tree: Tree, names: Names, alias: str, found: dict[str, list[Diagnostic]]) -> None:
    seen = {alias}
    name = alias
    while (after := names.aliases.get(name)) is not None:
        if after in seen:
            path = tree.fragments[alias][0]
            found.setdefault(path, []).append(_error(path, "aliases go round in circles"))
            del names.aliases[alias]
            return
        seen.add(after)
        name = after


def _error(path: str, message: str) -> Diagnostic:
    shown = path.encode("utf-8", "backslashreplace").decode()
    return Diagnostic(Location(shown, 0), "error", "", message)
