"""Commands that wait for an outcome while the manager is killed: the next one answers, as all is in its journal."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.e2e.harness import COMMAND, Machine, service, shell, stopped, until

pytestmark = pytest.mark.root


@pytest.fixture(scope="module")
def machine():
    with Machine() as machine:
        yield machine.start()


@pytest.fixture
def flag(machine):
    flag = machine.root / "flag"
    flag.unlink(missing_ok=True)
    return flag


def waits_for(flag) -> str:
    return f"until test -e {flag}; do sleep 0.05; done"


def stops_slowly(machine, flag) -> str:
    """A service that stops once the flag is there, and says who it is when it can be stopped."""
    stop = f'trap "{waits_for(flag)}; exit 0" TERM; echo $$ >{machine.root}/listens'
    return service(shell(f"{stop}; while :; do sleep 0.05; done"))


def listens(machine, name) -> None:
    note = machine.root / "listens"
    until(lambda: note.exists() and note.read_text() == f"{machine.pids()[name]}\n", "it listens")


class Asked:
    """A command that waits, and the manager is killed meanwhile."""

    def __init__(self, machine: Machine, *words: str) -> None:
        self.process = subprocess.Popen(
            [*COMMAND, "--root", str(machine.root), *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def outcome(self) -> tuple[int, str, str]:
        out, err = self.process.communicate(timeout=60)
        return self.process.returncode, out, err


@pytest.mark.parametrize("json_too", [False, True])
def test_a_stop_is_answered_by_the_next_manager(machine, flag, json_too):
    machine.deploy({"slow.service": stops_slowly(machine, flag)})
    machine.gitproc("start", "slow")
    listens(machine, "slow")
    asked = Asked(machine, "stop", "slow", *(["--json"] if json_too else []))
    machine.wait("slow", "stop-sigterm")
    machine.kill_manager()
    assert asked.process.poll() is None, asked.outcome()
    flag.touch()
    status, out, err = asked.outcome()
    assert (status, err) == (0, "")
    if json_too:
        assert json.loads(out)["units"]["slow.service"]["result"] == "done"
    assert machine.wait("slow", "inactive")["hold"]


def test_a_start_is_answered_by_the_next_manager(machine, flag):
    pre = f"ExecStartPre={shell(waits_for(flag))}\nTimeoutStartSec=infinity"
    text = service(settings=pre).partition("[Install]")[0]
    machine.deploy({"late.service": text})
    asked = Asked(machine, "start", "late")
    machine.wait("late", "start-pre")
    machine.kill_manager()
    assert asked.process.poll() is None
    flag.touch()
    status, out, err = asked.outcome()
    assert (status, err) == (0, "")
    assert f"(PID: {machine.unit('late')['main_pid']})" in out


def test_a_restart_is_not_asked_twice_and_it_is_said_that_nobody_knows(machine, flag):
    machine.deploy({"again.service": stops_slowly(machine, flag)})
    listens(machine, "again")
    asked = Asked(machine, "restart", "again")
    machine.wait("again", "stop-sigterm")
    machine.kill_manager(wait=False)
    status, _, err = asked.outcome()
    assert status == 1
    assert "done or not" in err
    flag.touch()
    machine.wait("again", "running")
    until(lambda: len(machine.events("unit.started", "again.service")) == 2, "it restarts once")


def test_a_question_does_not_notice(machine):
    """The manager is stopped when it is asked, and killed while it is: the next one answers."""
    machine.deploy({"a.service": service()})
    pid = machine.manager
    os.kill(pid, signal.SIGSTOP)
    until(lambda: stopped(pid), "it stands")
    before = connections(machine, pid)
    asked = Asked(machine, "is-active", "a")
    until(lambda: connections(machine, pid) > before, "it has connected")
    os.kill(pid, signal.SIGKILL)
    assert asked.outcome() == (0, "active\n", "")


def connections(machine: Machine, manager: int) -> int:
    """How many there are to the manager, also in the backlog of its socket."""
    name = f"{machine.socket.name}.{manager}"  # under which it was bound, before it was renamed
    lines = Path("/proc/net/unix").read_text().splitlines()
    return sum(line.endswith(name) for line in lines)
