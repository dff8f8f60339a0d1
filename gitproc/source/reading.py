"""From trees to source files: which files of a commit matter here, and which cannot be accepted.

Unit files, drop-ins and symlinks come with their data; anything else (a program's configuration, a file
that triggers a reload) comes with its blob id only, which is all it takes to see that it changed. What is
strange about a commit is collected with where it stands. Findings of directories that a later commit does
not touch are carried over, so every commit shows all of its own.
"""

from __future__ import annotations

import posixpath
from collections import OrderedDict
from collections.abc import Mapping

from gitproc.core.events import CommitMeta
from gitproc.errors import SourceError
from gitproc.immutable import NamedTuple
from gitproc.pattern import pattern
from gitproc.source.history import parse_commit
from gitproc.source.objects import GitObject, ObjectSource
from gitproc.source.trees import LINK, SUBMODULE, Difference, Directory, Entry, Trees
from gitproc.units.diagnostics import Diagnostic, Location, Severity
from gitproc.units.loader import SourceFile

MAX_UNIT_BYTES = 1 << 20  # of one unit file or drop-in, as systemd's own limit
MAX_TOTAL_BYTES = 128 << 20  # of all unit files of a commit together
MAX_LARGE = 8  # so many files above the limit are named, then reading stops

_UNIT_NAME = pattern(
    r"[^.].*\.(?:service|target|socket|timer|path|slice|scope|mount|automount|swap|device)"
)
_DROP_IN = pattern(r"(?:.*/)?[^/.][^/]*\.d/[^/.][^/]*\.conf")
_LFS = b"version https://git-lfs.github.com/spec/"

_KEPT = 8  # commits whose findings are remembered, so that they can be a base


class TreeChange(NamedTuple):
    """What reading a commit gave. `files`: path to file, None where it is gone (never in a full read).

    `diagnostics` are all findings about the commit's tree, also in parts that did not change.
    """

    files: Mapping[str, SourceFile | None]
    full: bool
    diagnostics: tuple[Diagnostic, ...] = ()


Findings = dict[str, tuple[Diagnostic, ...]]  # by path; of a directory with a slash at its end


def is_hidden(name: str) -> bool:
    """Whether a folder of this name is left out."""
    return name.startswith(".")


def is_unit_like(path: str) -> bool:
    """Whether the file is part of the unit language: a unit file or a drop-in."""
    return bool(_UNIT_NAME.fullmatch(posixpath.basename(path)) or _DROP_IN.fullmatch(path))


def leaves_tree(path: str, target: str) -> bool:
    """Whether the symlink at `path` may lead out of the tree.

    Steps up are allowed at the start only, and not further than the root: `a/../..` may be anywhere if
    `a` is itself a link.
    """
    if target.startswith("/"):
        return True
    room = path.count("/")
    down = False
    for step in target.split("/"):
        if step == "..":
            room -= 1
            if down or room < 0:
                return True
        elif step not in {"", "."}:
            down = True
    return False


