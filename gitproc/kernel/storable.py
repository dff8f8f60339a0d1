"""Descriptors that answer when they please: of files in user space (FUSE), whose server may be whoever sent them.

To ask such a file its size, to poll it or to close it waits for its server, and no signal ends that. Kept by the
shim it would be closed in every child between fork and exec. So what could be one is not kept, and it is told
without a question to the server.
"""

from __future__ import annotations

import ctypes
import os
import stat
import struct
import threading

from gitproc.shim.protocol import close_all

_AT_EMPTY_PATH, _DONT_SYNC = 0x1000, 0x4000
_STATX = 256  # bytes
_FIELDS = struct.Struct(
    "28xH106xII"
)  # of them: mode, and the major and minor number of where it lies
_libc = ctypes.CDLL(None, use_errno=True)


def may_hang(fd: int) -> bool:
    """Whether it may be a file in user space: it says so, or its file system is none that we see or have made."""
    if not _target(fd).startswith("/"):
        return False  # a socket, a pipe, or of the kernel's own
    mode, device = _look(fd)
    if stat.S_ISCHR(mode):
        return False  # the driver answers, wherever its node lies
    kind = _mounted().get(device)
    if kind is None:
        return device != _device_of_memfds()
    return kind in ("fuse", "fuseblk") or kind.startswith("fuse.")


def is_epoll(fd: int) -> bool:
    """Whether it watches other descriptors."""
    return _target(fd) == "anon_inode:[eventpoll]"


def close_aside(fd: int) -> None:
    """Close what may hang in a thread of its own."""
    threading.Thread(target=close_all, args=([fd],), daemon=True).start()


def _target(fd: int) -> str:
    try:
        return os.readlink(f"/proc/self/fd/{fd}")
    except OSError:
        return "/"


def _look(fd: int) -> tuple[int, tuple[int, int]]:
    """A file's mode and where it lies, as the kernel knows them by itself."""
    found = ctypes.create_string_buffer(_STATX)
    if _libc.statx(fd, b"", _AT_EMPTY_PATH | _DONT_SYNC, 0, found):
        return 0, (-1, -1)
    mode, major, minor = _FIELDS.unpack_from(found)
    return mode, (major, minor)


def _device_of_memfds() -> tuple[int, int]:
    fd = os.memfd_create("gitproc")
    try:
        return _look(fd)[1]
    finally:
        os.close(fd)


def _mounted() -> dict[tuple[int, int], str]:
    """The kind of every file system that is mounted here."""
    found = {}
    with open("/proc/self/mountinfo", encoding="utf-8", errors="replace") as file:
        for line in file:
            words, _, rest = line.partition(" - ")
            major, _, minor = words.split()[2].partition(":")
            found[int(major), int(minor)] = rest.split()[0]
    return found
