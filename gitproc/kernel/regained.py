"""Sockets that nobody holds any more, taken back from the services that were given them.

A service that outlives its shim, or the record of its socket, listens on. A new socket at its address would
be refused (a port), or have clients wait for somebody who never looks (a path).
"""

from __future__ import annotations

import ctypes
import os
import socket
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from gitproc.kernel import processes
from gitproc.kernel.socket_open import TYPES
from gitproc.units.addresses import Listen

_PIDFD_GETFD = 438  # on every architecture
_libc = ctypes.CDLL(None, use_errno=True)


def regain(listens: Sequence[Listen], holders: Iterable[tuple[int, int]]) -> list[int] | None:
    """A descriptor of each socket, in order, from these processes (PID, start time); None unless all are found."""
    found: dict[int, int] = {}
    for pid, started in holders:
        with suppress(OSError):
            pidfd = os.pidfd_open(pid)
            try:
                if processes.is_alive(pid, started):
                    _look(listens, pid, pidfd, found)
            finally:
                os.close(pidfd)
    if len(found) == len(listens) > 0:
        return [found[number] for number in range(len(listens))]
    for fd in found.values():
        os.close(fd)
    return None


def _look(listens: Sequence[Listen], pid: int, pidfd: int, found: dict[int, int]) -> None:
    for number in sorted(int(x.name) for x in Path(f"/proc/{pid}/fd").iterdir()):
        with suppress(OSError):
            if not os.readlink(f"/proc/{pid}/fd/{number}").startswith("socket:"):
                continue
            fd = _libc.syscall(_PIDFD_GETFD, pidfd, number, 0)
            if fd < 0:
                continue
            with socket.socket(fileno=fd) as sock:  # the lowest number is what it was given
                for place, listen in enumerate(listens):
                    if place not in found and _is(sock, listen):
                        found[place] = os.dup(fd)
                        break


def _is(sock: socket.socket, listen: Listen) -> bool:
    """Whether the socket is of this kind and address, and waits for others as such a one does."""
    if listen.kind not in TYPES or sock.type != TYPES[listen.kind]:
        return False
    if bool(sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)) != listen.accepts:
        return False
    at: Any = sock.getsockname()
    match listen.family:
        case "unix":
            return bool(at == (listen.host if listen.path else f"\0{listen.host[1:]}".encode()))
        case "port":
            anywhere = {socket.AF_INET6: "::", socket.AF_INET: "0.0.0.0"}.get(sock.family)
            return (at[0], at[1]) == (anywhere, listen.port)
        case "inet":
            return sock.family == socket.AF_INET and (at[0], at[1]) == (listen.host, listen.port)
        case "inet6":
            scope = socket.if_nametoindex(listen.scope) if listen.scope else 0
            wanted = (listen.host or "::", listen.port, scope)
            found = sock.family == socket.AF_INET6 and (at[0].partition("%")[0], at[1], at[3])
            return found == wanted
        case _:
            return False
