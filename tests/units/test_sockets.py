"""Addresses and rules of socket units."""

from __future__ import annotations

import pytest

from gitproc.units import directives_socket as s
from gitproc.units.addresses import Listen, parse_fifo, parse_listen, parse_netlink
from gitproc.units.socket_rules import listens_in_order
from tests.units.facts import parametrise, table
from tests.units.trees import tree

SERVICE = "[Service]\nExecStart=/bin/a\n"


@pytest.mark.parametrize(
    ("text", "listen", "shown"),
    [
        ("/run/x", Listen("stream", "unix", "/run/x"), "/run/x"),
        ("/run//y/", Listen("stream", "unix", "/run/y"), "/run/y"),
        ("@abc", Listen("stream", "unix", "@abc"), "@abc"),
        ("80", Listen("stream", "port", "", 80), "[::]:80"),
        ("127.0.0.1:80", Listen("stream", "inet", "127.0.0.1", 80), "127.0.0.1:80"),
        ("[::1]:80", Listen("stream", "inet6", "::1", 80), "[::1]:80"),
        ("[FE80::1%eth0]:2", Listen("stream", "inet6", "fe80::1", 2, "eth0"), "[fe80::1%eth0]:2"),
        ("[fe80::1]:2%eth0", Listen("stream", "inet6", "fe80::1", 2, "eth0"), "[fe80::1%eth0]:2"),
        ("vsock:2:22", Listen("stream", "vsock", "2", 22), "vsock:2:22"),
        ("vsock::22", Listen("stream", "vsock", "", 22), "vsock::22"),
    ],
)
def test_addresses(text, listen, shown):
    assert parse_listen("stream")(text) == (listen,)
    assert listen.text == shown


@pytest.mark.parametrize(
    "text",
    ["", "x", "0", "65536", "-1", "1.2.3.4", "1.2.3:80", "localhost:80", "[::1]", "[::1]:", "[x]:80",
     "::1:80", "[fe80::1%]:2", "[fe80::1]:2%", "[::1%a b]:2", "vsock:1", "vsock:x:1", "@", "/" + "x" * 108,
     "@" + "x" * 108, "relative/path", "1.2.3.4:http"],
)  # fmt: skip
def test_what_is_no_address(text):
    with pytest.raises(ValueError, match=r"."):
        parse_listen("stream")(text)


FAMILIES = {"AF_INET": "inet", "AF_INET6": "inet6", "AF_VSOCK": "vsock"}
LISTEN = [case for case in table("misc")["listen_address"] if "in" in case]
NETLINK = [case for case in table("misc")["listen_address"] if "netlink" in case]


@parametrise(LISTEN)
def test_addresses_as_systemd_reads_them(case):
    if "error" in case:
        with pytest.raises(ValueError, match=r"."):
            parse_listen("stream")(case["in"])
    else:  # a bare port is both: decided where the socket is opened
        [listen] = parse_listen("stream")(case["in"])
        assert listen.family == FAMILIES.get(case["family"], "port")


@parametrise(NETLINK, key="netlink")
def test_netlink_families_as_systemd_reads_them(case):
    if case["valid"]:
        assert parse_netlink(case["netlink"])[0].host == case["netlink"].split()[0]
    else:
        with pytest.raises(ValueError, match=r"."):
            parse_netlink(case["netlink"])


def test_other_things_to_listen_on():
    with pytest.raises(ValueError, match="sequential"):
        parse_listen("seqpacket")("80")
    assert parse_fifo("/run/f")[0].path == "/run/f"
    assert parse_netlink("route 1361")[0] == Listen("netlink", "netlink", "route", 1361)
    assert parse_netlink("kobject-uevent")[0].number == 15
    with pytest.raises(ValueError, match="netlink family"):
        parse_netlink("nothing")


def unit_of(text: str):
    found = tree({"a.socket": text, "a.service": SERVICE})
    return found.units["a.socket"], [str(x) for x in found.diagnostics]


def test_addresses_keep_their_order_and_an_empty_one_drops_all():
    listens = "Stream=/x", "Stream=", "Datagram=1", "Stream=2", "FIFO=/f", "Datagram=3"
    text = "\n".join(("[Socket]", *(f"Listen{x}" for x in listens), ""))
    unit, problems = unit_of(text)
    assert [x.text for x in listens_in_order(unit.values, unit.settings)] == [
        "[::]:1",
        "[::]:2",
        "/f",
        "[::]:3",
    ]
    assert problems == []
    unit, _ = unit_of(
        "[Socket]\nListenStream=/x\nListenDatagram=/d\nListenStream=\nListenStream=/y\n"
    )
    assert [x.text for x in listens_in_order(unit.values, unit.settings)] == ["/y"]


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        ("", "a.socket: error: ListenStream: missing: a socket listens somewhere"),
        ("ListenSpecial=/dev/x", "a.socket:2: error: ListenSpecial: not supported"),
        ("ListenMessageQueue=/q", "a.socket:2: error: ListenMessageQueue: not supported"),
        ("ListenStream=/x\nAccept=yes\nService=a.service", "a.socket:4: error: Service: Accept=yes starts"),
        ("ListenDatagram=/x\nAccept=yes", "a.socket:3: error: Accept: there are no connections"),
        ("ListenStream=80\nSymlinks=/l", "a.socket:3: error: Symlinks: links lead to the one path"),
        ("ListenStream=nowhere", "a.socket:2: error: ListenStream: "),
        ("ListenStream=/x\nFileDescriptorName=a:b", "a.socket:3: error: FileDescriptorName: "),
        ("ListenStream=/x\nSmackLabel=x", "a.socket:3: warning: SmackLabel: not enforced"),
        ("ListenStream=/x\nListenStraem=/y", "did you mean ListenStream=?"),
        ("ListenStream=/x\nProtectSystem=yes", "unknown directive in [Socket]"),
    ],
)  # fmt: skip
def test_what_a_socket_must_not_be(lines, problem):
    _, problems = unit_of(f"[Socket]\n{lines}\n")
    assert any(problem in x for x in problems), problems


def test_its_commands_are_said_in_words_of_its_own():
    unit, problems = unit_of(
        "[Socket]\nListenStream=/x\nExecStartPre=/bin/a\nExecStopPre=/bin/b\nTimeoutSec=5\nUser=nobody\n"
    )
    assert problems == []
    assert unit.values["Service.ExecStop"][0].path == "/bin/b"
    assert unit.values["Service.TimeoutStopSec"] == 5.0
    assert unit[s.ACCEPT] is False
