"""Rows of the directive table for [Socket]: systemd.socket(5).

Only what makes another socket of it replaces a socket that is open (its backlog would be lost); the other
options are set on the one there is, or concern connections to come.
"""

from __future__ import annotations

from typing import Any

from gitproc.units.addresses import Listen, parse_fifo, parse_listen, parse_netlink
from gitproc.units.directive import Change, Directive, Specifiers, Support
from gitproc.units.rows import flag, known, known_flag, one, one_of, several
from gitproc.units.scalars import parse_int, parse_mode, parse_unsigned
from gitproc.units.sizes import parse_size
from gitproc.units.timespan import parse_span
from gitproc.units.user_names import parse_user_name
from gitproc.units.values import parse_paths

_SECTION = "Socket"
_LIVE = Change.LIVE
_TOS = {"low-delay": 0x10, "throughput": 0x08, "reliability": 0x04, "low-cost": 0x02}
_PROTOCOLS = {"udplite": 136, "sctp": 132, "mptcp": 262}


def parse_tos(text: str) -> int:
    """IPTOS=: a name or a number."""
    return _TOS[text] if text in _TOS else parse_int(text, 0, 255)


def parse_ttl(text: str) -> int:
    """IPTTL=: 1 to 255."""
    return parse_int(text, 1, 255)


def parse_protocol(text: str) -> int:
    """SocketProtocol=: the number of a protocol that is not the usual one."""
    if text not in _PROTOCOLS:
        raise ValueError(f"'{text}' is not one of {', '.join(_PROTOCOLS)}")
    return _PROTOCOLS[text]


def parse_fd_name(text: str) -> str:
    """A name for $LISTEN_FDNAMES: printable ASCII without a colon, at most 255 characters."""
    if len(text) > 255 or ":" in text or not text.isascii() or not text.isprintable():
        raise ValueError(f"{text!a} is not a name for descriptors (no colon, printable ASCII)")
    return text


def parse_interface(text: str) -> str:
    """The name of a network interface."""
    if not 0 < len(text.encode()) < 16 or "/" in text or any(x.isspace() for x in text):
        raise ValueError(f"'{text}' is not the name of a network interface")
    return text


def _listen(name: str, kind: str, doc: str) -> Directive[tuple[Listen, ...]]:
    return several(_SECTION, name, parse_listen(kind), doc, specifiers=Specifiers.TEXT)


def _size(name: str, doc: str) -> Directive[int]:
    return one(_SECTION, name, parse_size, 0, doc, _LIVE)


def _span(name: str, default: float, doc: str) -> Directive[float]:
    return one(_SECTION, name, parse_span, default, doc, _LIVE)


def _count(name: str, default: int, doc: str) -> Directive[int]:
    return one(_SECTION, name, parse_unsigned, default, doc, _LIVE)


