"""Who is at the other end of a connection: as part of an instance's name, and as its environment."""

from __future__ import annotations

import socket
import struct
from ipaddress import IPv6Address

from gitproc.immutable import NamedTuple

_CREDENTIALS = struct.Struct("3i")


class Peer(NamedTuple):
    """`name`: `LOCAL:PORT-REMOTE:PORT`, or `PID-UID` of a local peer; `source`: its address, or user."""

    name: str
    source: str
    variables: tuple[str, ...]


def peer_of(connection: socket.socket) -> Peer:
    """The peer of a connection that has just been accepted (systemd.socket(5), Accept=). OSError if it has gone."""
    match connection.family:
        case socket.AF_INET | socket.AF_INET6:
            here, there = connection.getsockname(), connection.getpeername()
            local, remote = _address(here[0]), _address(there[0])
            name = f"{local}:{here[1]}-{remote}:{there[1]}"
            return Peer(name, remote, (f"REMOTE_ADDR={remote}", f"REMOTE_PORT={there[1]}"))
        case socket.AF_UNIX:
            size = _CREDENTIALS.size
            raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
            pid, uid, _ = _CREDENTIALS.unpack(raw)
            bound = connection.getpeername()
            if isinstance(bound, bytes):
                bound = "@" + bound[1:].decode("utf-8", "surrogateescape") if bound else ""
            told = (f"REMOTE_ADDR={bound}",) if bound and bound.isprintable() else ()
            return Peer(f"{pid}-{uid}", f"user {uid}", told)
        case socket.AF_VSOCK:
            cid, port = connection.getpeername()
            where = (f"REMOTE_ADDR=vsock:{cid}", f"REMOTE_PORT={port}")
            return Peer(f"{cid}:{port}", f"vsock:{cid}", where)
        case _:
            return Peer("", "", ())


def _address(text: str) -> str:
    """Without an interface, and IPv4 as such where it came in by an IPv6 socket."""
    text = text.partition("%")[0]
    if ":" in text:
        mapped = IPv6Address(text).ipv4_mapped
        return str(mapped) if mapped is not None else text
    return text
