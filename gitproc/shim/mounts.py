"""A step of a child's set-up: its own mounts (PrivateTmp=, ProtectSystem= and their kin of systemd.exec(5)).

First every place is found and every source taken, in the host's view; then what is put into places, from
the root downwards; then copies of what stays less restricted than what is around it; then restrictions. No
restriction is ever taken away from a mount: what the host has read-only stays so. What is hidden is covered by
copies of the host's nodes, so an old root is only left when all is in its place.
"""

from __future__ import annotations

import errno
import os
import stat

from gitproc.shim import directories, places, private_devices, private_sysfs
from gitproc.shim import mount_calls as calls
from gitproc.shim.mount_order import CONTENTS, Point, points

TYPE_CHECKING = False  # `typing` and `collections` stay out of this process
if TYPE_CHECKING:
    from collections.abc import Callable

    from gitproc.shim.mount_order import Entry
    from gitproc.shim.setup import Setup

_MS_PRIVATE, _MS_SLAVE, _MS_SHARED = 1 << 18, 1 << 19, 1 << 20
_PROPAGATION = {"private": _MS_PRIVATE, "shared": _MS_SHARED}
_API_ATTRIBUTES = calls.NOSUID | calls.NODEV | calls.NOEXEC
_BINDS = ("bind", "bind-ro", "bind-flat", "bind-flat-ro", "bind-bare")
_MADE = (
    *_BINDS,
    "tmpfs",
    "tmpfs-bare",
    "proc",
    "sysfs",
    "cgroup",
    "dev",
)  # whose place is made where it is missing
_WRITABLE = ("rw", "bind", "bind-flat")  # although what is around may be read-only
_TMPFS_OPTIONS = "mode=0755,size=10%,nr_inodes=400k"


def build(setup: Setup) -> None:
    """Give this process mounts of its own; nothing without the spec's `mounts`."""
    wanted = setup.spec.get("mounts")
    if wanted is None:
        return
    if not setup.have_own(calls.CLONE_NEWNS, "mounts"):
        return
    before = os.umask(0)
    builder = _Builder(wanted["hidden"], setup.warn)
    try:
        there = [path for path in wanted.get("seen", ()) if os.path.lexists(path)]
        builder.build(
            wanted.get("root", ""), wanted["entries"], wanted.get("propagation", "shared")
        )
        _see(there)
    except OSError as error:
        if not error.filename and builder.at:
            raise OSError(error.errno, error.strerror, builder.at) from None
        raise
    finally:
        os.umask(before)


def _see(paths: list[str]) -> None:
    for path in paths:
        if not os.path.lexists(path):
            raise OSError(errno.EACCES, "the unit needs it, and makes it inaccessible", path)


