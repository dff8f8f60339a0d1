"""The files of a commit on disk, read-only, for units that use a configuration file beside them.

Each commit gets a directory of its own, `current` points at one of them by a link that is replaced in one
step. A file that did not change is a hard link to the previous layout's. Everything is written below
a directory nobody else can write, into folders made here, and no link that could lead out of the tree is made:
so no name in a commit reaches anything outside.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import stat
import tempfile
import threading
from collections.abc import Iterator, Sequence, Set
from pathlib import Path

from gitproc.errors import SourceError
from gitproc.source.objects import Objects
from gitproc.source.reading import leaves_tree
from gitproc.source.trees import EXECUTABLE, LINK, SUBMODULE, Entry, Trees
from gitproc.units.tree import SourceFile

MAX_FILE_BYTES = 256 << 20  # larger files are left out: a tree of desired state is no data store

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC


class Layouts:
    """Writes layouts, one at a time; knows which of those on disk it has made or checked itself."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sound: set[Path] = set()
        self._latest: tuple[Path, str] | None = None  # and its tree

    def write(
        self,
        objects: Objects,
        commit: str,
        tree: str,
        dest: Path,
        keep: Sequence[str],
        *,
        point: bool = True,
    ) -> Path:
        """Lay out `tree` as `dest/commit`; with `point`, make `dest/current` lead there.

        SourceError if it fails.
        """
        final = dest / commit
        with self._lock:
            try:
                if not dest.is_dir():
                    dest.mkdir(parents=True)
                    dest.chmod(0o755)  # services of any user read here, whatever our umask
                entries = {
                    entry.path: entry for entry in Trees(objects).compare(None, tree).entries
                }
                known = final in self._sound and final.is_dir()
                if not known and not _is_sound(final, entries):
                    self._make(objects, final, tree, entries)
                self._sound.add(final)
                self._latest = (final, tree)
                before = _current(dest)
                if point and before != commit:
                    _point(dest / "current", commit)
                self._prune(dest, {commit, before, *keep})
            except OSError as error:
                raise SourceError(f"cannot lay out {commit[:12]} in {dest}: {error}") from error
        return final

    def _make(self, objects: Objects, final: Path, tree: str, entries: dict[str, Entry]) -> None:
        previous, unchanged = self._latest_but(objects, tree, entries)
        folders = sorted({parent for path in entries for parent in _parents(path)})
        work = Path(tempfile.mkdtemp(prefix=".new-", dir=final.parent))
        try:
            for folder in folders:
                (work / folder).mkdir()
            fresh = [
                entry
                for path, entry in entries.items()
                if entry.mode == LINK
                or path not in unchanged
                or not _link(previous / path, work / path)
            ]
            _write_files(objects, work, [entry for entry in fresh if entry.mode != SUBMODULE])
            for folder in folders:
                (work / folder).chmod(0o555)
            work.chmod(0o555)
            if final.exists():
                _remove(final)
            work.rename(final)
        except BaseException:
            _remove(work)
            raise

    def _latest_but(
        self, objects: Objects, tree: str, entries: dict[str, Entry]
    ) -> tuple[Path, Set[str]]:
        """The former layout, and which files of this tree are there as they are to be."""
        if self._latest is None:
            return Path(), frozenset()
        previous, old = self._latest
        try:
            difference = Trees(objects).compare(old, tree)
        except SourceError:  # its tree is gone from the repository
            return Path(), frozenset()
        return previous, entries.keys() - {entry.path for entry in difference.entries}

    def _prune(self, dest: Path, keep: set[str | None]) -> None:
        for path in dest.iterdir():
            if path.name not in keep and path.name != "current":
                self._sound.discard(path)
                _remove(path)


def _write_files(objects: Objects, work: Path, entries: list[Entry]) -> None:
    for entry, blob in zip(
        entries, objects.get_all([entry.oid for entry in entries], MAX_FILE_BYTES), strict=True
    ):
        if blob is None:
            raise SourceError(f"the repository lacks blob {entry.oid}: run `git fsck` in it")
        if blob.data is None:
            continue
        if entry.mode == LINK:
            text = os.fsdecode(blob.data)
            if "\0" not in text and text and not leaves_tree(entry.path, text):
                (work / entry.path).symlink_to(text)
            continue
        # Not by way of pathlib and a file object: a commit may have ten thousand files.
        fd = os.open(f"{work}/{entry.path}", _NEW, 0o400)
        try:
            rest = memoryview(blob.data)
            while rest:
                rest = rest[os.write(fd, rest) :]
            os.fchmod(fd, 0o555 if entry.mode == EXECUTABLE else 0o444)
        finally:
            os.close(fd)


def _link(source: Path, target: Path) -> bool:
    try:
        target.hardlink_to(source)
    except OSError:  # gone, another file system, too many links: then it is written anew
        return False
    return True


def _parents(path: str) -> Iterator[str]:
    at = path.find("/")
    while at >= 0:
        yield path[:at]
        at = path.find("/", at + 1)


def _current(dest: Path) -> str | None:
    try:
        return (dest / "current").readlink().name
    except OSError:
        return None


def point_to(dest: Path, commit: str) -> None:
    """Make `dest/current` lead to a commit that is laid out; OSError if that cannot be done."""
    if _current(dest) != commit:
        _point(dest / "current", commit)


def _point(link: Path, name: str) -> None:
    """Make `link` lead to `name` in one step: no moment without it."""
    fresh = link.with_name(".current-new")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(name)
    fresh.rename(link)


def _is_sound(final: Path, entries: dict[str, Entry]) -> bool:
    """Whether a layout of an earlier life is complete: power may have failed while it was written."""
    if not final.is_dir():
        return False
    for path, entry in entries.items():
        if entry.mode in {LINK, SUBMODULE}:
            continue
        try:
            data = (final / path).read_bytes()
        except OSError:
            return False
        digest = hashlib.sha1 if len(entry.oid) == 40 else hashlib.sha256
        if digest(b"blob %d\0" % len(data) + data).hexdigest() != entry.oid:
            return False
    return True


def files_below(root: Path) -> list[SourceFile]:
    """The files of a layout as source files, hidden folders left out. OSError if it is not there."""
    found = []
    for path in sorted(root.rglob("*")):
        relative = path.relative_to(root).as_posix()
        if any(part.startswith(".") for part in relative.split("/")[:-1]):
            continue
        mode, link = path.lstat().st_mode, None
        if stat.S_ISLNK(mode):
            link = str(path.readlink())
            data = os.fsencode(link)
        elif stat.S_ISREG(mode):
            data = path.read_bytes()
        else:
            continue
        oid = hashlib.sha1(data, usedforsecurity=False).hexdigest()
        found.append(SourceFile(relative, oid, data, link))
    if not found and not root.is_dir():
        raise FileNotFoundError(2, "not laid out", str(root))
    return found


def _remove(path: Path) -> None:
    """Remove a layout, whose folders are read-only even to their owner."""
    if path.is_symlink() or not path.is_dir():
        with contextlib.suppress(OSError):
            path.unlink()
        return
    for folder, _, _ in os.walk(path):
        with contextlib.suppress(OSError):
            Path(folder).chmod(0o700)
    shutil.rmtree(path, ignore_errors=True)
