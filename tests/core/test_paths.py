"""Path units: which news starts the unit, and which does not."""

from __future__ import annotations

import pytest

from gitproc.core.actions import Spawn, UnwatchPaths, WatchPaths
from gitproc.core.events import Verb
from gitproc.core.occasions import PathsSeen
from tests.core.fake_kernel import Machine, Program, service

JOB = service("Type=oneshot", "ExecStart=/bin/true", install=False)
LONG = service("Type=oneshot", "ExecStart=/bin/long", install=False)


def path(*lines: str) -> str:
    return "[Path]\n" + "\n".join(lines) + "\n[Install]\nWantedBy=paths.target\n"


def machine_of(*lines: str, job: str = JOB, **there: str) -> Machine:
    machine = Machine(programs={"long": Program(lasts=3)})
    machine.paths = {f"/{name}": mark for name, mark in there.items()}
    machine.commit({"a.path": path(*lines), "a.service": job})
    machine.run(1)
    return machine


def count(machine: Machine) -> int:
    return len(machine.spawns("a.service"))


def test_what_is_there_starts_it_at_once_and_again_as_long_as_it_stays():
    machine = machine_of("PathExists=/x", job=LONG, x="1")
    assert (count(machine), machine.sub("a.path")) == (1, "running")
    machine.run(3)
    assert count(machine) == 2
    machine.write("/x", "")
    machine.run(10)
    assert (count(machine), machine.sub("a.path")) == (2, "waiting")
    machine.write("/x", "1")
    machine.run(1)
    assert count(machine) == 3


@pytest.mark.parametrize("kind", ["PathChanged", "PathModified"])
def test_a_change_starts_it_and_what_is_merely_there_does_not(kind):
    machine = machine_of(f"{kind}=/x", x="old")
    assert count(machine) == 0
    machine.write("/x", "new")
    machine.run(1)
    assert (count(machine), machine.sub("a.path")) == (1, "waiting")
    machine.write("/x", "")
    machine.run(1)
    assert count(machine) == 2  # it went
    machine.write("/x", "again")
    machine.run(1)
    assert count(machine) == 3


def test_nothing_is_watched_while_the_unit_runs():
    machine = machine_of("PathChanged=/x", job=LONG, x="old")
    machine.write("/x", "1")
    machine.run(1)
    machine.write("/x", "2")  # perhaps by the unit itself
    machine.run(10)
    assert count(machine) == 1
    assert len(machine.orders(WatchPaths)) == 2
    assert len(machine.orders(UnwatchPaths)) == 1


def test_an_operators_start_makes_it_running_too():
    machine = machine_of("PathChanged=/x", job=service(install=False), x="old")
    machine.ask(Verb.START, "a.service")
    machine.run(1)
    assert machine.sub("a.path") == "running"


def test_a_change_while_no_manager_was_there_is_no_less_a_change():
    machine = machine_of("PathChanged=/x", x="old")
    machine.crash()
    machine.restart()
    machine.run(1)
    assert count(machine) == 0
    machine.crash()
    machine.write("/x", "new")
    machine.restart()
    machine.run(1)
    assert count(machine) == 1
    assert machine.sub("a.path") == "waiting"


def test_a_crash_while_the_unit_runs():
    machine = machine_of("PathExists=/x", job=LONG, x="1")
    machine.crash()
    machine.now += 1
    machine.restart()
    machine.run(0.5)
    assert (count(machine), machine.sub("a.path")) == (1, "running")
    machine.run(10)
    assert count(machine) > 1


def test_the_start_limit_of_the_unit_fails_the_path():
    machine = machine_of("PathExists=/x", x="1")
    machine.run(30)
    assert count(machine) == 5
    assert machine.state("a.path").result == "unit-start-limit-hit"
    assert machine.state("a.service").result == "start-limit-hit"
    assert len(machine.orders(UnwatchPaths)) == len(machine.orders(WatchPaths))


def test_the_trigger_limit_fails_the_path():
    job = service(
        "Type=oneshot", "ExecStart=/bin/true", unit="StartLimitIntervalSec=0", install=False
    )
    lines = ("PathExists=/x", "TriggerLimitBurst=3", "TriggerLimitIntervalSec=10")
    machine = machine_of(*lines, job=job, x="1")
    machine.run(30)
    assert count(machine) == 3
    assert machine.state("a.path").result == "trigger-limit-hit"


def test_a_held_unit_is_not_started_and_nothing_spins():
    machine = machine_of("PathExists=/x")
    machine.ask(Verb.STOP, "a.service")
    machine.write("/x", "1")
    before = machine.steps
    machine.run(30)
    assert (count(machine), machine.sub("a.path")) == (0, "waiting")
    assert machine.steps - before < 10


def test_a_watch_that_fails_fails_the_unit():
    machine = machine_of("PathExists=/x")
    state = machine.state("a.path")
    machine.post(PathsSeen("a.path", state.invocation, ("",), problem="no more watches"))
    assert (machine.sub("a.path"), state.result) == ("failed", "resources")


def test_stopping_removing_and_changing_it_ends_the_watch():
    machine = machine_of("PathExists=/x")
    machine.ask(Verb.STOP, "a.path")
    machine.write("/x", "1")
    machine.run(1)
    assert count(machine) == 0
    machine = machine_of("PathExists=/x")
    machine.commit({"a.path": path("PathExists=/y"), "a.service": JOB})
    machine.run(1)
    machine.write("/x", "1")
    machine.run(1)
    assert count(machine) == 0
    machine.write("/y", "1")
    machine.run(0.001)
    machine.commit({"a.service": JOB})
    machine.run(1)
    rest = count(machine)
    machine.write("/y", "")
    machine.write("/y", "1")
    machine.run(1)
    assert count(machine) == rest


def test_the_unit_hears_which_path():
    machine = machine_of("PathExists=/x", "PathChanged=/y", y="old")
    machine.write("/y", "new")
    machine.run(1)
    [spawn] = machine.orders(Spawn, "a.service")
    assert spawn.variables == ("TRIGGER_UNIT=a.path", "TRIGGER_PATH=/y")


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ("[Path]\nUnit=a.service\n", "missing: a path unit needs"),
        ("[Path]\nPathExists=x\n", "'x' is not an absolute path"),
        ("[Path]\nPathExists=/a/../b\n", "leads upwards"),
        ("[Path]\nPathExists=/a\nUnit=b.path\n", "cannot be started by this unit"),
        ("[Path]\nPathExists=/a\nPathChanged=\n", "missing: a path unit needs"),
    ],
)
def test_wrong_path_units_are_refused(body, problem):
    machine = Machine({"a.path": body, "a.service": JOB})
    assert machine.world.refused is not None
    [one] = machine.world.refused.diagnostics
    assert problem in str(one)
