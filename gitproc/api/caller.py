"""Who is calling: what the kernel says of the peer of a unix socket (SO_PEERCRED, SO_PEERGROUPS), never
what the peer says of itself. Credentials are those of the moment of connect(2)."""

from __future__ import annotations

import errno
import os
import socket
import struct

from gitproc.errors import DaemonError
from gitproc.immutable import immutable

_SO_PEERGROUPS = 59  # Linux 4.13, asm-generic/socket.h; the socket module does not name it


@immutable
class Caller:
    """The process at the other end. `groups` are its supplementary groups and its own."""

    pid: int
    uid: int
    gid: int
    groups: frozenset[int]
    name: str

    @property
    def who(self) -> str:
        """How they are spoken of in logs: `NAME (uid NUMBER)`."""
        return f"{self.name} (uid {self.uid})"


def of_socket(peer: socket.socket) -> Caller:
    """The caller at the other end of a connected unix socket; OSError if the kernel will not tell."""
    raw = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    pid, uid, gid = struct.unpack("iII", raw)
    return Caller(pid, uid, gid, frozenset(_groups(peer)) | {gid}, _name(uid))


def _groups(peer: socket.socket) -> tuple[int, ...]:
    try:
        raw = peer.getsockopt(socket.SOL_SOCKET, _SO_PEERGROUPS, 1024)
    except OSError as error:
        if error.errno == errno.ENOPROTOOPT:
            return ()
        if error.errno != errno.ERANGE:
            raise
        raw = _many_groups(peer)
    return struct.unpack(f"{len(raw) // 4}I", raw)


def _many_groups(peer: socket.socket) -> bytes:
    """More than 256 groups: more than the socket module's getsockopt will carry, so libc is asked itself."""
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    buffer = ctypes.create_string_buffer(4 * 65536)  # NGROUPS_MAX of them
    size = ctypes.c_uint(len(buffer))
    if libc.getsockopt(
        peer.fileno(), socket.SOL_SOCKET, _SO_PEERGROUPS, buffer, ctypes.byref(size)
    ):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return buffer.raw[: size.value]


def _name(uid: int) -> str:
    """The login name for the event log. Only the local file is asked: a directory service may block."""
    if uid == 0:
        return "root"
    try:
        with open("/etc/passwd", encoding="utf-8", errors="replace") as file:  # noqa: PTH123
            for line in file:
                fields = line.split(":", 3)
                if len(fields) == 4 and fields[2] == str(uid):
                    return fields[0]
    except OSError:
        pass
    return f"uid {uid}"


@immutable
class Access:
    """Who may do what: root, the manager's own user and the group `gid` operate; others may read if `readers`."""

    gid: int | None = None
    readers: bool = False
    group: str = "gitproc"

    def operates(self, caller: Caller) -> bool:
        """May this caller change things?"""
        return caller.uid in {0, os.geteuid()} or (
            self.gid is not None and self.gid in caller.groups
        )

    def check(self, caller: Caller, method: str, *, operates: bool) -> None:
        """Raise DaemonError, in words, if the caller may not call the method."""
        if self.operates(caller) or (self.readers and not operates):
            return
        remedy = (
            f"become root or join the group {self.group}" if self.gid is not None else "become root"
        )
        raise DaemonError(f"{caller.name} (uid {caller.uid}) may not {method} here: {remedy}")
