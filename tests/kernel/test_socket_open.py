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
from tests.e2e.socket_table import (
    BASE,
    NETLINK,
    ONLY_ROOT,
    OPTIONS,
    TCP,
    TCP4,
    UDP4,
    USUAL,
)
from tests.units.trees import tree

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
        if isinstance(value, str):
            assert sock.getsockopt(level, number, 16).rstrip(b"\0").decode() == value
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
