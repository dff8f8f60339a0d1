"""Which file of a repository is what: unit files, drop-ins, dependency links, and everything else.

Folders only organise, so the place of a file is told by its own name and that of the folder it is in.
Links are followed inside the tree and nowhere else. The index is kept by name, and a changed file changes
only its own entries.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Mapping
from enum import Enum

from gitproc.immutable import NamedTuple
from gitproc.units.names import UNIT_SUFFIXES, is_valid_name

NULL_DEVICE = "/dev/null"
_KINDS = frozenset(suffix[1:] for suffix in UNIT_SUFFIXES)
_MOST_LINKS = 40


class SourceFile(NamedTuple):
    """One file of the tree.

    `path` is relative to the root, `oid` the blob id (the key of caches), `link` the target's text where
    the file is a symbolic link.
    """

    path: str
    oid: str
    data: bytes
    link: str | None = None


class Role(Enum):
    """What a file is, by its path."""

    UNIT = "unit file"
    DROP_IN = "drop-in"
    WANTS = "Wants"
    REQUIRES = "Requires"
    UPHOLDS = "Upholds"
    OTHER = "other file"
    HIDDEN = "hidden"


class Place(NamedTuple):
    """The role of a path and the unit name (or type, for `service.d`) that it is about."""

    role: Role
    owner: str


NEEDS = (Role.WANTS, Role.REQUIRES, Role.UPHOLDS)
"""What a link in a folder of a unit can say: that the unit wants, requires or upholds another."""
_FOLDERS = {role.value.lower(): role for role in NEEDS}


def place_of(path: str) -> Place:
    """What the file at `path` is."""
    folder, _, base = path.rpartition("/")
    if path.startswith(".") or "/." in path:
        return Place(Role.HIDDEN, "")
    if folder:
        parent = folder.rpartition("/")[2]
        if parent.endswith(".d") and is_drop_in_owner(parent[:-2]):
            return Place(Role.DROP_IN if base.endswith(".conf") else Role.OTHER, parent[:-2])
        stem, _, suffix = parent.rpartition(".")
        if suffix in _FOLDERS and is_drop_in_owner(stem):
            return Place(_FOLDERS[suffix], stem)
    if base.endswith(UNIT_SUFFIXES):
        return Place(Role.UNIT, base)
    return Place(Role.OTHER, "")


def is_needs_folder(name: str) -> bool:
    """Whether this names a folder of dependency links: `x.service.wants`, `timer.wants`."""
    stem, _, suffix = name.rpartition(".")
    return suffix in _FOLDERS and is_drop_in_owner(stem)


def needs_key(role: Role, owner: str) -> str:
    """The key of dependency links of one kind for one unit: `x.service Wants`."""
    return f"{owner} {role.value}"


def is_drop_in_owner(name: str) -> bool:
    """Whether a folder `NAME.d` (or `NAME.wants`) is about units: NAME is one, a prefix (`a-.service`), or a type."""
    return name in _KINDS or is_valid_name(name)


class Target(NamedTuple):
    """Where a chain of links ends: a file of the tree, a mask, or (with `problem`) nowhere."""

    path: str
    masked: bool = False
    problem: str = ""


class Tree:
    """The files of one commit, indexed by what they are about. Immutable; `changed` makes the next."""

    __slots__ = ("drop_ins", "files", "fragments", "links", "needs")

    def __init__(self, files: Iterable[SourceFile]) -> None:
        self.files: dict[str, SourceFile] = {}
        self.fragments: dict[str, tuple[str, ...]] = {}
        self.drop_ins: dict[str, tuple[str, ...]] = {}
        self.needs: dict[str, tuple[str, ...]] = {}
        self.links: dict[str, str] = {}
        for file in files:
            self._put(file.path, file)

    def changed(self, changes: Mapping[str, SourceFile | None]) -> Tree:
        """The tree with some files replaced, added, or (None) gone."""
        new = Tree(())
        for name in self.__slots__:
            setattr(new, name, dict(getattr(self, name)))
        for path in sorted(changes):
            new._put(path, changes[path])
        return new

    def _put(self, path: str, file: SourceFile | None) -> None:
        place = place_of(path)
        if place.role is not Role.HIDDEN:
            index = self._index(place.role)
            if index is not None:
                key = place.owner if index is not self.needs else needs_key(place.role, place.owner)
                others = [other for other in index.get(key, ()) if other != path]
                if file is not None:
                    index[key] = tuple(sorted([*others, path]))
                elif others:
                    index[key] = tuple(others)
                else:
                    index.pop(key, None)
            self.links.pop(path, None)
            if file is not None and file.link is not None:
                self.links[path] = file.link
        if file is None:
            self.files.pop(path, None)
        else:
            self.files[path] = file

    def _index(self, role: Role) -> dict[str, tuple[str, ...]] | None:
        if role is Role.UNIT:
            return self.fragments
        if role is Role.DROP_IN:
            return self.drop_ins
        return self.needs if role in NEEDS else None

    def is_folder(self, path: str) -> bool:
        """Whether files lie below `path` (a look at all paths: for links to what is no file)."""
        prefix = path + "/"
        return any(other.startswith(prefix) for other in self.files)

    def follow(self, path: str) -> Target:
        """Where the file at `path` leads; an empty file or a link to /dev/null is a mask.

        A target that is not in the tree is returned as path with a problem, so that the caller may
        know better (links to a built-in target, dependency links).
        """
        for _ in range(_MOST_LINKS):
            file = self.files.get(path)
            if file is None:
                return Target(path, problem=f"the link leads to {path}, which is not in the tree")
            if file.link is None:
                return Target(path, masked=not file.data)
            if posixpath.normpath(file.link) == NULL_DEVICE:
                return Target(path, masked=True)
            target = posixpath.normpath(posixpath.join(posixpath.dirname(path), file.link))
            if target.startswith(("/", "../")) or target == "..":
                return Target("", problem=f"the link to {file.link!r} leaves the tree")
            path = target
        return Target("", problem="the links go round in circles")
