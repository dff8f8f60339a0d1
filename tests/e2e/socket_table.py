"""Options of a socket unit and what the kernel says of the socket then (systemd.socket(5))."""

from __future__ import annotations

import socket

BASE, TCP, IP, IP6 = socket.SOL_SOCKET, socket.IPPROTO_TCP, socket.IPPROTO_IP, socket.IPPROTO_IPV6
TCP4, UDP4, TCP6 = (
    "ListenStream=127.0.0.1:{port}",
    "ListenDatagram=127.0.0.1:{port}",
    "ListenStream=[::1]:{port}",
)
UNIX, EITHER, NETLINK = (
    "ListenStream={path}",
    "ListenStream={port}",
    "ListenNetlink=kobject-uevent 1",
)
BUFFER = 100_000  # bytes; the kernel gives twice what is asked for
USUAL = ("BindIPv6Only=both", "TCPCongestion=reno")  # what a host may do anyway

#: An address, a line of [Socket], and the option of the socket that it sets, with its value.
OPTIONS = [
    (TCP4, "KeepAlive=yes", BASE, socket.SO_KEEPALIVE, 1),
    (TCP4, "KeepAliveTimeSec=77", TCP, socket.TCP_KEEPIDLE, 77),
    (TCP4, "KeepAliveIntervalSec=33", TCP, socket.TCP_KEEPINTVL, 33),
    (TCP4, "KeepAliveProbes=5", TCP, socket.TCP_KEEPCNT, 5),
    (TCP4, "NoDelay=yes", TCP, socket.TCP_NODELAY, 1),
    (TCP4, "TCPCongestion=reno", TCP, socket.TCP_CONGESTION, "reno"),
    (TCP4, "IPTOS=low-delay", IP, socket.IP_TOS, 0x10),
    (TCP4, "IPTTL=42", IP, socket.IP_TTL, 42),
    (TCP6, "IPTTL=42", IP6, socket.IPV6_UNICAST_HOPS, 42),
    (TCP4, "Priority=3", BASE, socket.SO_PRIORITY, 3),
    (TCP4, "ReusePort=yes", BASE, socket.SO_REUSEPORT, 1),
    (TCP4, "FreeBind=yes", IP, 15, 1),
    (TCP6, "FreeBind=yes", IP6, 78, 1),
    (UDP4, "Broadcast=yes", BASE, socket.SO_BROADCAST, 1),
    (UDP4, "PassPacketInfo=yes", IP, 8, 1),
    (UDP4, "Timestamping=us", BASE, 29, 1),
    (UDP4, "Timestamping=ns", BASE, 35, 1),
    (UNIX, "PassCredentials=yes", BASE, socket.SO_PASSCRED, 1),
    (UNIX, "PassSecurity=yes", BASE, 34, 1),
    (EITHER, "BindIPv6Only=ipv6-only", IP6, socket.IPV6_V6ONLY, 1),
    (EITHER, "BindIPv6Only=both", IP6, socket.IPV6_V6ONLY, 0),
    (TCP4, f"ReceiveBuffer={BUFFER}", BASE, socket.SO_RCVBUF, 2 * BUFFER),
    (TCP4, f"SendBuffer={BUFFER}", BASE, socket.SO_SNDBUF, 2 * BUFFER),
    (NETLINK, "PassCredentials=yes", BASE, socket.SO_PASSCRED, 1),
]
ONLY_ROOT = [
    (TCP4, "Mark=9", BASE, socket.SO_MARK, 9),
    (TCP4, "Transparent=yes", IP, 19, 1),
    (TCP6, "Transparent=yes", IP6, 75, 1),
    (TCP4, "BindToDevice=lo", BASE, socket.SO_BINDTODEVICE, "lo"),
]
