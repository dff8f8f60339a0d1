"""Sockets are found again with who listens on them."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

import pytest

from gitproc.kernel import processes
from gitproc.kernel.regained import regain
from gitproc.units.addresses import Listen
from tests.descriptors import descriptors

HOLDER = "import sys; sys.stdin.read()"


def listening(family, kind, address):
    sock = socket.socket(family, kind)
    sock.bind(address)
    if kind != socket.SOCK_DGRAM:
        sock.listen(8)
    return sock


@pytest.fixture
def kept(tmp_path):
    """(what is listened on, sockets, PID, start time of who has them as well, among others of its own)."""
    path, name = str(tmp_path / "s"), f"@gitproc-{os.getpid()}"
    inet, inet6 = socket.AF_INET, socket.AF_INET6
    stream, datagram = socket.SOCK_STREAM, socket.SOCK_DGRAM
    sockets = [
        listening(socket.AF_UNIX, stream, path),
        listening(socket.AF_UNIX, datagram, f"\0{name[1:]}"),
        listening(socket.AF_UNIX, socket.SOCK_SEQPACKET, f"{path}.packets"),
        listening(inet, stream, ("127.0.0.1", 0)),
        listening(inet6, stream, ("::", 0)),
        listening(inet6, datagram, ("::1", 0)),
    ]
    ports = [x.getsockname()[1] for x in sockets[3:]]
    listens = [
        Listen("stream", "unix", path),
        Listen("datagram", "unix", name),
        Listen("seqpacket", "unix", f"{path}.packets"),
        Listen("stream", "inet", "127.0.0.1", ports[0]),
        Listen("stream", "port", port=ports[1]),
        Listen("datagram", "inet6", "::1", ports[2]),
    ]
    other = socket.socket()
    fds = [x.fileno() for x in (other, *sockets)]
    with subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", HOLDER], stdin=subprocess.PIPE, pass_fds=fds
    ) as holder:
        assert holder.stdin is not None
        stat = processes.stat(holder.pid)
        assert stat is not None
        yield listens, sockets, holder.pid, stat.start_time
        holder.stdin.close()
    for sock in (other, *sockets):
        sock.close()


@pytest.mark.root
def test_each_is_the_very_socket_in_order(kept):
    listens, sockets, pid, started = kept
    found = regain(listens[::-1], [(pid, started)])
    assert found is not None
    try:
        assert [os.fstat(fd).st_ino for fd in found] == [
            os.fstat(sock.fileno()).st_ino for sock in sockets[::-1]
        ]
        assert not any(os.get_inheritable(fd) for fd in found)
    finally:
        for fd in found:
            os.close(fd)


@pytest.mark.root
def test_all_or_none_and_only_of_that_process(kept):
    listens, _, pid, started = kept
    before = descriptors()
    assert regain([*listens, Listen("stream", "unix", "/nowhere")], [(pid, started)]) is None
    assert regain([Listen("datagram", *_address(listens[0]))], [(pid, started)]) is None
    assert regain(listens, [(pid, started + 1)]) is None
    assert regain(listens, []) is None
    assert regain([], [(pid, started)]) is None
    assert not descriptors() - before


def _address(listen):
    return listen.family, listen.host, listen.port
