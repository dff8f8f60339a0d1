"""Descriptors that answer when they please: of files in user space (FUSE), whose server may be whoever sent them.

To ask such a file its size, to poll it or to close it waits for its server, and no signal ends that, not even the
end of a process: a manager that had one could not be followed by another, and what the shim keeps is closed in every
child between fork and exec. So what could be one is not taken, and it is told without a question to the server.
"""

from __future__ import annotations

import array
import ctypes
import os
import select
import socket
import stat
import struct
import warnings

from gitproc.shim.protocol import close_all

_AT_EMPTY_PATH, _DONT_SYNC = 0x1000, 0x4000
_STATX = 256  # bytes
#: Of them: mode, and the major and minor number of where it lies.
_FIELDS = struct.Struct("28xH106xII")
_SAFE = b"1"
_FDS_MOST = 1 << 20
_PATIENCE = 10_000  # milliseconds
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


def first_may_hang(sock: socket.socket, room: int) -> bool:
    """Whether a descriptor of the first message in a socket may: asked by a process that may hang over it.

    `room`: bytes for what comes with the message. OSError: there are no processes to be had.
    """
    reading, writing = os.pipe()
    try:
        with warnings.catch_warnings():  # of threads: the child needs none
            warnings.simplefilter("ignore")
            child = os.fork()
        if child == 0:
            try:
                if os.fork() == 0:  # whom nobody of ours waits for
                    _tell(sock, room, writing)
            finally:
                os._exit(0)
        os.close(writing)
        writing = -1
        os.waitpid(child, 0)
        answer = select.poll()
        answer.register(reading, select.POLLIN)
        return not answer.poll(_PATIENCE) or os.read(reading, 1) != _SAFE
    finally:
        close_all([reading, writing])


def _tell(sock: socket.socket, room: int, answer: int) -> None:
    last = 0
    for fd in sorted((sock.fileno(), answer)):
        os.closerange(last, fd)  # what is the manager's is not to live as long as this
        last = fd + 1
    os.closerange(last, _FDS_MOST)
    fds = array.array("i")
    _, ancillary, _, _ = sock.recvmsg(1, room, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    for level, kind, data in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            fds.frombytes(data[: len(data) - len(data) % fds.itemsize])
    safe = fds and not any(map(may_hang, fds))
    os.write(answer, _SAFE if safe else b"0")  # before they are closed


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
