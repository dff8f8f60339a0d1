"""Every option of a socket unit, read back from a real socket (systemd.socket(5))."""

from __future__ import annotations

import os
import socket
import struct
from pathlib import Path

import pytest

from gitproc.errors import HostError
from gitproc.kernel.socket_open import configure, open_socket
from gitproc.kernel.sockets import listens_of
from tests.units.trees import tree

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
root = pytest.mark.root


def unit_of(text):
    """A socket unit of these lines."""
    units = tree(
        {"a.socket": f"[Socket]\n{text}\n", "a.service": "[Service]\nExecStart=/bin/true\n"}
    )
    assert not units.diagnostics
    return units.units["a.socket"]


@pytest.fixture
def opened(tmp_path):
    """Opens the one socket of a unit; what could not be set is no problem of the test's."""
    made = []

    def make(listen, settings=""):
        for _ in range(20):  # somebody may be faster to take the port
            with socket.socket() as free:
                free.bind(("127.0.0.1", 0))
                port = free.getsockname()[1]
            address = listen.format(port=port, path=tmp_path / "s")
            unit = unit_of(f"{address}\n{settings}")
            [found] = listens_of(unit)
            try:
                fd, problems = open_socket(unit, found)
            except HostError as error:
                if "in use" not in str(error):
                    raise
                continue
            made.append(fd)
            assert problems == []
            return unit, found, socket.socket(fileno=os.dup(fd))
        raise AssertionError("no port is free")

    yield make
    for fd in made:
        os.close(fd)


def option(sock, level, number):
    """What the kernel says of an option; TCP_CONGESTION is a word."""
    if (level, number) == (TCP, socket.TCP_CONGESTION):
        return sock.getsockopt(level, number, 16).rstrip(b"\0").decode()
    return sock.getsockopt(level, number)


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
    (TCP4, "BindToDevice=lo", BASE, socket.SO_BINDTODEVICE, None),
]


@pytest.mark.parametrize(("listen", "setting", "level", "number", "value"), OPTIONS)
def test_an_option_is_set_and_is_not_without_its_directive(
    opened, listen, setting, level, number, value
):
    with opened(listen, setting)[2] as sock:
        assert option(sock, level, number) == value
    if setting not in USUAL:
        with opened(listen)[2] as sock:
            assert option(sock, level, number) != value


@root
@pytest.mark.parametrize(("listen", "setting", "level", "number", "value"), ONLY_ROOT)
def test_an_option_that_takes_privileges(opened, listen, setting, level, number, value):
    with opened(listen, setting)[2] as sock:
        if value is None:
            assert sock.getsockopt(level, number, 16).rstrip(b"\0") == b"lo"
        else:
            assert sock.getsockopt(level, number) == value
    with opened(listen)[2] as sock:
        assert not sock.getsockopt(level, number, 16).strip(b"\0")


def test_a_connection_counts_once_it_has_something_to_say(opened):
    """DeferAcceptSec=: the kernel rounds it to its retries, so only that it is there can be said."""
    with opened(TCP4, "DeferAcceptSec=3")[2] as sock:
        assert sock.getsockopt(TCP, socket.TCP_DEFER_ACCEPT) >= 3
    with opened(TCP4)[2] as sock:
        assert sock.getsockopt(TCP, socket.TCP_DEFER_ACCEPT) == 0


@pytest.mark.parametrize("name", ["udplite", "sctp"])
def test_another_protocol_is_asked_for(opened, name):
    listen = UDP4 if name == "udplite" else TCP4
    try:
        with opened(listen, f"SocketProtocol={name}")[2] as sock:
            assert sock.getsockopt(BASE, socket.SO_PROTOCOL) == {"udplite": 136, "sctp": 132}[name]
    except HostError as error:  # the kernel has it not, and says so
        assert "not supported" in str(error)


def test_a_netlink_socket_hears_its_group(opened):
    with opened(NETLINK)[2] as sock:
        assert sock.family == socket.AF_NETLINK
        assert sock.getsockname()[1] == 1
        assert sock.getsockopt(BASE, socket.SO_PROTOCOL) == 15


def test_an_option_that_is_refused_is_said_and_the_socket_stays(opened):
    _, listen, sock = opened(TCP4)
    with sock:
        [said] = configure(
            sock.fileno(), unit_of("ListenStream=127.0.0.1:1\nTCPCongestion=no-such"), listen
        )
        assert said.startswith("TCPCongestion= cannot be set on 127.0.0.1:")
        assert sock.getsockopt(BASE, socket.SO_ACCEPTCONN) == 1


def test_the_backlog_is_what_was_asked_for(opened):
    with opened(TCP4, "Backlog=3")[2] as sock:
        info = sock.getsockopt(TCP, socket.TCP_INFO, 104)
        assert (
            struct.unpack_from("I", info, 28)[0] == 3
        )  # tcpi_sacked: the backlog of one that listens


@root
def test_nodes_have_owner_group_and_mode(opened, tmp_path):
    settings = "SocketUser=nobody\nSocketGroup=daemon\nSocketMode=0640\nDirectoryMode=0710"
    _, listen, sock = opened("ListenStream={path}.d/s", settings)
    with sock:
        node = Path(listen.path)
        info = node.stat()
        assert (info.st_uid, info.st_gid, info.st_mode & 0o777) == (65534, 1, 0o640)
        assert node.parent.stat().st_mode & 0o777 == 0o710
