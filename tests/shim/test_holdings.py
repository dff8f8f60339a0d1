"""Descriptors that the shim keeps: held, listed, dropped, over managers and over a re-exec."""

from __future__ import annotations

import os
import signal
import socket
from pathlib import Path

import pytest

from tests.shim.client import open_fds, until


def listener(path):
    sock = socket.socket(socket.AF_UNIX)
    sock.bind(str(path))
    sock.listen(8)
    return sock


def hold(client, owner, name, note="", fds=()):
    client.request += 1
    client.send("hold", client.request, owner, name, note, fds=tuple(fds))
    return client.expect("held", client.request)


def refused(client, owner, name, note="", fds=()):
    client.request += 1
    client.send("hold", client.request, owner, name, note, fds=tuple(fds))
    return client.expect("refused", client.request)


def drop(client, owner, name):
    client.request += 1
    client.send("drop", client.request, owner, name)
    return client.expect("dropped", client.request)[2]


def holdings(client):
    """All rows and their descriptors, page by page."""
    client.request += 1
    client.send("holdings", client.request)
    rows, pages = [], 0
    while True:
        page = client.expect("holdings", client.request)
        rows += page[4]
        pages += 1
        if page[3]:
            return rows, client.fds.pop(("holdings", client.request), []), pages


def connects(path):
    with socket.socket(socket.AF_UNIX) as sock:
        try:
            sock.connect(str(path))
        except ConnectionRefusedError:
            return False
        return True


def test_a_held_socket_outlives_its_manager_and_its_backlog_waits(shim, tmp_path):
    first = shim.connect()
    assert first.welcome[4]["holds"] is True
    sock = listener(tmp_path / "s")
    hold(first, "a.socket", "listen", "note", [sock.fileno()])
    sock.close()
    with socket.socket(socket.AF_UNIX) as waiting:
        waiting.connect(str(tmp_path / "s"))
        waiting.sendall(b"hello")
        first.close()
        second = shim.connect()
        rows, [fd], _ = holdings(second)
        assert rows == [("a.socket", "listen", "note", 1)]
        with socket.socket(fileno=fd) as again:
            connection, _ = again.accept()
        with connection:
            assert connection.recv(9) == b"hello"
    assert connects(tmp_path / "s")
    assert drop(second, "a.socket", "listen") == 1
    assert not connects(tmp_path / "s")
    assert drop(second, "a.socket", "listen") == 0
    assert holdings(second)[0] == []


def test_owners_are_kept_apart_and_a_name_is_replaced(shim, client, tmp_path):
    assert shim.logger
    before = open_fds(shim.pid)
    pipe = os.pipe()
    hold(client, "a.service", "one", fds=pipe)
    hold(client, "a.service", "two", fds=pipe[:1])
    hold(client, "b.service", "one", fds=pipe[:1])
    until(lambda: open_fds(shim.pid) == before + 4)
    hold(client, "a.service", "one", "new", fds=pipe[1:])
    until(lambda: open_fds(shim.pid) == before + 3)
    rows, fds, _ = holdings(client)
    assert [row[:2] for row in rows] == [
        ("a.service", "two"), ("b.service", "one"), ("a.service", "one")
    ]  # fmt: skip
    assert rows[2][2:] == ("new", 1) and len(fds) == 3
    assert drop(client, "a.service", None) == 2
    assert [row[:2] for row in holdings(client)[0]] == [("b.service", "one")]
    assert drop(client, "b.service", None) == 1
    until(lambda: open_fds(shim.pid) == before)
    for fd in (*fds, *pipe):
        os.close(fd)


def test_a_re_exec_keeps_them(shim, client, tmp_path):
    sock = listener(tmp_path / "s")
    hold(client, "a.socket", "listen", "n", [sock.fileno()])
    sock.close()
    before = open_fds(shim.pid)
    for number in range(3):
        client.send("reexec", 1000 + number)
        client.expect("reexeced", 1000 + number)
    until(lambda: open_fds(shim.pid) == before)
    rows, [fd], _ = holdings(client)
    os.close(fd)
    assert rows == [("a.socket", "listen", "n", 1)]
    assert connects(tmp_path / "s")
    inherited = client.start("a", "/bin/sleep", "1000")[1]
    passed = [str(fd.readlink()) for fd in Path(f"/proc/{inherited}/fd").iterdir()]
    assert not any(x.startswith("socket:") for x in passed)
    os.kill(inherited, signal.SIGKILL)


def test_many_come_in_pages(shim, client):
    pipe = os.pipe()
    for number in range(130):
        hold(client, "a.service", str(number), fds=pipe * 2)
    rows, fds, pages = holdings(client)
    assert [row[1] for row in rows] == [str(x) for x in range(130)]
    assert (len(fds), pages) == (520, 3)
    for fd in (*fds, *pipe):
        os.close(fd)


@pytest.mark.parametrize(
    ("owner", "name", "note", "count"),
    [("a", "n", "", 0), ("", "n", "", 1), ("a", "n" * 5000, "", 1), ("a", "n", "x" * 5000, 1)],
)
def test_what_cannot_be_held_is_refused_and_nothing_leaks(shim, client, owner, name, note, count):
    before = open_fds(shim.pid)
    pipe = os.pipe()
    message = refused(client, owner, name, note, pipe[:1] * count)
    assert message[2] == "HOLD" and message[4]
    assert holdings(client)[0] == []
    until(lambda: open_fds(shim.pid) == before)
    for fd in pipe:
        os.close(fd)


@pytest.mark.parametrize(
    "message", [("hold", 1, "a", "b"), ("hold", 1, 2, "b", ""), ("drop", 1, "a", 3), ("holdings",)]
)
def test_malformed_requests_are_answered(shim, client, message):
    before = open_fds(shim.pid)
    pipe = os.pipe()
    client.send(*message, fds=pipe)
    assert "malformed" in client.expect("error")[1]
    until(lambda: open_fds(shim.pid) == before)  # the answer goes out first
    for fd in pipe:
        os.close(fd)
