"""Update=overlap on a real machine: two processes on one socket, and clients that notice nothing."""

from __future__ import annotations

import itertools
import os
import signal
import socket
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

from tests.e2e.harness import DEADLINE, Machine, alive, until

pytestmark = pytest.mark.root

# Answers with its pid and its name; takes its time to come up and to go (seconds, or until there is a file), and
# answers whom it has accepted.
SERVER = """
import os, select, signal, socket, sys, time
name, up, down = sys.argv[1:]
ended = []
def rest(how):
    if not how.startswith("/"):
        time.sleep(float(how))
    else:
        while not os.path.exists(how): time.sleep(0.02)
signal.signal(signal.SIGTERM, lambda *_: ended.append(1))
print("begins", name, flush=True)
rest(up)
if name == "broken":
    sys.exit(3)
if name == "mute":
    time.sleep(1000)
listener = socket.socket(fileno=3)
listener.setblocking(False)
with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
    notify.sendto(b"READY=1", os.environ["NOTIFY_SOCKET"])
while not ended:
    if not select.select([listener], [], [], 0.02)[0]:
        continue
    try:
        connection, _ = listener.accept()
    except BlockingIOError:
        continue
    with connection:
        connection.setblocking(True)
        connection.recv(100)
        connection.sendall(f"{os.getpid()} {name}".encode())
rest(down)
print("ends", name, flush=True)
"""
Rest = float | Path
NUMBERS = itertools.count()
SOCKET = "[Socket]\nListenStream={}\n[Install]\nWantedBy=sockets.target\n"


@pytest.fixture(scope="module")
def machine():
    with Machine(config='settle_seconds = 0.1\n[deploy]\non_failure = "keep"\n') as machine:
        (machine.root / "server.py").write_text(SERVER)
        yield machine.start()


class Site:
    """One service on one socket, and how it is changed and asked."""

    def __init__(self, machine: Machine, name: str) -> None:
        self.machine, self.name, self.path = machine, name, machine.root / f"{name}.sock"

    def gate(self, word: str) -> Path:
        """A file that its program waits for."""
        return self.machine.root / f"{self.name}.{word}"

    def unit(self, version: str, up: Rest = 0.0, down: Rest = 0.0, own: str = "", more: str = ""):
        command = f"/usr/bin/python3 -I -S {self.machine.root}/server.py {version} {up} {down}"
        return (
            f"[Service]\nType=notify\nExecStart={command}\nNonBlocking=yes\n{more}\n"
            f"[X-GitProc]\nUpdate=overlap\n{own}\n[Install]\nWantedBy=multi-user.target\n"
        )

    def files(self, *args, **settings) -> dict[str, str]:
        unit = self.unit(*args, **settings)
        return {f"{self.name}.socket": SOCKET.format(self.path), f"{self.name}.service": unit}

    def deploy(self, *args, verdict: str = "good", **settings) -> str:
        return self.machine.deploy(self.files(*args, **settings), verdict)

    def commit(self, *args, **settings) -> str:
        return self.machine.commit(self.files(*args, **settings))

    def ask(self) -> tuple[int, str]:
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(DEADLINE)
            sock.connect(str(self.path))
            sock.sendall(b"x")
            pid, version = sock.recv(100).decode().split()
            return int(pid), version

    @property
    def status(self) -> dict:
        return self.machine.unit(self.name)

    @property
    def second(self) -> dict:
        return self.status.get("second") or {}

    def role(self, role: str) -> dict:
        return until(lambda: self.second if self.second.get("role") == role else None, role)

    def gone(self) -> None:
        until(lambda: not self.second, "one instance is left")

    def groups(self) -> set[str]:
        names = {self.name, f"{self.name}~"}
        return {x.name for x in self.machine.groups() if x.name in names}


@pytest.fixture
def site(machine):
    site = Site(machine, f"site{next(NUMBERS)}")
    yield site
    machine.commit({f"{site.name}.socket": None, f"{site.name}.service": None})
    until(lambda: not site.groups(), "all of it is gone")


