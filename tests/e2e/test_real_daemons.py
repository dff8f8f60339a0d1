"""Daemons of Debian by their shipped unit files, unchanged, each proven by a real request."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.harness import Machine, alive, until

pytestmark = [pytest.mark.root, pytest.mark.debian]

SHIPPED = Path("/lib/systemd/system")


@dataclass(frozen=True)
class Daemon:
    """What a daemon can be asked to prove that it works, and what its unit file says of it."""

    name: str
    works: Callable[[Machine], bool]
    restarts: bool = True

    def unit(self) -> str:
        return (SHIPPED / f"{self.name}.service").read_text()


def request(machine, url):
    """Get a URL in the machine's own network."""
    assert machine.shim is not None
    enter = ["nsenter", "--net", "--target", str(machine.shim.pid)]
    curl = ["curl", "-fsS", "--max-time", "5", url]
    done = subprocess.run([*enter, *curl], capture_output=True, text=True, check=False)
    return done.stdout if done.returncode == 0 else ""


def run_file(machine, name):
    """A file below /run as the machine sees it."""
    assert machine.shim is not None
    try:
        return Path(f"/proc/{machine.shim.pid}/root/run/{name}").read_text()
    except FileNotFoundError:
        return ""


def nginx_works(machine):
    main = machine.unit("nginx").get("main_pid")
    page = request(machine, "http://127.0.0.1/")
    return bool(page) and run_file(machine, "nginx.pid").strip() == str(main)


def exporter_works(machine):
    return "node_load1" in request(machine, "http://127.0.0.1:9100/metrics")


def cron_works(machine):
    main = machine.unit("cron").get("main_pid")
    return main is not None and run_file(machine, "crond.pid").strip() == str(main)


DAEMONS = [
    Daemon("nginx", nginx_works, restarts=False),
    Daemon("prometheus-node-exporter", exporter_works),
    Daemon("cron", cron_works),
]


@pytest.fixture
def private(machines):
    return machines(private=True)


def works(machine, daemon):
    until(lambda: daemon.works(machine), f"{daemon.name} works\n{machine.log(daemon.name)}")


def processes(machine, name):
    group = machine.group_of(name)
    return {int(pid) for pid in (group / "cgroup.procs").read_text().split()}


@pytest.mark.parametrize("daemon", DAEMONS, ids=lambda x: x.name)
def test_through_a_life(private, daemon):
    name = daemon.name
    if not (SHIPPED / f"{name}.service").exists():
        pytest.skip(f"{name} is not installed")
    drop_in = f"{name}.service.d/10-site.conf"
    shipped = private.deploy({f"{name}.service": daemon.unit()})
    works(private, daemon)
    first = private.pids()[name]

    private.deploy({drop_in: "[Service]\nMemoryMax=200M\nTasksMax=300\n"})
    assert private.pids()[name] == first
    assert private.unit(name)["memory_max"] == 200 << 20

    private.deploy({drop_in: "[Service]\nNice=1\n"})
    works(private, daemon)
    second = private.pids()[name]
    assert second != first
    assert not alive(first)
    assert os.getpriority(os.PRIO_PROCESS, second) == 1

    private.deploy({drop_in: "[Service]\nExecStart=\nRestrat=always\n"}, "refused")
    assert f"{drop_in}:3: error: Restrat" in private.gitproc("status").out
    assert private.pids()[name] == second
    works(private, daemon)

    assert private.gitproc("rollback", shipped).status == 0
    until(lambda: private.pids()[name] not in (second, None), "the shipped one runs again")
    works(private, daemon)
    third = private.pids()[name]
    assert os.getpriority(os.PRIO_PROCESS, third) == 0

    private.kill_manager()
    assert private.pids()[name] == third

    everyone = processes(private, name)
    os.kill(third, signal.SIGKILL)
    if daemon.restarts:
        until(lambda: private.pids()[name] not in (third, None), "it is back")
    else:
        unit = private.wait(name, "failed")
        assert (unit["result"], unit["exec_main_status"]) == ("signal", 9)
        assert not any(alive(pid) for pid in everyone)
        assert private.gitproc("start", name).status == 0
    works(private, daemon)

    everyone = processes(private, name)
    group = private.group_of(name)
    assert private.gitproc("stop", name).status == 0
    assert not any(alive(pid) for pid in everyone)
    assert not group.exists()
    assert not daemon.works(private)
    assert private.unit(name)["result"] == "success"


def test_nginx_reloads_without_losing_its_master(private):
    daemon = DAEMONS[0]
    private.deploy({"nginx.service": daemon.unit()})
    works(private, daemon)
    master = private.pids()["nginx"]
    workers = processes(private, "nginx") - {master}
    assert workers
    assert private.gitproc("reload", "nginx").status == 0
    until(lambda: not any(alive(pid) for pid in workers), "the old workers leave")
    works(private, daemon)
    assert private.pids()["nginx"] == master


def test_all_of_them_together(private):
    private.deploy({f"{daemon.name}.service": daemon.unit() for daemon in DAEMONS})
    for daemon in DAEMONS:
        works(private, daemon)
    before = private.pids()
    for _ in range(2):
        private.kill_manager()
        assert private.pids() == before
    private.deploy({"cron.service": None})
    assert private.pids().keys() == before.keys() - {"cron"}
    assert not alive(before["cron"])
    assert request(private, "http://127.0.0.1/")
