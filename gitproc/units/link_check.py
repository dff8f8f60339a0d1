"""What is wrong with links and folders that are about no unit file: they would be lost in silence."""

from __future__ import annotations

import posixpath
from collections.abc import Collection, Iterator

from gitproc.units.diagnostics import Diagnostic, Location
from gitproc.units.names import is_valid_name, is_valid_slice, template_of
from gitproc.units.tree import (
    NULL_DEVICE,
    Role,
    Tree,
    is_drop_in_owner,
    is_needs_folder,
    place_of,
)


def check_links(tree: Tree) -> Iterator[Diagnostic]:
    """Links that leave the tree, drop-in links that lead nowhere, links that stand for a folder."""
    for path, link in sorted(tree.links.items()):
        role = place_of(path).role
        if role is Role.UNIT or posixpath.normpath(link) == NULL_DEVICE:
            continue
        end = tree.follow(path)
        stem, suffix = posixpath.splitext(posixpath.basename(path))
        stands_for_folder = (suffix == ".d" and is_drop_in_owner(stem)) or is_needs_folder(
            posixpath.basename(path)
        )
        if (end.problem and not end.path) or (role is Role.DROP_IN and end.problem):
            yield _problem(path, "error", end.problem)
        elif stands_for_folder:
            yield _problem(path, "error", "a link to a folder is not followed: make it a folder")


def check_folders(tree: Tree, known: Collection[str]) -> Iterator[Diagnostic]:
    """Drop-ins and dependency links for units that are not there; `known` holds every unit's name."""
    for key, paths in sorted({**tree.drop_ins, **tree.needs}.items()):
        owner = key.partition(" ")[0]
        if "." not in owner or owner.rpartition(".")[0].endswith("-") or "-@" in owner:
            continue  # for a type or a prefix: none may match yet
        if owner not in known and template_of(owner) not in known:
            lack = "no unit is in" if is_valid_slice(owner) else "is not in the tree"
            message = f"for {owner}, which {lack}: has no effect"
            for path in paths:
                yield _problem(path, "warning", message)
    for paths in tree.needs.values():
        for path in paths:
            name = posixpath.basename(path)
            if not is_valid_name(name):
                yield _problem(path, "error", f"{name!r} is not a valid unit name")


def _problem(path: str, severity: str, message: str) -> Diagnostic:
    shown = path.encode("utf-8", "backslashreplace").decode()
    return Diagnostic(
        Location(shown, 0), "error" if severity == "error" else "warning", "", message
    )