class Reader:
    """Reads commits' trees as source files; remembers a few commits' findings."""

    def __init__(self, objects: ObjectSource) -> None:
        self._objects = objects
        self._trees = Trees(objects, skip=is_hidden)
        self._known: OrderedDict[str, Findings] = OrderedDict()

    def over(self, objects: ObjectSource) -> Reader:
        """A reader of other objects that knows what this one knows, and teaches it nothing."""
        reader = Reader(objects)
        reader._known = self._known.copy()
        return reader

    def read(self, commit: str, tree: str, base: str | None, base_tree: str | None) -> TreeChange:
        """Files of `commit` that differ from `base`'s; all of them if `base` was not read here before."""
        known = self._known.get(base) if base is not None else None
        if known is None:
            base_tree = None
        difference = self._trees.compare(base_tree, tree) if tree != base_tree else Difference()
        findings = dict(known or {})
        for path in (*difference.removed, *difference.gone):
            findings.pop(path, None)
        for directory in difference.directories:
            _note(findings, directory.path, list(_strange_names(directory)))
        files: dict[str, SourceFile | None] = dict.fromkeys(difference.removed)
        self._load(difference.entries, files, findings)
        if known is None:
            files = {path: file for path, file in files.items() if file is not None}
        self._known[commit] = findings
        self._known.move_to_end(commit)
        while len(self._known) > _KEPT:
            self._known.popitem(last=False)
        shown = sorted(
            (found for many in findings.values() for found in many),
            key=lambda found: (found.location, found.message),
        )
        return TreeChange(files, known is None, tuple(shown))

    def _load(
        self, entries: list[Entry], files: dict[str, SourceFile | None], findings: Findings
    ) -> None:
        wanted: list[Entry] = []
        for entry in entries:
            findings.pop(entry.path, None)
            if entry.mode == SUBMODULE:
                message = "submodules are not supported: nothing of it is in the commit"
                _note(findings, entry.path, [_finding(entry.path, "error", message)])
                files[entry.path] = None
            elif entry.mode == LINK or is_unit_like(entry.path):
                wanted.append(entry)
            else:
                files[entry.path] = SourceFile(entry.path, entry.oid, b"", None)
        ids = list(dict.fromkeys(entry.oid for entry in wanted))
        contents: dict[str, GitObject] = {}
        large = total = 0
        for oid, found in zip(ids, self._objects.get_all(ids, MAX_UNIT_BYTES), strict=False):
            if found is None:
                raise SourceError(f"the repository lacks blob {oid}: run `git fsck` in it")
            contents[oid] = found
            large += found.data is None
            total += len(found.data or b"")
            if large > MAX_LARGE or total > MAX_TOTAL_BYTES:
                break
        for entry in wanted:
            file, found_here = _file(entry, contents.get(entry.oid))
            files[entry.path] = file
            _note(findings, entry.path, found_here)


def read_commit(
    reader: Reader, objects: ObjectSource, commit: str, base: str | None, base_tree: str | None
) -> tuple[CommitMeta, TreeChange]:
    """A commit and its files out of `objects`, with what `reader` knows of its base."""
    [found] = objects.get_all([commit])
    if found is None or found.kind != "commit" or found.data is None:
        raise SourceError(f"{commit} is not a commit")
    meta, tree = parse_commit(commit, found.data)
    return meta, reader.over(objects).read(commit, tree, base, base_tree)


def _file(entry: Entry, blob: GitObject | None) -> tuple[SourceFile | None, list[Diagnostic]]:
    path = entry.path
    if blob is None:
        return None, [_finding(path, "error", "not read: the commit's unit files are too large")]
    if blob.data is None or (entry.mode == LINK and blob.size > 4096):
        limit = 4096 if entry.mode == LINK else MAX_UNIT_BYTES
        return None, [_finding(path, "error", f"{blob.size} bytes, more than {limit} are not read")]
    found: list[Diagnostic] = []
    link = None
    if entry.mode == LINK:
        try:
            link = blob.data.decode()
        except UnicodeDecodeError:
            return None, [_finding(path, "error", "the link's target is not UTF-8")]
        if link != "/dev/null" and leaves_tree(path, link) and not _is_pull_in(path):
            severity: Severity = "error" if is_unit_like(path) else "warning"
            found.append(_finding(path, severity, f"the link leaves the repository: {link}"))
    elif blob.data.startswith(_LFS):
        found.append(_finding(path, "error", "a pointer of git-lfs, not the file's content"))
    return SourceFile(path, entry.oid, blob.data, link), found


def _is_pull_in(path: str) -> bool:
    """Whether it lies in `X.wants/` and the like, where only a link's name counts (systemd.unit(5))."""
    return posixpath.dirname(path).endswith((".wants", ".requires", ".upholds"))


def _strange_names(directory: Directory) -> list[Diagnostic]:
    found: list[Diagnostic] = []
    for raw in directory.bad_names:
        shown = directory.path + raw.decode(errors="backslashreplace")
        try:
            raw.decode()
            message = "a name that no file can have, or that stands twice in its folder"
        except UnicodeDecodeError:
            message = "the name is not UTF-8"
        found.append(_finding(shown, "error", message))
    for first, second in directory.clashes:
        path = directory.path + second
        severity: Severity = "error" if is_unit_like(path) else "warning"
        found.append(_finding(path, severity, f"differs from {first} in case only"))
    return found


def _finding(path: str, severity: Severity, message: str) -> Diagnostic:
    return Diagnostic(Location(path, 0), severity, "", message)


def _note(findings: Findings, key: str, found: list[Diagnostic]) -> None:
    if found:
        findings[key] = tuple(found)
    else:
        findings.pop(key, None)
