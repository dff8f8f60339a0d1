"""Network and IPC namespaces that all processes of an instance share, alive while none of them is.

They are made here, in a thread that ends with it, and held by the shim under the name of their space: a
manager that comes back finds them there.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import socket
import struct
import threading
from collections.abc import Iterable
from typing import TYPE_CHECKING

from gitproc.kernel.launch import LaunchError

if TYPE_CHECKING:
    from gitproc.kernel.process_manager import Held, ProcessManager

_FLAGS = {"net": 0x40000000, "ipc": 0x08000000}
_STEPS = {"net": "NETWORK", "ipc": "NAMESPACE"}
_OWNER = "space/"  # no unit's name holds a slash
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _UP = 0x8913, 0x8914, 1


class SharedNamespaces:
    """All that are held, by space and kind."""

    def __init__(self, manager: ProcessManager) -> None:
        self._manager = manager
        self._held: dict[tuple[str, str], int] = {}

    def of(self, space: str, kind: str) -> int:
        """The descriptor of a space's namespace (`net` or `ipc`), which is made if there is none. LaunchError."""
        fd = self._held.get((space, kind), -1)
        if fd < 0:
            try:
                fd = make(kind)
            except OSError as error:
                raise LaunchError(_STEPS[kind], f"cannot isolate: {error.strerror}") from error
            self._held[space, kind] = fd
            held = self._manager.hold(_OWNER + space, kind, "", [fd])
            held.add_done_callback(lambda future: future.cancelled() or future.exception())
        return fd

    def drop(self, space: str) -> None:
        """Nobody is in the space any more."""
        for kind in _FLAGS:
            fd = self._held.pop((space, kind), -1)
            if fd >= 0:
                os.close(fd)
                self._manager.drop(_OWNER + space, kind)

    def restore(self, rows: Held, fds: list[int]) -> tuple[Held, list[int]]:
        """Take what is ours of all that the shim holds; the rest."""
        others: Held = []
        left: list[int] = []
        for owner, name, note, count in rows:
            given, fds = fds[:count], fds[count:]
            if owner.startswith(_OWNER) and name in _FLAGS and count == 1:
                self._held[owner.removeprefix(_OWNER), name] = given[0]
            else:
                others.append((owner, name, note, count))
                left += given
        return others, left

    def keep(self, spaces: Iterable[str]) -> None:
        """Drop those of other spaces."""
        for space in {space for space, _ in self._held} - set(spaces):
            self.drop(space)


def make(kind: str) -> int:
    """A new namespace with nobody in it; a network's loopback is up. OSError."""
    found: list[int] = []
    problems: list[OSError] = []

    def within() -> None:
        try:
            libc = ctypes.CDLL(None, use_errno=True)
            if libc.unshare(ctypes.c_int(_FLAGS[kind])) < 0:
                code = ctypes.get_errno()
                raise OSError(code, os.strerror(code))
            if kind == "net":
                _loopback_up()
            found.append(os.open(f"/proc/thread-self/ns/{kind}", os.O_RDONLY | os.O_CLOEXEC))
        except OSError as error:
            problems.append(error)

    thread = threading.Thread(target=within)
    thread.start()
    thread.join()
    if not found:
        raise problems[0] if problems else OSError(errno.EIO, os.strerror(errno.EIO))
    return found[0]


def _loopback_up() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        request = bytearray(struct.pack("16sH22x", b"lo", 0))
        fcntl.ioctl(sock, _SIOCGIFFLAGS, request)
        flags = struct.unpack_from("16sH", request)[1]
        struct.pack_into("16sH", request, 0, b"lo", flags | _UP)
        fcntl.ioctl(sock, _SIOCSIFFLAGS, request)
