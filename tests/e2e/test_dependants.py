"""Dependants come back when their requirement does: whoever took it down, and whoever brings it back."""

from __future__ import annotations

import os
import signal

import pytest

from tests.e2e.harness import KEEP, Machine, service, until

pytestmark = pytest.mark.root

NEEDS = "Requires=db.service\nAfter=db.service"
AGAIN = "Restart=on-failure\nRestartSec=50ms"


def db(machine: Machine, more: str = "") -> str:
    """What all the others need: it does not start while there is a file `broken`."""
    check = f"ExecStartPre=/usr/bin/test ! -e {machine.root / 'broken'}"
    return service(settings=f"{AGAIN}\n{check}\n{more}", unit="StartLimitBurst=3")


def all_up(machine: Machine) -> dict[str, int]:
    """Wait until everything runs; the main processes."""

    def running() -> bool:
        return {x["sub_state"] for x in machine.units().values()} == {"running"}

    until(running, "all run again")
    return machine.pids()


def changed(before: dict[str, int], after: dict[str, int]) -> set[str]:
    """Whose main process is another one."""
    return {name for name in after if before[name] != after[name]}


@pytest.fixture
def machine(machines):
    """A database, one that requires it, one that requires that, one that is bound to it, and a part of that."""
    found = machines(config=KEEP)
    files = {
        "db.service": db(found),
        "web.service": service(settings=AGAIN, unit=NEEDS),
        "edge.service": service(unit="Requires=web.service\nAfter=web.service"),
        "bound.service": service(unit="BindsTo=db.service\nAfter=db.service"),
        "part.service": service(unit="PartOf=bound.service"),
    }
    found.deploy(files)
    return found


def fail_for_good(machine: Machine) -> None:
    """The database dies, and does not come back by itself."""
    (machine.root / "broken").touch()
    os.kill(machine.pids()["db"], signal.SIGKILL)
    assert machine.wait("db", "failed")["result"] == "start-limit-hit"
    machine.wait("bound", "dead")
    machine.wait("part", "dead")


def test_a_crash_and_a_restart(machine):
    before = all_up(machine)
    os.kill(before["db"], signal.SIGKILL)
    until(lambda: machine.pids()["db"] not in (before["db"], None), "another one")
    machine.wait("bound")
    assert changed(before, all_up(machine)) == {"db", "bound", "part"}


def test_a_failure_for_good_that_an_operator_mends(machine):
    before = all_up(machine)
    fail_for_good(machine)
    os.kill(before["web"], signal.SIGKILL)  # the one that goes on without comes down, too
    until(lambda: "db.service" in machine.unit("web")["reason"], "it says what it needs")
    machine.kill_manager()
    (machine.root / "broken").unlink()
    assert machine.gitproc("start", "db").status == 0
    assert changed(before, all_up(machine)) == {"db", "bound", "part", "web"}


def test_a_failure_for_good_that_a_commit_mends(machine):
    before = all_up(machine)
    fail_for_good(machine)
    os.kill(before["web"], signal.SIGKILL)
    until(lambda: "db.service" in machine.unit("web")["reason"], "it says what it needs")
    (machine.root / "broken").unlink()
    machine.deploy({"db.service": db(machine, "Environment=MENDED=yes")})
    assert changed(before, all_up(machine)) == {"db", "bound", "part", "web"}


def test_a_stop_and_a_start(machine):
    before = all_up(machine)
    assert machine.gitproc("stop", "db").status == 0
    until(lambda: {x["sub_state"] for x in machine.units().values()} == {"dead"}, "all are down")
    machine.kill_manager()
    assert machine.gitproc("start", "db").status == 0
    assert changed(before, all_up(machine)) == {"db", "bound", "part", "web", "edge"}


def test_a_commit_that_changes_it_for_the_worse_and_one_for_the_better(machine):
    before = all_up(machine)
    machine.deploy({"db.service": db(machine, "Environment=CHANGED=yes")})
    after = all_up(machine)
    assert changed(before, after) == {"db", "bound", "part", "web", "edge"}
    (machine.root / "broken").touch()
    machine.deploy({"db.service": db(machine, "Environment=WORSE=yes")}, "failed")
    units = machine.units()
    assert units["db"]["sub_state"] == "failed"
    assert {units[x]["sub_state"] for x in ("web", "bound", "edge")} == {"dead"}
    (machine.root / "broken").unlink()
    machine.deploy({"db.service": db(machine, "Environment=BETTER=yes")})
    all_up(machine)


def test_a_direct_restart_is_hidden_from_all_until_it_is_given_up(machine):
    """RestartMode=direct: neither who is bound to it nor OnFailure= hears of a restart."""
    told = machine.root / "told"
    direct = (
        f"{AGAIN}\nRestartMode=direct\nExecStartPre=/usr/bin/test ! -e {machine.root / 'broken'}"
    )
    unit = "StartLimitBurst=3\nOnFailure=note.service"
    machine.deploy(
        {
            "db.service": service(settings=direct, unit=unit),
            "note.service": f"[Service]\nType=oneshot\nExecStart=/bin/touch {told}\n",
        }
    )
    until(lambda: set(machine.pids()) >= {"db", "web", "edge", "bound"}, "all run")
    before = machine.pids()
    os.kill(before["db"], signal.SIGKILL)
    until(lambda: machine.pids().get("db") not in (before["db"], None), "another one")
    machine.wait("db")
    assert changed(before, {**before, **machine.pids()}) == {"db"}
    assert not machine.events("unit.triggered", "note.service")
    fail_for_good(machine)
    until(told.exists, "its failure has been acted on")
    assert machine.pids()["web"] == before["web"], "Requires= alone does not stop it"
