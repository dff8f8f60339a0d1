"""Where a socket listens: paths, abstract names, ports, addresses, and other things that have a descriptor.

The grammar is that of ListenStream= and its kin (systemd.socket(5)); nothing is looked up.
"""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import AddressValueError, IPv4Address, IPv6Address

from gitproc.immutable import immutable
from gitproc.pattern import pattern
from gitproc.units.paths import parse_path
from gitproc.units.scalars import parse_unsigned
from gitproc.units.words import split_words

_ABSTRACT_MAX = 107  # bytes of a name or path in sockaddr_un
_SCOPE = pattern(r"[A-Za-z0-9_.:@-]{1,15}")
_NETLINK = {
    "route": 0, "firewall": 3, "inet-diag": 4, "nflog": 5, "xfrm": 6, "selinux": 7, "iscsi": 8,
    "audit": 9, "fib-lookup": 10, "netfilter": 12, "ip6-fw": 13, "dnrtmsg": 14, "kobject-uevent": 15,
    "scsitransport": 18, "generic": 16, "ecryptfs": 19, "rdma": 20,
}  # fmt: skip


@immutable
class Listen:
    """One thing to listen on, as the unit says it.

    `kind`: stream, datagram, seqpacket, fifo or netlink. `family`: unix (`host` is the path, or `@NAME`),
    port (all addresses), inet, inet6 (`scope` the interface), vsock, netlink (`host` its family, `number` that
    of it, `port` the group), fifo.
    """

    kind: str
    family: str
    host: str = ""
    port: int = 0
    scope: str = ""
    number: int = 0

    @property
    def path(self) -> str:
        """The node in the file system, or empty."""
        return self.host if self.host.startswith("/") else ""

    @property
    def text(self) -> str:
        """The address for people, as `list-sockets` shows it."""
        match self.family:
            case "port":
                return f"[::]:{self.port}"
            case "inet":
                return f"{self.host}:{self.port}"
            case "inet6":
                scope = f"%{self.scope}" if self.scope else ""
                return f"[{self.host}{scope}]:{self.port}"
            case "vsock":
                return f"vsock:{self.host}:{self.port}"
            case "netlink":
                return f"{self.host} {self.port}"
            case _:
                return self.host

    @property
    def accepts(self) -> bool:
        """Whether connections come in by it (Accept=yes needs that)."""
        return self.kind in ("stream", "seqpacket")


def parse_listen(kind: str) -> Callable[[str], tuple[Listen, ...]]:
    """A parser of the addresses of one kind of sockets."""

    def parse(text: str) -> tuple[Listen, ...]:
        found = _address(kind, text)
        if kind == "seqpacket" and found.family not in ("unix", "vsock"):
            raise ValueError(f"'{text}': a sequential packet socket has a path or an abstract name")
        return (found,)

    return parse


def _address(kind: str, text: str) -> Listen:
    if text.startswith("/"):
        path = parse_path(text)
        _check_unix(path)
        return Listen(kind, "unix", path)
    if text.startswith("@"):
        _check_unix(text)
        return Listen(kind, "unix", text)
    if text.startswith("vsock:"):
        return _vsock(kind, text)
    if text.startswith("["):
        return _inet6(kind, text)
    host, colon, port = text.rpartition(":")
    if not colon:
        return Listen(kind, "port", "", _port(text))
    try:
        return Listen(kind, "inet", str(IPv4Address(host)), _port(port))
    except AddressValueError:
        raise ValueError(
            f"'{text}' is no address: a path, @NAME, PORT, IPV4:PORT, [IPV6]:PORT or vsock:CID:PORT"
        ) from None


def _check_unix(name: str) -> None:
    if len(name) < 2:
        raise ValueError(f"'{name}' alone names no socket")
    if len(name.encode("utf-8", "surrogateescape")) > _ABSTRACT_MAX:
        raise ValueError(f"the name of a socket has at most {_ABSTRACT_MAX} bytes")


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 65536):
        raise ValueError(f"'{text}' is not a port (1 to 65535)")
    return int(text)


def _inet6(kind: str, text: str) -> Listen:
    inner, bracket, rest = text[1:].partition("]")
    port, percent, outer = rest.partition("%")  # systemd takes the interface behind the port
    host, inside, scope = inner.partition("%")
    scope = scope if inside else outer
    if not bracket or not port.startswith(":") or ((inside or percent) and not scope):
        raise ValueError(f"'{text}' is not [IPV6]:PORT")
    if scope and _SCOPE.fullmatch(scope) is None:
        raise ValueError(f"'{scope}' is not the name of a network interface")
    try:
        address = str(IPv6Address(host))
    except AddressValueError:
        raise ValueError(f"'{host}' is not an IPv6 address") from None
    return Listen(kind, "inet6", address, _port(port[1:]), scope)


def _vsock(kind: str, text: str) -> Listen:
    cid, colon, port = text.removeprefix("vsock:").partition(":")
    if not colon:
        raise ValueError(f"'{text}' is not vsock:CID:PORT")
    if cid:
        parse_unsigned(cid)
    return Listen(kind, "vsock", cid, parse_unsigned(port))


def parse_fifo(text: str) -> tuple[Listen, ...]:
    """ListenFIFO=: an absolute path."""
    return (Listen("fifo", "fifo", parse_path(text)),)


def parse_netlink(text: str) -> tuple[Listen, ...]:
    """ListenNetlink=: a family by its name, and optionally a multicast group."""
    words = split_words(text)
    if not 1 <= len(words) <= 2 or words[0] not in _NETLINK:
        known = ", ".join(_NETLINK)
        raise ValueError(f"'{text}' is not a netlink family ({known}) and a group")
    group = parse_unsigned(words[1]) if len(words) == 2 else 0
    return (Listen("netlink", "netlink", words[0], group, number=_NETLINK[words[0]]),)
