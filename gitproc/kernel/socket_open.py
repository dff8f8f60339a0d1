"""Making one socket of a unit: the descriptor and its options (systemd.socket(5)).

What makes the socket what it is must succeed; an option that the host refuses is a warning, as in systemd.
Its node in the file system is `socket_nodes`' business.
"""

from __future__ import annotations

import errno
import fcntl
import os
import socket
from collections.abc import Callable
from typing import Any

from gitproc.errors import HostError
from gitproc.kernel import socket_nodes
from gitproc.units import directives_socket as s
from gitproc.units.addresses import Listen
from gitproc.units.directive import Directive
from gitproc.units.unit import Unit

TYPES = {
    "stream": socket.SOCK_STREAM,
    "datagram": socket.SOCK_DGRAM,
    "seqpacket": socket.SOCK_SEQPACKET,
}
"""Of the kinds of what has an address: the kernel's word."""
_NEW = socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
_ANY_CID = 0xFFFFFFFF
_BACKLOG_MAX = 2**31 - 1
_IP_FREEBIND, _IP_TRANSPARENT, _IP_PKTINFO = 15, 19, 8
_IPV6_FREEBIND, _IPV6_TRANSPARENT, _IPV6_RECVPKTINFO = 78, 75, 49
_SO_TIMESTAMP, _SO_TIMESTAMPNS, _SO_PASSSEC, _NETLINK_PKTINFO = 29, 35, 34, 3
_SO_RCVBUFFORCE, _SO_SNDBUFFORCE = 33, 32

Problems = socket_nodes.Problems


def open_socket(unit: Unit, listen: Listen) -> tuple[int, Problems]:
    """A descriptor that listens (close-on-exec, not blocking), and what could not be set.

    HostError if it cannot be had: the address is taken, say.
    """
    try:
        fd, problems = (
            socket_nodes.fifo(unit, listen.path) if listen.kind == "fifo" else _socket(unit, listen)
        )
    except OSError as error:
        raise HostError(f"cannot listen on {listen.text}: {error.strerror or error}") from error
    try:
        return fd, problems + configure(fd, unit, listen)
    except BaseException:
        os.close(fd)
        raise


def configure(fd: int, unit: Unit, listen: Listen) -> Problems:
    """Set every option that can be set on a socket that is open; what could not be set."""
    problems: Problems = []
    if listen.path:
        problems += socket_nodes.own(unit, listen.path)
    if listen.kind == "fifo":
        if unit[s.PIPE_SIZE]:
            try:
                fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, unit[s.PIPE_SIZE])
            except OSError as error:
                problems.append(f"PipeSize= cannot be set: {error.strerror}")
        return problems
    sock = socket.socket(fileno=os.dup(fd))
    try:
        for directive, apply in _options(unit, listen, sock):
            try:
                apply()
            except OSError as error:
                problems.append(f"{directive}= cannot be set on {listen.text}: {error.strerror}")
        if listen.accepts:
            sock.listen(min(unit[s.BACKLOG], _BACKLOG_MAX))
    finally:
        sock.close()
    return problems


def _socket(unit: Unit, listen: Listen) -> tuple[int, Problems]:
    kind = TYPES.get(listen.kind, socket.SOCK_RAW) | _NEW
    protocol = unit[s.SOCKET_PROTOCOL]
    address: Any
    match listen.family:
        case "unix":
            family, protocol = socket.AF_UNIX, 0
            address = listen.host if listen.path else f"\0{listen.host[1:]}"
        case "inet":
            family, address = socket.AF_INET, (listen.host, listen.port)
        case "vsock":
            family, protocol = socket.AF_VSOCK, 0
            address = (int(listen.host) if listen.host else _ANY_CID, listen.port)
        case "netlink":
            family, protocol, address = socket.AF_NETLINK, listen.number, (0, listen.port)
        case _:
            family = socket.AF_INET6
            scope = socket.if_nametoindex(listen.scope) if listen.scope else 0
            address = (listen.host or "::", listen.port, 0, scope)
    try:
        sock = socket.socket(family, kind, protocol)
    except OSError as error:
        if error.errno != errno.EAFNOSUPPORT or listen.family != "port":
            raise
        family, address = socket.AF_INET, ("0.0.0.0", listen.port)
        sock = socket.socket(family, kind, protocol)
    try:
        _before_bind(sock, family, unit)
        problems: Problems = []
        if listen.path:
            problems = socket_nodes.bind(sock, unit, listen.path)
        else:
            sock.bind(address)
        if listen.accepts:
            sock.listen(min(unit[s.BACKLOG], _BACKLOG_MAX))
        return sock.detach(), problems
    except BaseException:
        sock.close()
        raise


