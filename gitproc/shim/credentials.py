"""A step of a child's set-up: credentials, on a file system of their own that the unit's user alone can read.

The files lie in memory that is never written to a disk where the kernel can promise that, and are read-only even
for their owner. Sources are read as root, but not through links that an ordinary user could have made.
"""

from __future__ import annotations

import _socket
import errno
import os
import stat

from gitproc.shim import directories, process

TYPE_CHECKING = False  # `typing` and `collections` stay out of this process
if TYPE_CHECKING:
    from typing import Any

    from gitproc.shim.setup import Setup

_MOST = 1 << 20  # bytes, of one and of all
_DEPTH_MAX = 16
_FLAGS = process.MS_NOSUID | process.MS_NODEV | process.MS_NOEXEC
_REMOUNT, _READ_ONLY = 32, 1
#: The first that the kernel has and lets us mount; a disk could get to see the last, by swapping.
_KINDS = (
    ("tmpfs", "mode=0700,nr_inodes=1024,size=1m,noswap"),
    ("ramfs", "mode=0700"),
    ("tmpfs", "mode=0700,nr_inodes=1024,size=1m"),
)
_OPEN = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


def give(setup: Setup) -> None:
    """Put the credentials where the unit finds them, unless an earlier command of this start has."""
    wanted = setup.spec.get("credentials")
    if not wanted:
        return
    path = wanted["path"]
    owner = 0 if os.geteuid() == 0 else -1
    if not os.path.ismount(path):
        directories.make(path, 0o700, owner, owner)
    if os.path.ismount(path) or os.listdir(path):
        if not wanted["fresh"]:
            return
        _clear(path)
    mounted = _mount(path)
    found = _read_all(wanted)
    uid, gid = wanted["uid"], wanted["gid"]
    for name, data in found.items():
        fd = os.open(f"{path}/{name}", os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(fd, view) :]
            os.fchmod(fd, 0o400)
            os.fchown(fd, uid, gid)
        finally:
            os.close(fd)
    os.chmod(path, 0o500)
    os.chown(path, uid, gid)
    if mounted:
        process.mount(None, path, None, _FLAGS | _REMOUNT | _READ_ONLY)


def _clear(path: str) -> None:
    while process.unmount(path):
        pass
    for name in os.listdir(path):
        os.unlink(f"{path}/{name}")


def _mount(path: str) -> bool:
    """Whether there is a file system of its own now; without the right to, the folder itself must do."""
    for kind, options in _KINDS:
        try:
            process.mount(kind, path, kind, _FLAGS, options)
            return True
        except OSError as error:
            if error.errno in (errno.EPERM, errno.EACCES):
                return False
    return False


def _read_all(wanted: dict[str, Any]) -> dict[str, bytes]:
    """By name. What is loaded comes before what stands in the unit, and what was found first before the rest."""
    found: dict[str, bytes] = {}
    given = dict(wanted["set"])
    left = _MOST
    for name, source, optional in wanted["load"]:
        if name in found:
            continue
        try:
            loaded = _load(name, source, wanted["unit"], left)
        except FileNotFoundError:
            if optional or name in given:
                continue
            raise OSError(errno.ENOENT, os.strerror(errno.ENOENT), source) from None
        for each, data in loaded.items():
            if each not in found:
                found[each] = data
                left -= len(each) + len(data)
    for name, data in given.items():
        if name not in found:
            found[name] = data
            left -= len(name) + len(data)
    if left < 0:
        raise OSError(errno.E2BIG, os.strerror(errno.E2BIG))
    return found


def _load(name: str, source: str, unit: str, left: int) -> dict[str, bytes]:
    """One file or answer, or all files of a folder, named after their way there."""
    try:
        fd = directories.open_below(source, _OPEN, 0)
    except OSError as error:
        if error.errno != errno.ENXIO:
            raise
        return {name: _ask(name, source, unit, left)}
    try:
        if stat.S_ISDIR(os.fstat(fd).st_mode):
            found: dict[str, bytes] = {}
            _load_folder(fd, name, found, left, 0)
            return found
        return {name: _contents(fd, source, left)}
    finally:
        os.close(fd)


def _load_folder(folder: int, prefix: str, found: dict[str, bytes], left: int, depth: int) -> None:
    if depth > _DEPTH_MAX:
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), prefix)
    for entry in sorted(os.listdir(folder)):
        fd = os.open(entry, _OPEN | os.O_NOFOLLOW, dir_fd=folder)
        try:
            name = f"{prefix}_{entry}"
            if stat.S_ISDIR(os.fstat(fd).st_mode):
                _load_folder(fd, name, found, left, depth + 1)
            else:
                found[name] = _contents(fd, name, left)
                left -= len(name) + len(found[name])
        finally:
            os.close(fd)


def _contents(fd: int, source: str, left: int) -> bytes:
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        raise OSError(errno.EINVAL, "not a regular file", source)
    pieces, most = [], max(left, 0)
    while piece := os.read(fd, 65536):
        pieces.append(piece)
        most -= len(piece)
        if most < 0:
            raise OSError(errno.E2BIG, os.strerror(errno.E2BIG), source)
    return b"".join(pieces)


def _ask(name: str, source: str, unit: str, left: int) -> bytes:
    """What the server of a socket says, until it hangs up; it can tell by our address who asks for what."""
    fd = directories.open_below(source, os.O_PATH | os.O_CLOEXEC, 0)
    try:
        if not stat.S_ISSOCK(os.fstat(fd).st_mode):
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), source)
        sock = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
        try:
            sock.bind(f"\0{os.urandom(8).hex()}/unit/{unit}/{name}".encode()[:108])
            sock.connect(f"/proc/self/fd/{fd}")
            pieces, most = [], max(left, 0)
            while piece := sock.recv(65536):
                pieces.append(piece)
                most -= len(piece)
                if most < 0:
                    raise OSError(errno.E2BIG, os.strerror(errno.E2BIG), source)
            return b"".join(pieces)
        finally:
            sock.close()
    finally:
        os.close(fd)
