"""A /dev with pseudo devices alone (PrivateDevices= of systemd.exec(5))."""

from __future__ import annotations

import errno
import os
import stat

from gitproc.shim import mount_calls as calls

_NODES = {
    "null": (1, 3), "zero": (1, 5), "full": (1, 7), "random": (1, 8), "urandom": (1, 9), "tty": (5, 0)
}  # fmt: skip
_SHARED = ("pts", "shm", "mqueue", "hugepages")  # the host's
_LINKS = {
    "fd": "/proc/self/fd", "stdin": "/proc/self/fd/0", "stdout": "/proc/self/fd/1",
    "stderr": "/proc/self/fd/2", "core": "/proc/kcore", "ptmx": "pts/ptmx",
    "log": "/run/systemd/journal/dev-log",
}  # fmt: skip
_HERE = os.O_PATH | os.O_CLOEXEC | os.O_NOFOLLOW


def make() -> int:
    """The file system for it, empty and attached nowhere."""
    options = "mode=0755,size=64k,nr_inodes=1k"
    attributes = calls.NOSUID | calls.NOEXEC | calls.STRICTATIME
    return calls.new_file_system("tmpfs", options, attributes)


def take() -> dict[str, int]:
    """What is taken over of the host's /dev, by name, attached nowhere."""
    host = {}
    folder = os.open("/dev", _HERE | os.O_DIRECTORY)
    try:
        for name in (*_NODES, *_SHARED):
            try:
                source = os.open(name, _HERE, dir_fd=folder)
            except FileNotFoundError:
                continue
            try:
                if not stat.S_ISLNK(os.fstat(source).st_mode):
                    host[name] = calls.copy_tree(source)
            finally:
                os.close(source)
    finally:
        os.close(folder)
    return host


def fill(mount: int, host: dict[str, int]) -> None:
    """Put what belongs there into `mount`, which is attached: new nodes, or the host's."""
    for name, (major, minor) in _NODES.items():
        try:
            os.mknod(name, stat.S_IFCHR | 0o666, os.makedev(major, minor), dir_fd=mount)
        except OSError as error:
            if error.errno != errno.EPERM or name not in host:
                raise
            flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC
            os.close(os.open(name, flags, 0o666, dir_fd=mount))
            _cover(mount, name, host[name])
    for name in _SHARED:
        if name in host:
            os.mkdir(name, 0o755, dir_fd=mount)
            _cover(mount, name, host[name])
    for name, target in _LINKS.items():
        if name != "log" or os.path.exists(target):
            os.symlink(target, name, dir_fd=mount)
    for fd in host.values():
        os.close(fd)


def _cover(folder: int, name: str, mount: int) -> None:
    place = os.open(name, _HERE, dir_fd=folder)
    try:
        calls.attach(mount, place)
    finally:
        os.close(place)