LISTEN_STREAM = _listen(
    "ListenStream", "stream", "Address of a stream socket: path, @NAME, PORT, IP:PORT, vsock."
)
LISTEN_DATAGRAM = _listen("ListenDatagram", "datagram", "Address of a datagram socket.")
LISTEN_SEQUENTIAL_PACKET = _listen(
    "ListenSequentialPacket", "seqpacket", "Path or @NAME of a sequential packet socket."
)
LISTEN_FIFO = several(
    _SECTION, "ListenFIFO", parse_fifo, "Path of a FIFO.", specifiers=Specifiers.TEXT
)
LISTEN_NETLINK = several(
    _SECTION,
    "ListenNetlink",
    parse_netlink,
    "Netlink family, and a multicast group.",
    specifiers=Specifiers.TEXT,
)
LISTENS: tuple[Directive[tuple[Listen, ...]], ...] = (
    LISTEN_STREAM,
    LISTEN_DATAGRAM,
    LISTEN_SEQUENTIAL_PACKET,
    LISTEN_FIFO,
    LISTEN_NETLINK,
)
SOCKET_PROTOCOL = one(
    _SECTION, "SocketProtocol", parse_protocol, 0, "Protocol: udplite, sctp or mptcp."
)
BIND_IPV6_ONLY = one(
    _SECTION,
    "BindIPv6Only",
    one_of("default", "both", "ipv6-only", off="default"),
    "default",
    "Whether an IPv6 socket takes IPv4 too: default (of the host), both, ipv6-only.",
)
BACKLOG = _count("Backlog", 2**32 - 1, "Connections that may wait (as many as the host allows).")
BIND_TO_DEVICE = one(
    _SECTION, "BindToDevice", parse_interface, "", "Network interface to listen on."
)
SOCKET_USER = one(
    _SECTION, "SocketUser", parse_user_name, "", "Owner of socket nodes.", _LIVE, Specifiers.TEXT
)
SOCKET_GROUP = one(
    _SECTION, "SocketGroup", parse_user_name, "", "Group of socket nodes.", _LIVE, Specifiers.TEXT
)
SOCKET_MODE = one(
    _SECTION, "SocketMode", parse_mode, 0o666, "Mode of socket nodes and FIFOs.", _LIVE
)
DIRECTORY_MODE = one(
    _SECTION, "DirectoryMode", parse_mode, 0o755, "Mode of folders made for them.", _LIVE
)
ACCEPT = flag(_SECTION, "Accept", False, "Start one instance of the service for each connection.")
FLUSH_PENDING = flag(
    _SECTION, "FlushPending", False, "Drop what waits when the service has ended.", _LIVE
)
MAX_CONNECTIONS = _count("MaxConnections", 64, "Most connections at once with Accept=yes (64).")
MAX_CONNECTIONS_PER_SOURCE = _count(
    "MaxConnectionsPerSource", 0, "The same for one address, or user of a local socket; 0: any."
)
KEEP_ALIVE = flag(_SECTION, "KeepAlive", False, "Test idle TCP connections.", _LIVE)
KEEP_ALIVE_TIME_SEC = _span("KeepAliveTimeSec", 0.0, "Idle time before the first test (2 h).")
KEEP_ALIVE_INTERVAL_SEC = _span("KeepAliveIntervalSec", 0.0, "Time between tests (75 s).")
KEEP_ALIVE_PROBES = _count("KeepAliveProbes", 0, "Tests without an answer that end it (9).")
NO_DELAY = flag(_SECTION, "NoDelay", False, "Send small TCP packets at once.", _LIVE)
PRIORITY: Directive[int | None] = one(
    _SECTION, "Priority", parse_int, None, "Priority of packets sent.", _LIVE
)
DEFER_ACCEPT_SEC = _span("DeferAcceptSec", 0.0, "Wait for data before a connection counts.")
RECEIVE_BUFFER = _size("ReceiveBuffer", "Size of the receive buffer in bytes.")
SEND_BUFFER = _size("SendBuffer", "Size of the send buffer in bytes.")
IP_TOS: Directive[int | None] = one(_SECTION, "IPTOS", parse_tos, None, "Type of service.", _LIVE)
IP_TTL: Directive[int | None] = one(
    _SECTION, "IPTTL", parse_ttl, None, "Time to live of packets.", _LIVE
)
MARK: Directive[int | None] = one(
    _SECTION, "Mark", parse_unsigned, None, "Firewall mark of packets.", _LIVE
)
REUSE_PORT = flag(_SECTION, "ReusePort", False, "Let others listen on the same port.")
FREE_BIND = flag(_SECTION, "FreeBind", False, "Listen on addresses that are not there yet.")
TRANSPARENT = flag(_SECTION, "Transparent", False, "Transparent proxying.")
BROADCAST = flag(_SECTION, "Broadcast", False, "Allow broadcasts.", _LIVE)
PASS_CREDENTIALS = flag(_SECTION, "PassCredentials", False, "SO_PASSCRED.", _LIVE)
PASS_SECURITY = flag(_SECTION, "PassSecurity", False, "SO_PASSSEC.", _LIVE)
PASS_PACKET_INFO = flag(_SECTION, "PassPacketInfo", False, "IP_PKTINFO and its kin.", _LIVE)
TIMESTAMPING = one(
    _SECTION,
    "Timestamping",
    one_of("off", "us", "usec", "ns", "nsec", off="off"),
    "off",
    "Time stamps on what comes in: off, us, ns.",
    _LIVE,
)
TCP_CONGESTION = one(_SECTION, "TCPCongestion", str, "", "TCP congestion algorithm.", _LIVE)
PIPE_SIZE = _size("PipeSize", "Size of a FIFO's buffer in bytes.")
REMOVE_ON_STOP = flag(
    _SECTION, "RemoveOnStop", False, "Remove nodes and links when the socket is stopped.", _LIVE
)
SYMLINKS = several(
    _SECTION, "Symlinks", parse_paths, "Links to make to the only node in the file system."
)
FILE_DESCRIPTOR_NAME = one(
    _SECTION,
    "FileDescriptorName",
    parse_fd_name,
    "",
    "Name in $LISTEN_FDNAMES (the unit's own; connection with Accept=yes).",
    _LIVE,
    Specifiers.TEXT,
)
TRIGGER_LIMIT_INTERVAL_SEC = _span(
    "TriggerLimitIntervalSec", 2.0, "Time in which activations are counted (2 s)."
)
TRIGGER_LIMIT_BURST: Directive[int | None] = one(
    _SECTION,
    "TriggerLimitBurst",
    parse_unsigned,
    None,
    "Activations in it that make the socket fail (20; with Accept=yes 200); 0: any.",
    _LIVE,
)
POLL_LIMIT_INTERVAL_SEC = _span("PollLimitIntervalSec", 2.0, "Time in which wake-ups are counted.")
POLL_LIMIT_BURST: Directive[int | None] = one(
    _SECTION,
    "PollLimitBurst",
    parse_unsigned,
    None,
    "Wake-ups in it after which the socket is left alone for the rest (15; Accept=yes 150); 0: any.",
    _LIVE,
)