class Clients:
    """Two clients that connect as fast as they can; every answer, every error, the longest wait."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.answers: list[str] = []
        self.errors: list[Exception] = []
        self.waits: list[float] = []
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._hammer) for _ in range(2)]

    def _hammer(self) -> None:
        while not self._over.is_set():
            began = time.monotonic()
            try:
                self.answers.append(self.site.ask()[1])
            except Exception as error:
                self.errors.append(error)
            self.waits.append(time.monotonic() - began)
            time.sleep(0.002)

    def __enter__(self) -> Clients:
        for thread in self._threads:
            thread.start()
        until(lambda: self.answers, "it answers")
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(DEADLINE)


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_no_client_notices_a_hundred_updates(machine, site):
    site.deploy("v0")
    with Clients(site) as clients:
        for number in range(1, 101):
            site.deploy(version := f"v{number}", 0.1)
            until(lambda it=version: it in clients.answers[-100:], f"{version} answers")
    assert clients.errors == []
    assert len(set(clients.answers)) == 101
    swaps = machine.events("unit.swapped", f"{site.name}.service")
    assert len(swaps) == 100
    print(f"{len(clients.answers)} answers, longest wait {max(clients.waits) * 1000:.0f} ms")


def test_the_old_one_serves_until_the_new_one_is_ready_and_then_drains(machine, site):
    up, down = site.gate("up"), site.gate("down")
    site.deploy("v1", 0, down)
    old, version = site.ask()
    assert version == "v1"
    with Clients(site) as clients:
        sha = site.commit("v2", up)
        new = site.role("updating")["pid"] or until(lambda: site.second.get("pid"))
        assert site.status["main_pid"] == old
        assert site.groups() == {site.name, f"{site.name}~"}
        count = len(clients.answers)
        until(lambda: len(clients.answers) > count + 10, "the old one serves")
        assert set(clients.answers) == {"v1"}
        up.touch()
        assert site.role("draining")["pid"] == old
        assert site.status["main_pid"] == new
        assert alive(old) and alive(new)
        assert f"Draining: PID {old}" in machine.gitproc("status", site.name).out
        listed = machine.gitproc("list-units").out
        assert "~" not in listed
        until(lambda: "v2" in clients.answers, "the new one serves")
        down.touch()
        site.gone()
        machine.verdict(sha)
    assert clients.errors == []
    assert site.groups() == {f"{site.name}~"}
    words = [
        x.rpartition("out: ")[2].split(" ", 1)[-1] for x in machine.log(site.name).splitlines()
    ]
    assert [x for x in words if "v" in x]  # both wrote into one log
    assert machine.log(site.name).count("begins") == 2
    kinds = [x["kind"] for x in machine.events(unit=f"{site.name}.service")]
    order = ["update-started", "update-ready", "swapped", "draining", "drained"]
    assert [x for x in kinds if x.removeprefix("unit.") in order] == [f"unit.{x}" for x in order]
    show = machine.gitproc("show", "-p", "MainPID", site.name).out
    assert show.strip() == f"MainPID={new}"


@pytest.mark.parametrize("how", ["broken", "mute", "sick"])
def test_a_bad_new_one_leaves_the_old_one(machine, site, how):
    site.deploy("v1")
    pid, _ = site.ask()
    checks = "HealthCheckExec=/bin/false\nHealthCheckInterval=500ms\nHealthCheckRetries=1\n"
    own = checks if how == "sick" else ""
    more = "TimeoutStartSec=1\nTimeoutStopSec=1" if how == "mute" else ""
    with Clients(site) as clients:
        site.deploy(how, verdict="failed", own=own, more=more)
        assert site.status["main_pid"] == pid
        assert site.second["role"] == "failed"
        assert "Update: failed: " in machine.gitproc("status", site.name).out
    assert clients.errors == []
    assert set(clients.answers) - {"sick"} == {"v1"}
    assert machine.events("unit.update-failed", f"{site.name}.service")
    site.deploy("v3")
    site.gone()
    assert site.ask()[1] == "v3"
    assert not alive(pid)


def serves(site: Site) -> Site:
    """Its first version is there, and will take its time to go."""
    site.deploy("v1", 0, site.gate("down"))
    return site


def comes_to(site: Site, role: str) -> None:
    """An update that stays where it is, with two processes, until `goes_on`."""
    site.commit("v2", site.gate("up"), site.gate("down"))
    if role == "draining":
        site.gate("up").touch()
    site.role(role)


def goes_on(site: Site) -> None:
    """It is let go on, and comes to a good end."""
    site.gate("up").touch()
    site.gate("down").touch()
    site.gone()
    site.machine.verdict(site.machine.git("rev-parse", "HEAD"))


@pytest.mark.parametrize("role", ["updating", "draining"])
def test_a_manager_that_is_killed_goes_on(machine, site, role):
    with Clients(serves(site)) as clients:
        comes_to(site, role)
        pids = {until(lambda: site.second.get("pid")), site.status["main_pid"]}
        machine.kill_manager()
        goes_on(site)
        assert site.status["main_pid"] in pids
        until(lambda: clients.answers[-1] == "v2", "it serves")
    assert clients.errors == []
    assert machine.log(site.name).count("begins") == 2


@pytest.mark.parametrize("role", ["updating", "draining"])
def test_a_shim_that_runs_its_new_program_goes_on(machine, site, role):
    with Clients(serves(site)) as clients:
        comes_to(site, role)
        assert machine.gitproc("daemon-reexec").status == 0
        goes_on(site)
    assert clients.errors == []
    assert machine.log(site.name).count("begins") == 2


@pytest.mark.parametrize("role", ["updating", "draining"])
def test_an_operator_stops_and_kills_both(machine, site, role):
    comes_to(serves(site), role)
    pids = [until(lambda: site.second.get("pid")), site.status["main_pid"]]
    stop = machine.follow("stop", f"{site.name}.service")
    machine.wait(site.name, "deactivating")
    site.gate("up").touch()
    site.gate("down").touch()
    assert stop.communicate(timeout=DEADLINE) and stop.returncode == 0
    assert not any(alive(pid) for pid in pids)
    machine.gitproc("start", f"{site.name}.service")
    assert site.ask()[1] == "v2"
    never = site.gate("never")
    machine.verdict(site.commit("v3", 0, never))
    site.gone()
    site.commit("v4", never if role == "updating" else 0)
    site.role(role)
    pids = [until(lambda: site.second.get("pid")), site.status["main_pid"]]
    assert machine.gitproc("kill", "-s", "KILL", f"{site.name}.service").status == 0
    until(lambda: not any(alive(pid) for pid in pids), "both are gone")


def test_the_newest_commit_wins_and_a_rollback_overlaps_too(machine, site):
    site.deploy("v1", 0, 0.3)
    with Clients(site) as clients:
        for number in range(2, 8):
            sha = site.commit(f"v{number}", 0.3, 0.3)
            time.sleep(0.1 * number)
            found = {x for x in machine.groups() if x.name.strip("~") == site.name}
            pids = []
            for each in found:
                with suppress(OSError):  # it goes just now
                    pids += (each / "cgroup.procs").read_text().split()
            assert len(pids) <= 2
        machine.verdict(sha)
        site.gone()
        assert machine.gitproc("rollback").status == 0
        until(lambda: clients.answers[-1] != "v7", "the one before is back")
        site.gone()
    assert clients.errors == []


def test_one_that_crashes_after_it_took_over_is_restarted(machine, site):
    down = site.gate("down")
    site.deploy("v1", 0, down)
    with Clients(site) as clients:
        site.commit("v2", 0, 0, more="Restart=always\nRestartSec=0")
        site.role("draining")
        os.kill(killed := site.status["main_pid"], signal.SIGKILL)
        until(lambda: site.status["main_pid"] != killed, "its end is known")
        down.touch()
        site.gone()
        until(lambda: site.status["main_pid"] not in (killed, None), "there is another")
        until(lambda: clients.answers[-1] == "v2" and site.status["active_state"] == "active")
    assert len(clients.errors) <= 2  # whom it had accepted when it was killed
    assert machine.log(site.name).count("begins") == 3


def test_a_shutdown_waits_for_both():
    with Machine(config="settle_seconds = 0.1\n") as machine:
        (machine.root / "server.py").write_text(SERVER)
        machine.start()
        site = Site(machine, "s")
        comes_to(serves(site), "draining")
        assert machine.shim is not None
        machine.shim.terminate()
        machine.wait("s", "deactivating")
        site.gate("down").touch()
        assert machine.shim.wait(DEADLINE) == 0, machine.said()
        assert machine.log("s").count("ends") == 2


def test_what_both_share_goes_with_the_last_one(machine, site):
    more = f"RuntimeDirectory={site.name}\nPrivateTmp=yes\nPrivateNetwork=yes\nBindPaths={machine.root}"
    site.deploy("v1", more=more)
    folder = Path("/run") / site.name
    (folder / "mark").touch()
    pid, _ = site.ask()
    Path(f"/proc/{pid}/root/tmp/mark").touch()
    network = str(Path(f"/proc/{pid}/ns/net").readlink())
    up = site.gate("up")
    machine.commit(site.files("v2", up, more=more))
    site.role("updating")
    machine.kill_manager()
    up.touch()
    site.gone()
    site.deploy("v3", more=more)
    site.gone()
    pid, version = site.ask()
    assert version == "v3"
    assert (folder / "mark").exists()
    assert Path(f"/proc/{pid}/root/tmp/mark").exists()
    assert str(Path(f"/proc/{pid}/ns/net").readlink()) == network
    assert list(Path("/tmp").glob(f"gitproc-private-*-{site.name}*"))
    machine.gitproc("stop", f"{site.name}.service")
    assert not folder.exists()
    until(lambda: not list(Path("/tmp").glob(f"gitproc-private-*-{site.name}*")))
