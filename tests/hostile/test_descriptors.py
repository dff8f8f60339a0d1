"""A manager that has no descriptor left for one more connection: it waits, and does not go round in circles."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.harness import DEADLINE, Machine, alive, service, shell, until

pytestmark = pytest.mark.root

LISTEN = "[Install]\nWantedBy=sockets.target\n"
ECHO = "[Service]\nExecStart=/bin/cat\nStandardInput=socket\nStandardOutput=socket\n"


@contextlib.contextmanager
def without_descriptors(pid: int) -> Iterator[None]:
    """No descriptor can be opened by the process."""
    soft, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (3, hard))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (soft, hard))


def complaints(machine: Machine, name: str) -> int:
    text = (machine.logs / "daemon.log").read_text()
    assert "Exception in callback" not in text
    return sum("no connection can be accepted" in x and f" {name}:" in x for x in text.splitlines())


def test_nobody_is_left_running_as_nobodys(machine):
    told = machine.root / "other"
    told.touch()
    both = shell(f"sleep 1000 & echo $! > {told}; exec sleep 2000")
    machine.deploy({"web.service": service(both, "TimeoutStopSec=1")})
    other = int(until(told.read_text, "it has begun"))
    main = machine.unit("web")["main_pid"]
    log = machine.logs / "daemon.log"
    with without_descriptors(machine.manager):
        os.kill(main, signal.SIGKILL)
        until(lambda: "was killed by signal" in log.read_text(), "its end is taken in")
    machine.wait("web", "failed")
    until(lambda: not alive(other), "the other process is ended, too")


def connected(path: Path, kind: int) -> socket.socket:
    found = socket.socket(socket.AF_UNIX, kind)
    found.settimeout(DEADLINE)
    found.connect(str(path))
    return found


def test_connections_wait_until_there_is_one(machine):
    path = machine.root / "run/echo"
    listen = f"[Socket]\nListenStream={path}\nAccept=yes\nRemoveOnStop=yes\n{LISTEN}"
    machine.deploy({"echo.socket": listen, "echo@.service": ECHO})
    door = machine.root / "run/gitproc/receive-pack.sock"
    with contextlib.ExitStack() as stack:
        with without_descriptors(machine.manager):
            echo = stack.enter_context(connected(path, socket.SOCK_STREAM))
            push = stack.enter_context(connected(door, socket.SOCK_SEQPACKET))
            for name in ("echo.socket", "receive-pack.sock"):
                until(lambda name=name: complaints(machine, name), f"{name} is crowded")
        echo.sendall(b"hello")
        assert echo.recv(5) == b"hello"
        push.sendall(b"{}")
        assert b"that is no push" in push.recv(4096)
    assert complaints(machine, "echo.socket") == complaints(machine, "receive-pack.sock") == 1