_REFUSED = {
    "ListenSpecial": "Special files to open: only sockets, FIFOs and netlink are.",
    "ListenMessageQueue": "POSIX message queue: only sockets, FIFOs and netlink are held.",
    "ListenUSBFunction": "USB function: only sockets, FIFOs and netlink are held.",
}
_UNENFORCED = {
    "SmackLabel": "SMACK label of the node: not set.",
    "SmackLabelIPIn": "SMACK label of what comes in: not set.",
    "SmackLabelIPOut": "SMACK label of what goes out: not set.",
}
_NO_EFFECT = {
    "MessageQueueMaxMessages": "For message queues, which are refused.",
    "MessageQueueMessageSize": "For message queues, which are refused.",
}

ROWS: tuple[Directive[Any], ...] = (
    *LISTENS,
    SOCKET_PROTOCOL,
    BIND_IPV6_ONLY,
    BACKLOG,
    BIND_TO_DEVICE,
    SOCKET_USER,
    SOCKET_GROUP,
    SOCKET_MODE,
    DIRECTORY_MODE,
    ACCEPT,
    FLUSH_PENDING,
    MAX_CONNECTIONS,
    MAX_CONNECTIONS_PER_SOURCE,
    KEEP_ALIVE,
    KEEP_ALIVE_TIME_SEC,
    KEEP_ALIVE_INTERVAL_SEC,
    KEEP_ALIVE_PROBES,
    NO_DELAY,
    PRIORITY,
    DEFER_ACCEPT_SEC,
    RECEIVE_BUFFER,
    SEND_BUFFER,
    IP_TOS,
    IP_TTL,
    MARK,
    REUSE_PORT,
    FREE_BIND,
    TRANSPARENT,
    BROADCAST,
    PASS_CREDENTIALS,
    PASS_SECURITY,
    PASS_PACKET_INFO,
    TIMESTAMPING,
    TCP_CONGESTION,
    PIPE_SIZE,
    REMOVE_ON_STOP,
    SYMLINKS,
    FILE_DESCRIPTOR_NAME,
    TRIGGER_LIMIT_INTERVAL_SEC,
    TRIGGER_LIMIT_BURST,
    POLL_LIMIT_INTERVAL_SEC,
    POLL_LIMIT_BURST,
    *(known(_SECTION, n, Support.REFUSED, d) for n, d in _REFUSED.items()),
    *(known(_SECTION, n, Support.UNENFORCED, d) for n, d in _UNENFORCED.items()),
    known_flag(
        _SECTION,
        "SELinuxContextFromNet",
        Support.UNENFORCED,
        "SELinux context from the peer: not set.",
    ),
    known_flag(_SECTION, "PassPIDFD", Support.UNENFORCED, "SO_PASSPIDFD: not set."),
    known_flag(
        _SECTION,
        "PassFileDescriptorsToExec",
        Support.UNENFORCED,
        "Pass the sockets to ExecStartPost= and its kin: not done.",
    ),
    known_flag(
        _SECTION, "DeferTrigger", Support.UNENFORCED, "Wait for conflicting units: not done."
    ),
    known_flag(_SECTION, "Writable", Support.NO_EFFECT, "For special files, which are refused."),
    *(known(_SECTION, n, Support.NO_EFFECT, d) for n, d in _NO_EFFECT.items()),
)
