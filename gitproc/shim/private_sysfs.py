"""A /sys that shows the network which the process is in (PrivateNetwork= of systemd.exec(5)).

A sysfs shows the interfaces of the network it was mounted in. What is mounted below the host's is moved along: the
cgroup tree, tracing, and what a container's manager covers there.
"""

from __future__ import annotations

import errno
import os

from gitproc.shim import mount_calls as calls

TYPE_CHECKING = False  # `typing` and `collections` stay out of this process
if TYPE_CHECKING:
    from collections.abc import Callable

    Below = list[tuple[str, int]]

_AT = "/sys"
_ATTRIBUTES = calls.NOSUID | calls.NODEV | calls.NOEXEC
_OF_THE_OTHER_NETWORK = ("devices/virtual/net", "class/net")


def take(warn: Callable[[str], None]) -> tuple[int, Below]:
    """The mount, attached nowhere, and what goes below it, by relative path.

    Where no new one may be mounted (some containers), the host's, with a warning; -1 where the host has no /sys.
    """
    if not os.path.isdir(_AT):
        return -1, []
    attributes = _ATTRIBUTES | (calls.RDONLY if os.statvfs(_AT).f_flag & os.ST_RDONLY else 0)
    try:
        mount = calls.new_file_system("sysfs", "", attributes)
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.EACCES):
            raise
        warn(f"{_AT} shows the host's network interfaces: {error.strerror}")
        return _copy_of(""), []
    return mount, [(path, copy) for path in _mounted_below() if (copy := _copy_of(path)) >= 0]


def fill(mount: int, below: Below) -> None:
    """Put what goes below it into `mount`, which is attached; what has no place there is not shown."""
    for path, copy in below:
        place = _open(path, mount)
        if place >= 0:
            calls.attach(copy, place)
            os.close(place)
        os.close(copy)


def _copy_of(path: str) -> int:
    host = calls.open_plain(_AT)
    place = _open(path, host) if path else host
    try:
        return calls.copy_tree(place) if place >= 0 else -1
    finally:
        for fd in {host, place} - {-1}:
            os.close(fd)


def _open(path: str, folder: int) -> int:
    """-1 for what is not there: also what was mounted below something that is now covered."""
    try:
        return calls.open_plain(path, folder)
    except (FileNotFoundError, NotADirectoryError):
        return -1


def _plain(path: str) -> str:
    """Without the table's quoting. (A codec would be imported by each child.)"""
    for quoted, plain in ("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\"):
        path = path.replace(quoted, plain)
    return path


def _mounted_below() -> list[str]:
    """Paths relative to /sys; what is mounted below one of them comes with it."""
    found: set[str] = set()
    start = f"{_AT}/".encode()
    with open("/proc/self/mountinfo", "rb") as table:
        for line in table:
            at = line.split(b" ", 5)[4]
            if at.startswith(start):
                found.add(_plain(os.fsdecode(at[len(start) :])))
    found.difference_update(_OF_THE_OTHER_NETWORK)
    return [x for x in sorted(found) if not any(x.startswith(f"{above}/") for above in found)]
