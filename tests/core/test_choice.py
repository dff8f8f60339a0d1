"""What a start takes along, and what it leaves out because both cannot be (systemd: transaction.c)."""

from __future__ import annotations

import pytest

from gitproc.core.events import Verb
from tests.core.fake_kernel import Machine, service
from tests.core.relations_table import CHOICES, OWN_CHOICES, REFUSED


def unit(text: str = "", **more: str) -> str:
    return service(unit=text, install=False, **more)


def started(x: str, **units: str) -> tuple[Machine, dict[str, str]]:
    """A machine on which `x` has been started, and the answer; nothing of it runs because of the commit."""
    files = {"x.service": unit(x), **{f"{name}.service": text for name, text in units.items()}}
    machine = Machine(files)
    machine.run(1)
    assert machine.spawns() == []
    number = machine.ask(Verb.START, "x.service")
    machine.run(5)
    return machine, machine.replies[number]["x.service"]


def up(machine: Machine) -> str:
    """The letters of the services that run."""
    return "".join(name[0] for name, sub in machine.subs().items() if sub == "running")


@pytest.mark.parametrize(("x", "units", "runs", "left"), CHOICES + OWN_CHOICES)
def test_of_two_that_conflict_one_that_is_only_wanted_is_left_out(x, units, runs, left):
    machine, answer = started(x, **{name: unit(text) for name, text in units.items()})
    assert answer["result"] == "done"
    assert up(machine) == runs
    told = machine.told("unit.left-out")
    assert sorted(line.split()[1][0] for line in told) == sorted(left)
    assert all("x.service" in line and "conflict" in line for line in told)


@pytest.mark.parametrize(("x", "units"), REFUSED)
def test_what_cannot_be_done_without_is_refused(x, units):
    machine, answer = started(x, **{name: unit(text) for name, text in units.items()})
    assert answer["result"] == "failed"
    assert "conflict" in answer["message"]
    assert machine.spawns() == [] and machine.told("unit.left-out") == []


TWO = {"a": unit("Conflicts=b.service"), "b": unit()}


def test_what_is_left_out_stops_if_it_runs():
    files = {"x.service": unit("Wants=a.service b.service"),
             **{f"{name}.service": text for name, text in TWO.items()}}  # fmt: skip
    machine = Machine(files)
    machine.ask(Verb.START, "b.service")
    machine.run(5)
    assert up(machine) == "b"
    machine.ask(Verb.START, "x.service")
    machine.run(5)
    assert up(machine) == "ax"


def test_it_stays_out_after_another_commit_and_with_another_manager():
    machine, _ = started("Wants=a.service b.service", **TWO)
    files = {"x.service": unit("Wants=a.service b.service c.service"), "c.service": unit(),
             **{f"{name}.service": text for name, text in TWO.items()}}  # fmt: skip
    machine.commit(files)
    machine.run(5)
    assert up(machine) == "acx"
    machine.crash()
    machine.restart()
    machine.run(5)
    assert up(machine) == "acx"
    machine.commit({**files, "a.service": unit()})
    machine.run(5)
    assert up(machine) == "abcx", "they do not conflict any more"


def test_a_restart_leaves_out_the_same():
    machine, _ = started("Wants=a.service b.service", **TWO)
    number = machine.ask(Verb.RESTART, "x.service")
    machine.run(5)
    assert machine.answer(number, "x.service") == "done"
    assert up(machine) == "ax"


def test_a_trigger_leaves_out_the_same():
    timer = "[Timer]\nOnActiveSec=10\nUnit=x.service\n[Install]\nWantedBy=timers.target"
    machine = Machine(
        {"x.service": unit("Wants=a.service b.service"), "t.timer": timer,
         **{f"{name}.service": text for name, text in TWO.items()}}
    )  # fmt: skip
    machine.run(20)
    assert up(machine) == "ax"
    assert [line.split()[1] for line in machine.told("unit.left-out")] == ["b.service:"]