def _before_bind(sock: socket.socket, family: int, unit: Unit) -> None:
    """What must be there before the address is taken."""
    inet6 = family == socket.AF_INET6
    if inet6 and unit[s.BIND_IPV6_ONLY] != "default":
        only = unit[s.BIND_IPV6_ONLY] == "ipv6-only"
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, only)
    if family in (socket.AF_INET, socket.AF_INET6):
        level = socket.IPPROTO_IPV6 if inet6 else socket.IPPROTO_IP
        if unit[s.BIND_TO_DEVICE]:
            device = unit[s.BIND_TO_DEVICE].encode() + b"\0"
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device)
        if unit[s.REUSE_PORT]:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if unit[s.FREE_BIND]:
            sock.setsockopt(level, _IPV6_FREEBIND if inet6 else _IP_FREEBIND, 1)
        if unit[s.TRANSPARENT]:
            sock.setsockopt(level, _IPV6_TRANSPARENT if inet6 else _IP_TRANSPARENT, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)


def _options(
    unit: Unit, listen: Listen, sock: socket.socket
) -> list[tuple[Directive[Any], Callable[[], None]]]:
    """What is to be set by which directive, as far as it concerns a socket of this kind."""
    found: list[tuple[Directive[Any], Callable[[], None]]] = []
    base, tcp = socket.SOL_SOCKET, socket.IPPROTO_TCP

    def add(directive: Directive[Any], level: int, option: int, value: int) -> None:
        found.append((directive, lambda: sock.setsockopt(level, option, value)))

    def flag(directive: Directive[bool], level: int, option: int) -> None:
        if unit.has(directive):
            add(directive, level, option, int(unit[directive]))

    def number(directive: Directive[int | None], level: int, option: int) -> None:
        value = unit[directive]
        if value is not None:
            add(directive, level, option, value)

    inet = listen.family in ("port", "inet", "inet6")
    flag(s.BROADCAST, base, socket.SO_BROADCAST)
    number(s.PRIORITY, base, socket.SO_PRIORITY)
    number(s.MARK, base, socket.SO_MARK)
    for directive, force, plain in (
        (s.RECEIVE_BUFFER, _SO_RCVBUFFORCE, socket.SO_RCVBUF),
        (s.SEND_BUFFER, _SO_SNDBUFFORCE, socket.SO_SNDBUF),
    ):
        if unit[directive]:
            found.append((directive, _buffer(sock, force, plain, unit[directive])))
    if unit[s.TIMESTAMPING] != "off":
        coarse = unit[s.TIMESTAMPING].startswith("us")
        add(s.TIMESTAMPING, base, _SO_TIMESTAMP if coarse else _SO_TIMESTAMPNS, 1)
    if listen.family in ("unix", "netlink"):
        flag(s.PASS_CREDENTIALS, base, socket.SO_PASSCRED)
        flag(s.PASS_SECURITY, base, _SO_PASSSEC)
    if listen.family == "netlink":
        flag(s.PASS_PACKET_INFO, 270, _NETLINK_PKTINFO)
    if not inet:
        return found
    inet6 = sock.family == socket.AF_INET6
    level = socket.IPPROTO_IPV6 if inet6 else socket.IPPROTO_IP
    if listen.kind == "datagram":
        flag(s.PASS_PACKET_INFO, level, _IPV6_RECVPKTINFO if inet6 else _IP_PKTINFO)
    number(s.IP_TOS, socket.IPPROTO_IP, socket.IP_TOS)
    number(s.IP_TTL, level, socket.IPV6_UNICAST_HOPS if inet6 else socket.IP_TTL)
    if listen.kind == "stream":
        flag(s.KEEP_ALIVE, base, socket.SO_KEEPALIVE)
        flag(s.NO_DELAY, tcp, socket.TCP_NODELAY)
        for span, option in (
            (s.KEEP_ALIVE_TIME_SEC, socket.TCP_KEEPIDLE),
            (s.KEEP_ALIVE_INTERVAL_SEC, socket.TCP_KEEPINTVL),
            (s.DEFER_ACCEPT_SEC, socket.TCP_DEFER_ACCEPT),
        ):
            if unit[span]:
                add(span, tcp, option, max(1, int(unit[span])))
        if unit[s.KEEP_ALIVE_PROBES]:
            add(s.KEEP_ALIVE_PROBES, tcp, socket.TCP_KEEPCNT, unit[s.KEEP_ALIVE_PROBES])
        if unit[s.TCP_CONGESTION]:
            name = unit[s.TCP_CONGESTION].encode()
            found.append(
                (
                    s.TCP_CONGESTION,
                    lambda: sock.setsockopt(tcp, socket.TCP_CONGESTION, name),
                )
            )
    return found


def _buffer(sock: socket.socket, force: int, plain: int, size: int) -> Callable[[], None]:
    def apply() -> None:
        try:
            sock.setsockopt(socket.SOL_SOCKET, force, size)
        except PermissionError:
            sock.setsockopt(socket.SOL_SOCKET, plain, size)

    return apply
