"""Tree objects: parsed, walked and compared by id, so that what did not change is never read.

Two trees are compared level by level; a directory whose id is the same on both sides is the same, whatever
lies below it. All trees of a level are asked for in one go. Names come from whoever pushed: an entry
whose name could step out of its directory, or that stands twice, is never handed on.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from gitproc.errors import SourceError
from gitproc.immutable import NamedTuple, field, mutable
from gitproc.pattern import pattern
from gitproc.source.objects import ObjectSource

DIRECTORY, LINK, SUBMODULE, EXECUTABLE = b"40000", b"120000", b"160000", b"100755"

MAX_ENTRIES = 200_000  # of one commit: far above any use, far below what a crafted tree can claim
MAX_PATH = 4000  # characters: PATH_MAX with room for where a tree is laid out
MAX_PATHS = 64 << 20  # characters of all paths together: a small tree may stand in many places

_ENTRY = {
    width: pattern(rb"([0-7]{5,6}) ([^\0]{1,255})\0(.{%d})" % width, re.DOTALL)
    for width in (20, 32)
}
_LONG_NAME = pattern(rb"[0-7]{5,6} [^\0]{256}")  # more than NAME_MAX: no file can have it

_LARGE = 1000  # entries of a folder worth keeping

RawEntry = tuple[bytes, bytes, bytes]  # mode, name, id


class Entry(NamedTuple):
    """A file, link or submodule: its path from the root, git mode and object id (hex)."""

    path: str
    mode: bytes
    oid: str


@mutable
class Directory:
    """One directory that was looked at: its path ("" or "a/b/"), what is strange in it."""

    path: str
    bad_names: list[bytes] = field(default_factory=list)
    clashes: list[tuple[str, str]] = field(default_factory=list)


@mutable
class Difference:
    """What a walk found. `removed` and `gone` are paths of files and directories no longer there."""

    entries: list[Entry] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    directories: list[Directory] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)


def parse(data: bytes, width: int) -> list[RawEntry]:
    """The entries of a tree object whose ids are `width` bytes; SourceError if it is damaged."""
    entries: list[RawEntry] = _ENTRY[width].findall(data)
    length = len(entries) * (width + 2)
    if entries:
        modes, names, _ = zip(*entries, strict=True)
        length += len(b"".join(modes)) + len(b"".join(names))
    if length != len(data):
        if _LONG_NAME.search(data):
            raise SourceError("the commit has names longer than 255 bytes")
        raise SourceError("the repository holds a damaged tree object: run `git fsck` in it")
    return entries


class Trees:
    """Walks trees through `objects`. `skip` names folders not to be entered."""

    def __init__(
        self, objects: ObjectSource, skip: Callable[[str], bool] = lambda _: False
    ) -> None:
        self._objects = objects
        self._skip = skip
        self._large: dict[str, list[RawEntry]] = {}

    def compare(self, old: str | None, new: str) -> Difference:
        """What `new` has that `old` has not (None: everything), and the other way round.

        SourceError when an object is missing, or for more than MAX_ENTRIES, MAX_PATH or MAX_PATHS.
        """
        result = Difference()
        level: list[tuple[str, str | None, str | None]] = [("", old, new)]
        budget, room = MAX_ENTRIES, MAX_PATHS
        while level:
            trees = self._fetch([oid for _, a, b in level for oid in (a, b) if oid])
            deeper: list[tuple[str, str | None, str | None]] = []
            for path, a, b in level:
                before = next(trees) if a else []
                after = next(trees) if b else []
                budget -= len(after)
                if budget < 0:
                    raise SourceError(f"the commit has more than {MAX_ENTRIES} files")
                if len(path) > MAX_PATH:
                    raise SourceError(f"the commit has paths longer than {MAX_PATH} characters")
                room -= len(after) * len(path)
                if room < 0:
                    text = f"the commit has paths of more than {MAX_PATHS} characters together"
                    raise SourceError(text)
                deeper += self._directory(path, before, after if b else None, result)
            level = deeper
        return result

    def _fetch(self, oids: list[str]) -> Iterator[list[RawEntry]]:
        """The entries of each tree, in order; the last large ones are kept for the next comparison."""
        kept = {oid: self._large[oid] for oid in oids if oid in self._large}
        answers = self._objects.get_all([oid for oid in oids if oid not in kept])
        for oid in oids:
            entries = kept.get(oid)
            if entries is None:
                found = next(answers)
                if found is None or found.kind != "tree" or found.data is None:
                    raise SourceError(f"the repository lacks tree {oid}: run `git fsck` in it")
                entries = parse(found.data, len(oid) // 2)
            if len(entries) > _LARGE:
                self._large.pop(oid, None)
                self._large[oid] = entries
                while len(self._large) > 4:
                    del self._large[next(iter(self._large))]
            yield entries

    def _directory(
        self, path: str, before: list[RawEntry], after: list[RawEntry] | None, result: Difference
    ) -> Iterator[tuple[str, str | None, str | None]]:
        here = Directory(path)
        changed = _same_names(before, after)
        if changed is not None:
            before, after = changed
        elif after is None:
            result.gone.append(path)
        else:
            result.directories.append(here)
        old = _named(before, Directory(path))
        new = _named(after or [], here)
        for name, (mode, oid) in new.items():
            was = old.pop(name, None)
            if was == (mode, oid):
                continue
            full = path + name
            old_tree = was[1].hex() if was and was[0] == DIRECTORY else None
            if mode == DIRECTORY:
                if was and old_tree is None:
                    result.removed.append(full)
                if not self._skip(name):
                    yield full + "/", old_tree, oid.hex()
                continue
            if old_tree is not None and not self._skip(name):
                yield full + "/", old_tree, None
            result.entries.append(Entry(full, mode, oid.hex()))
        for name, (mode, oid) in old.items():
            if mode != DIRECTORY:
                result.removed.append(path + name)
            elif not self._skip(name):
                yield path + name + "/", oid.hex(), None


def _same_names(
    before: list[RawEntry], after: list[RawEntry] | None
) -> tuple[list[RawEntry], list[RawEntry]] | None:
    """The entries that differ, where a folder's names are as before and need not be looked at again."""
    if not before or after is None or len(before) != len(after):
        return None
    pairs = [(a, b) for a, b in zip(before, after, strict=True) if a != b]
    if any(a[1] != b[1] for a, b in pairs):
        return None
    return [a for a, _ in pairs], [b for _, b in pairs]


def _named(entries: list[RawEntry], here: Directory) -> dict[str, tuple[bytes, bytes]]:
    """Entries by name, without those whose name means harm; what was left out goes into `here`."""
    try:
        result = {raw.decode(): (mode, oid) for mode, raw, oid in entries}
    except UnicodeDecodeError:
        result = {}
        for mode, raw, oid in entries:
            try:
                result[raw.decode()] = (mode, oid)
            except UnicodeDecodeError:
                here.bad_names.append(raw)
    if len(result) + len(here.bad_names) != len(entries):  # one name twice
        seen: set[bytes] = set()
        for _, raw, _ in entries:
            if raw in seen:
                here.bad_names.append(raw)
                result.pop(raw.decode(errors="replace"), None)
            seen.add(raw)
    for name in [name for name in result if name in _HARMFUL or "/" in name]:
        del result[name]
        here.bad_names.append(name.encode())
    if len({name.casefold() for name in result}) != len(result):
        first: dict[str, str] = {}
        for name in result:
            other = first.setdefault(name.casefold(), name)
            if other != name:
                here.clashes.append((other, name))
    return result


_HARMFUL = frozenset((".", "..", ".git"))