class _Builder:
    """`hidden`: folder of the nodes that cover what is inaccessible. `at`: the path that is being worked on."""

    def __init__(self, hidden: str, warn: Callable[[str], None]) -> None:
        self.at = ""
        self._hidden = hidden
        self._warn = warn
        self._covers: dict[str, int] = {}
        self._sources: dict[str, list[int]] = {}
        self._devices: dict[str, int] = {}
        self._sysfs: tuple[int, private_sysfs.Below] = (-1, [])
        self._later: list[str] = []  # what has to be there once all is in its place
        self._filled = -1  # a /dev that is read-only once all is in it
        self._writable: list[str] = []
        self._old_roots = 0

    def build(self, root: str, entries: list[Entry], propagation: str) -> None:
        calls.propagate(_MS_SLAVE)
        links = [entry for entry in entries if entry[1] == "link"]
        entries = [entry for entry in entries if entry[1] != "link"]
        sources = self._take(entries)
        outside = [place.path for entry, place in sources if entry[1] in _WRITABLE]
        if root:
            self._enter_root(root, outside)
        tree = self._settle(entries)
        if not root:
            outside += self._writable
        for entry, place in sources:
            places.confine(entry[3], place, outside)
        for point in tree:
            if point.content is not None:
                self._fill(point)
        for path, _, _, target, _ in links:
            self.at = path
            directories.link(target, path)
        self._find_later(tree)
        for _ in range(self._old_roots):
            calls.leave_old_root()
        if self._filled >= 0:
            calls.restrict(self._filled, calls.RDONLY, recursive=False)
            os.close(self._filled)
        self._restrict(tree)
        if propagation in _PROPAGATION:
            calls.propagate(_PROPAGATION[propagation])

    def _take(self, entries: list[Entry]) -> list[tuple[Entry, places.Place]]:
        """All that comes from the host's view; where the sources of binds were found."""
        kinds = {entry[1] for entry in entries}
        if "hide" in kinds:
            for kind in ("dir", "reg", "chr"):
                self._covers[kind] = calls.open_plain(f"{self._hidden}/{kind}")
        if "dev" in kinds:
            self._devices = private_devices.take()
        if "sysfs" in kinds:
            self._sysfs = private_sysfs.take(self._warn)
        return [(entry, self._take_source(entry)) for entry in entries if entry[1] in _BINDS]

    def _take_source(self, entry: Entry) -> places.Place:
        _, kind, optional, source, _ = entry
        self.at = source
        found = places.find(source)
        try:
            fd = calls.open_plain(found.path)
        except FileNotFoundError:
            if optional:
                return found
            raise
        try:
            copy = calls.copy_tree(fd, recursive="flat" not in kind)
            self._sources.setdefault(source, []).append(copy)
        finally:
            os.close(fd)
        return found

    def _enter_root(self, root: str, writable: list[str]) -> None:
        self.at = root
        found = places.find(root)
        places.confine(root, found, writable)
        place = calls.open_plain(found.path)
        tree = calls.copy_tree(place)
        calls.attach(tree, place)
        os.close(place)
        self._change_root(tree)
        os.close(tree)

    def _change_root(self, mount: int) -> None:
        calls.change_root(mount)
        self._old_roots += 1

    def _settle(self, entries: list[Entry]) -> list[Point]:
        """Where all is to be; what lies below something that is yet to be put there is found later."""
        filled = [entry[0].rstrip("/") + "/" for entry in entries if entry[1] in CONTENTS]
        made = {entry[0] for entry in entries if entry[1] in _MADE and not entry[2]}
        found: list[tuple[Entry, places.Place]] = []
        for entry in entries:
            if any(entry[0].startswith(above) for above in filled if entry[0] != above):
                found.append((entry, places.Place(entry[0], 0, [])))
                if entry[1] not in CONTENTS and not entry[2]:
                    self._later.append(entry[0])
            else:
                found.append((entry, places.find(entry[0])))
        self._writable = [place.path for entry, place in found if entry[1] in _WRITABLE]
        placed: list[Entry] = []
        for entry, place in found:
            path, kind, optional, source, options = entry
            places.confine(path, place, self._writable)
            if kind in _BINDS and source not in self._sources:
                continue
            made_here = path in made or (kind in _MADE and not (optional and kind == "tmpfs"))
            if not place.missing or made_here:
                placed.append((place.path, kind, optional, source, options))
            elif not optional:
                raise OSError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        return points(placed)

    def _open(self, point: Point) -> int:
        """The place of a point as the tree is now; -1 for an optional one that is not there."""
        self.at = point.path
        found = places.find(point.path)
        places.confine(point.path, found, self._writable)
        try:
            return calls.open_plain(found.path)
        except FileNotFoundError:
            if point.optional:
                return -1
            raise

    # ------------------------------------------------------------ what is put into places

    def _fill(self, point: Point) -> None:
        assert point.content is not None
        self.at = point.path
        kind = point.content[1]
        if kind == "hide":
            self._hide(point)
            return
        if kind.endswith("-bare") and self._has_mount(point.path):
            return
        mount = self._mount_of(point.content)
        if mount < 0:
            return
        if kind in _MADE and point.path != "/":
            found = places.find(point.path)
            places.confine(point.path, found, self._writable)
            if found.missing:
                places.make(found.path, folder=stat.S_ISDIR(os.fstat(mount).st_mode))
        place = self._open(point)
        if place >= 0:
            calls.attach(mount, place)
            if point.path == "/":
                self._change_root(mount)
            if kind == "dev":
                private_devices.fill(mount, self._devices)
                self._filled = os.dup(mount)
            if kind == "sysfs":
                private_sysfs.fill(mount, self._sysfs[1])
            os.close(place)
        os.close(mount)

    def _has_mount(self, path: str) -> bool:
        found = places.find(path)
        return not found.missing and calls.is_mount_point(found.path)

    def _find_later(self, tree: list[Point]) -> None:
        hidden = [
            x.path.rstrip("/") + "/"
            for x in tree
            if x.content is not None and x.content[1] == "hide"
        ]
        for path in self._later:
            if not any(path.startswith(above) for above in hidden) and places.find(path).missing:
                raise OSError(errno.ENOENT, os.strerror(errno.ENOENT), path)

    def _mount_of(self, content: Entry) -> int:
        _, kind, _, source, options = content
        if kind in _BINDS:
            return self._sources[source].pop()
        if kind == "sysfs":
            return self._sysfs[0]
        if kind.startswith("tmpfs"):
            merged = f"{_TMPFS_OPTIONS},{options}"
            return calls.new_file_system("tmpfs", merged, calls.NODEV | calls.STRICTATIME)
        if kind == "dev":
            return private_devices.make()
        if kind == "cgroup":
            return calls.new_file_system("cgroup2", options, _API_ATTRIBUTES)
        return calls.new_file_system(kind, options, _API_ATTRIBUTES)

    def _hide(self, point: Point) -> None:
        place = self._open(point)
        if place < 0:
            return
        mode = os.fstat(place).st_mode
        kind = "dir" if stat.S_ISDIR(mode) else "reg" if stat.S_ISREG(mode) else "chr"
        cover = calls.copy_tree(self._covers[kind], recursive=False)
        calls.restrict(cover, _API_ATTRIBUTES | calls.RDONLY)
        calls.attach(cover, place)
        if point.path == "/":
            self._change_root(cover)
        os.close(cover)
        os.close(place)

    # ------------------------------------------------------------ how places may be used

    def _restrict(self, tree: list[Point]) -> None:
        copies: list[tuple[Point, int]] = []
        for point in tree[1:]:
            self.at = point.path
            if point.restricted and not (point.content and point.content[1] == "hide"):
                place = self._open(point)
                if place >= 0:
                    copies.append((point, calls.copy_tree(place)))
                    os.close(place)
        if tree[0].restricted:
            root = os.open("/", os.O_PATH | os.O_CLOEXEC)
            calls.restrict(root, _attributes(tree[0]))
            os.close(root)
        for point, copy in copies:
            attributes = _attributes(point)
            self.at = point.path
            if attributes:
                calls.restrict(copy, attributes)
            place = self._open(point)
            calls.attach(copy, place)
            os.close(place)
            os.close(copy)


def _attributes(point: Point) -> int:
    return (calls.RDONLY if point.read_only else 0) | (calls.NOEXEC if point.no_exec else 0)
