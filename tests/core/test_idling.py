"""Type=idle waits until all else is done, for five seconds at most; RestartMode= and ExitType=."""

from __future__ import annotations

from gitproc.core.actions import Spawn
from gitproc.core.events import Slot, Verb
from tests.core.fake_kernel import Machine, Program, service

IDLE = service("Type=idle", "ExecStart=/bin/run idle")


def test_nothing_to_wait_for_is_no_wait():
    machine = Machine({"a.service": IDLE})
    machine.run(0.1)
    assert len(machine.alive()) == 1


def test_it_counts_as_started_and_its_program_waits_for_the_others():
    work = Program(lasts=2.0)
    files = {
        "a.service": IDLE,
        "b.service": service("Type=oneshot", "ExecStart=/bin/work"),
        "c.service": service("ExecStart=/bin/run c", unit="After=a.service"),
    }
    machine = Machine(files, {"work": work})
    machine.run(1)
    assert machine.subs() == {"a.service": "running", "b.service": "start", "c.service": "running"}
    assert "run idle" not in machine.spawns()
    machine.run(1.1)
    assert "run idle" in machine.spawns()
    machine.run(10)
    assert machine.spawns().count("run idle") == 1


def test_it_waits_no_longer_than_five_seconds():
    files = {"a.service": IDLE, "b.service": service("Type=notify", "ExecStart=/bin/mute")}
    machine = Machine(files)
    machine.run(4.9)
    assert "run idle" not in machine.spawns()
    machine.run(0.2)
    assert "run idle" in machine.spawns()


def test_it_can_be_stopped_while_it_waits():
    files = {"a.service": IDLE, "b.service": service("Type=notify", "ExecStart=/bin/mute")}
    machine = Machine(files)
    machine.run(1)
    machine.ask(Verb.STOP, "a.service")
    machine.run(1)
    assert machine.sub("a.service") == "dead"
    machine.run(10)
    assert "run idle" not in machine.spawns()


def test_another_manager_does_not_forget_it():
    files = {"a.service": IDLE, "b.service": service("Type=notify", "ExecStart=/bin/mute")}
    machine = Machine(files)
    machine.run(1)
    machine.crash()
    machine.restart()
    machine.run(6)
    assert [x for x in machine.spawns() if x == "run idle"] == ["run idle"]
    assert len(machine.alive("a.service")) == 1


def bound(mode: str) -> Machine:
    files = {
        "a.service": service(
            "ExecStart=/bin/run a", "Restart=always", "RestartSec=2", f"RestartMode={mode}"
        ),
        "b.service": service(unit="BindsTo=a.service\nAfter=a.service"),
    }
    machine = Machine(files)
    machine.run(1)
    machine.exit(machine.main("a.service"), 1)
    machine.run(1)
    assert machine.sub("a.service") == "auto-restart"
    return machine


def test_a_direct_restart_is_not_seen_by_who_is_bound_to_it():
    assert bound("normal").sub("b.service") == "dead"
    machine = bound("direct")
    assert machine.sub("b.service") == "running"
    machine.run(2)
    assert machine.subs() == {"a.service": "running", "b.service": "running"}


def test_a_restart_may_ask_for_more_to_be_said():
    machine = bound("debug")
    machine.run(2)
    variables = [x.variables for x in machine.orders(Spawn, "a.service")]
    assert variables == [(), ("DEBUG_INVOCATION=1",)]


def brood(*lines: str, status: int = 0) -> Machine:
    parent = Program(lasts=1.0, status=status, children=(Program(lasts=3.0),))
    body = service("ExecStart=/bin/parent", "ExitType=cgroup", "ExecStop=/bin/true bye", *lines)
    machine = Machine({"a.service": body}, {"parent": parent})
    machine.run(2)
    return machine


def test_with_exit_type_cgroup_the_last_process_counts():
    machine = brood()
    assert machine.sub("a.service") == "running"
    machine.run(2)
    assert machine.sub("a.service") == "dead"
    assert machine.spawns() == ["parent", "true bye"]


def test_with_exit_type_cgroup_a_failure_of_the_main_process_is_kept_until_the_end():
    machine = brood(status=3)
    assert machine.sub("a.service") == "running"
    machine.crash()
    machine.restart()
    machine.run(2)
    assert (machine.sub("a.service"), machine.state("a.service").result) == ("failed", "exit-code")


def test_with_exit_type_cgroup_what_is_left_can_be_stopped():
    machine = brood()
    machine.ask(Verb.STOP, "a.service")
    machine.run(1)
    assert machine.sub("a.service") == "dead"
    assert not machine.alive()
    assert all(x.process.slot is not Slot.HEALTH for x in machine.orders(Spawn))


def test_another_manager_goes_on_with_the_instance_that_waits():
    files = {"a.service": IDLE, "b.service": service("Type=notify", "ExecStart=/bin/mute")}
    machine = Machine(files)
    machine.run(1)
    invocation = machine.state("a.service").invocation
    machine.crash()
    machine.restart()
    machine.run(10)
    assert machine.state("a.service").invocation == invocation
    assert machine.spawns().count("run idle") == 1


def test_another_manager_lets_it_wait_on():
    files = {"a.service": IDLE, "b.service": service("Type=notify", "ExecStart=/bin/mute")}
    machine = Machine(files)
    machine.run(1)
    machine.crash()
    machine.restart()
    machine.run(4.9)
    assert "run idle" not in machine.spawns()
    machine.run(0.2)
    assert "run idle" in machine.spawns()


def test_one_that_cannot_be_made_fails():
    for lines in ((), ("ExecCondition=/bin/true",), ("ExecStartPost=/bin/true",)):
        machine = Machine({"a.service": service("Type=idle", "ExecStart=/bin/refused", *lines)})
        machine.run(10)
        assert machine.sub("a.service") == "failed"
        assert machine.state("a.service").result == "resources"
