"""Inside the machine: Update=overlap on a pure v2 tree under systemd, with clients that notice nothing."""

import re
import socket
import threading
import time
from pathlib import Path

import pytest

from tests.vm.inside.machine import SCOPE, asked, commit, group, pid, run, up, wait_for

SERVER = Path("/usr/local/lib/overlap-server.py")
ADDRESS = "/run/overlap.sock"
DEPLOYS = 10
PROGRAM = """
import os, select, signal, socket, sys
ended = []
signal.signal(signal.SIGTERM, lambda *_: ended.append(1))
listener = socket.socket(fileno=3)
listener.setblocking(False)
with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
    notify.sendto(b"READY=1", os.environ["NOTIFY_SOCKET"])
while not ended:
    if not select.select([listener], [], [], 0.05)[0]:
        continue
    try:
        connection, _ = listener.accept()
    except BlockingIOError:
        continue
    with connection:
        connection.setblocking(True)
        connection.recv(100)
        connection.sendall(sys.argv[1].encode())
"""


def service(number):
    return (
        f"[Service]\nType=notify\nExecStart=/usr/bin/python3 -I -S {SERVER} {number}\n"
        "MemoryMax=64M\nTasksMax=9\n[X-GitProc]\nUpdate=overlap\n"
    )


def ask():
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(60)
        sock.connect(ADDRESS)
        sock.sendall(b"x")
        return int(sock.recv(100))


class Client(threading.Thread):
    """Connects again and again; every answer, every error."""

    def __init__(self):
        super().__init__()
        self.answers, self.errors, self.over = [], [], False

    def run(self):
        while not self.over:
            try:
                self.answers.append(ask())
            except Exception as error:
                self.errors.append(error)
            time.sleep(0.01)


@pytest.fixture
def client():
    up()
    SERVER.write_text(PROGRAM)
    commit({"web.socket": f"[Socket]\nListenStream={ADDRESS}\n", "web.service": service(0)})
    wait_for(lambda: asked("web", "SubState") == "running", 60)
    client = Client()
    client.start()
    yield client
    client.over = True
    client.join(70)
    commit({"web.socket": None, "web.service": None})
    wait_for(lambda: asked("web", "LoadState") != "loaded", 60)
    SERVER.unlink()


def serves(number):
    """The main process of this version, once it serves alone."""
    if re.search(r"(Updating|Draining): ", run("gitproc", "status", "web", check=False)):
        return None
    process = pid("web")
    try:
        words = Path(f"/proc/{process}/cmdline").read_text().split("\0")
    except OSError:
        return None  # it has given way meanwhile
    return process if words[-2:-1] == [str(number)] else None


@pytest.mark.timeout(400)
def test_no_client_notices_updates_nor_what_happens_to_the_manager(client):
    seats = []
    for number in range(1, DEPLOYS + 1):
        commit({"web.service": service(number)})
        if number == 4:
            run("systemctl", "restart", "gitproc")
        elif number == 7:
            run("systemctl", "kill", "--signal=KILL", "--kill-who=main", "gitproc")
        process = wait_for(lambda n=number: serves(n), 60)
        seat = group(process)
        seats.append(seat.name)
        assert f"/{SCOPE}/" in str(seat)
        assert (seat / "memory.max").read_text() == f"{64 << 20}\n"
        assert (seat / "pids.max").read_text() == "9\n"
        other = seat.with_name("web" if seat.name == "web~" else "web~")
        wait_for(lambda other=other: not other.exists())
    assert seats == ["web~", "web"] * (DEPLOYS // 2)
    wait_for(lambda: client.answers[-1] == DEPLOYS)
    assert client.errors == []
    assert list(dict.fromkeys(client.answers)) == sorted(set(client.answers))
