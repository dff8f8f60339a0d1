"""What a start takes along, and what it leaves out because both cannot be (systemd: transaction.c)."""

from __future__ import annotations

import pytest

from gitproc.core.events import Verb
from tests.core.fake_kernel import Machine, service


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


@pytest.mark.parametrize(
    ("x", "units", "runs", "left"),
    [
        # Whom the other one names gives way, whichever of them comes first.
        ("Wants=a.service b.service", {"a": unit("Conflicts=b.service"), "b": unit()}, "ax", "b"),
        ("Wants=a.service b.service", {"a": unit(), "b": unit("Conflicts=a.service")}, "bx", "a"),
        ("Upholds=a.service b.service", {"a": unit("Conflicts=b.service"), "b": unit()}, "ax", "b"),
        # What is required stays, whoever says that they conflict; so does who was asked for.
        ("Wants=a.service\nRequires=b.service",
         {"a": unit("Conflicts=b.service"), "b": unit()}, "bx", "a"),
        ("Wants=a.service\nRequires=b.service",
         {"a": unit(), "b": unit("Conflicts=a.service")}, "bx", "a"),
        ("Wants=a.service\nBindsTo=b.service",
         {"a": unit("Conflicts=c.service"), "b": unit("Requires=c.service"), "c": unit()}, "bcx", "a"),
        ("Wants=a.service", {"a": unit("Conflicts=x.service")}, "x", "a"),
        ("Wants=a.service\nConflicts=a.service", {"a": unit()}, "x", "a"),
        # With it goes who cannot do without it, and what only that one pulled in.
        ("Wants=a.service c.service",
         {"a": unit("Requires=b.service\nWants=d.service"), "b": unit(), "d": unit(),
          "c": unit("Conflicts=b.service")}, "cx", "ab"),
        # One that conflicts with what needs itself cannot be.
        ("Wants=a.service c.service",
         {"a": unit("Requires=b.service"), "b": unit("Conflicts=a.service"), "c": unit()}, "cx", "a"),
        # What is left out takes nobody along whom others pull in as well.
        ("Wants=a.service c.service",
         {"a": unit("Wants=d.service"), "d": unit(),
          "c": unit("Conflicts=a.service\nWants=d.service")}, "cdx", "a"),
    ],
)  # fmt: skip
def test_of_two_that_conflict_one_that_is_only_wanted_is_left_out(x, units, runs, left):
    machine, answer = started(x, **units)
    assert answer["result"] == "done"
    assert up(machine) == runs
    told = machine.told("unit.left-out")
    assert sorted(line.split()[1][0] for line in told) == sorted(left)
    assert all("x.service" in line and "conflict" in line for line in told)


@pytest.mark.parametrize(
    ("x", "units"),
    [
        ("Requires=a.service b.service", {"a": unit("Conflicts=b.service"), "b": unit()}),
        ("Requires=a.service", {"a": unit("Conflicts=x.service")}),
        ("Requires=a.service\nWants=b.service",
         {"a": unit("BindsTo=c.service"), "c": unit("Conflicts=a.service"), "b": unit()}),
    ],
)  # fmt: skip
def test_what_cannot_be_done_without_is_refused(x, units):
    machine, answer = started(x, **units)
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
