"""One unit starts another: what a trigger may do, and what it must leave alone."""

from __future__ import annotations

import pytest

from gitproc.core import triggers
from gitproc.core.actions import Spawn
from gitproc.core.events import Tick, Verb
from gitproc.core.properties import properties
from gitproc.core.status import unit_status
from gitproc.core.triggers import Outcome
from gitproc.core.why import why
from tests.core.fake_kernel import Machine, Program, service

TIMER = "[Timer]\nUnit=a.service\nOnClockChange=yes\n[Install]\nWantedBy=timers.target\n"
JOB = service("Type=oneshot", "ExecStart=/bin/true", install=False)


def machine_of(a: str = JOB, **units: str) -> Machine:
    files = {"t.timer": TIMER, "a.service": a}
    machine = Machine({**files, **{f"{name}.service": text for name, text in units.items()}})
    machine.run(1)
    return machine


def trigger(machine: Machine, seconds: float = 1.0, *variables: str) -> Outcome:
    machine.world.now = machine.now
    machine.world.actions = []
    outcome = triggers.trigger(machine.world, "t.timer", "a.service", *variables)
    machine.actions += [(machine.now, action) for action in machine.world.actions]
    machine.post(Tick())
    machine.run(seconds)
    return outcome


def test_what_is_triggered_is_not_started_by_its_trigger_being_up():
    machine = machine_of()
    assert machine.sub("t.timer") == "waiting"
    assert machine.state("t.timer").up
    assert not machine.spawns("a.service")


def test_a_oneshot_runs_again_each_time_and_a_change_does_not_start_it():
    machine = machine_of()
    for count in (1, 2, 3):
        assert trigger(machine) is Outcome.STARTED
        assert len(machine.spawns("a.service")) == count
        assert machine.sub("a.service") == "dead"
    changed = JOB.replace("/bin/true", "/bin/true again")
    sha = machine.commit({"t.timer": TIMER, "a.service": changed})
    machine.run(10)
    assert machine.spawns("a.service")[3:] == []
    assert machine.verdict(sha) == "good"


def test_what_runs_is_left_alone_and_goes_on_when_a_commit_changes_it():
    machine = machine_of(service(install=False))
    assert trigger(machine) is Outcome.STARTED
    assert trigger(machine) is Outcome.RUNNING
    assert len(machine.spawns("a.service")) == 1
    machine.commit({"t.timer": TIMER, "a.service": service("ExecStart=/bin/run b", install=False)})
    machine.run(10)
    assert machine.spawns("a.service") == ["run", "run b"]
    assert machine.sub("a.service") == "running"


def test_a_unit_about_to_start_or_to_be_restarted_is_left_alone():
    machine = machine_of(
        service("ExecStart=/bin/crash", "Restart=always", "RestartSec=5", install=False)
    )
    trigger(machine)
    assert machine.sub("a.service") == "auto-restart"
    assert trigger(machine) is Outcome.RUNNING
    machine = machine_of(service("Type=notify", "ExecStart=/bin/mute", install=False))
    assert trigger(machine) is Outcome.STARTED
    assert machine.sub("a.service") == "start"
    assert trigger(machine) is Outcome.RUNNING
    waits = "After=slow.service"
    slow = service("Type=notify", "ExecStart=/bin/mute", "TimeoutStartSec=infinity")
    machine = machine_of(service(unit=waits, install=False), slow=slow)
    assert trigger(machine) is Outcome.STARTED
    assert machine.state("a.service").waits_for == "slow.service"
    assert trigger(machine) is Outcome.RUNNING


def test_what_is_stopping_starts_again_behind_that():
    machine = machine_of(
        service("Type=oneshot", "ExecStart=/bin/true", "ExecStopPost=/bin/slow", install=False)
    )
    machine.programs["slow"] = Program(lasts=5)
    trigger(machine)
    assert machine.sub("a.service") == "stop-post"
    assert trigger(machine) is Outcome.STARTED
    machine.run(5)
    assert machine.spawns("a.service") == ["true", "slow", "true", "slow"]


@pytest.mark.parametrize("whom", ["a.service", "needed.service"])
def test_a_hold_is_respected_until_it_is_ended(whom):
    needs = "Requires=needed.service\nAfter=needed.service"
    machine = machine_of(
        service("Type=oneshot", "ExecStart=/bin/true", unit=needs, install=False),
        needed=service(install=False),
    )
    machine.ask(Verb.STOP, whom)
    machine.run(1)
    assert trigger(machine) is Outcome.KEPT_DOWN
    assert not machine.spawns("a.service")
    assert machine.told("unit.not-triggered", "a.service")
    machine.ask(Verb.START, whom)
    machine.run(1)
    assert trigger(machine) is Outcome.STARTED


def test_what_it_needs_is_started_along_and_a_failed_one_tried_again():
    needs = "Requires=needed.service\nAfter=needed.service"
    job = service("Type=oneshot", "ExecStart=/bin/true", unit=needs, install=False)
    flaky = service("Type=oneshot", "ExecStart=/bin/false", install=False)
    machine = machine_of(job, needed=flaky)
    trigger(machine)
    assert machine.sub("needed.service") == "failed"
    assert not machine.spawns("a.service")
    assert machine.told("unit.not-triggered", "a.service")
    assert not machine.state("a.service").demanded
    machine.programs["false"] = machine.programs["true"]
    trigger(machine)
    assert machine.spawns("a.service") == ["true"]


def test_too_many_starts_fail_the_unit_until_an_operator_starts_it():
    machine = machine_of()
    outcomes = [trigger(machine, 0.5) for _ in range(6)]
    assert outcomes == [Outcome.STARTED] * 5 + [Outcome.LIMIT]
    assert machine.state("a.service").result == "start-limit-hit"
    assert machine.sub("a.service") == "failed"
    assert machine.told("unit.failed", "a.service")
    machine.run(15)
    assert trigger(machine) is Outcome.STARTED  # systemd, too, counts within the interval only


def test_what_the_commit_wants_is_not_stopped_for_it_and_what_was_demanded_is():
    rival = service(unit="Conflicts=a.service")
    machine = machine_of(rival=rival)
    assert trigger(machine) is Outcome.KEPT_DOWN
    assert machine.sub("rival.service") == "running"
    machine.ask(Verb.STOP, "rival.service")
    machine.run(1)
    assert trigger(machine) is Outcome.STARTED, "an operator has stopped what is in its way"
    machine = machine_of(rival=service(unit="Conflicts=a.service", install=False))
    machine.ask(Verb.START, "rival.service")
    machine.run(1)
    assert trigger(machine) is Outcome.STARTED
    assert machine.spawns("a.service") == ["true"]
    assert machine.sub("rival.service") == "dead"


def test_who_started_it_is_told_everywhere():
    machine = machine_of(service(install=False))
    trigger(machine, 1.0, "TRIGGER_PATH=/x")
    assert machine.told("unit.triggered") == [
        "unit.triggered a.service: t.timer triggered a.service"
    ]
    [spawn] = machine.orders(Spawn, "a.service")
    assert spawn.variables == ("TRIGGER_UNIT=t.timer", "TRIGGER_PATH=/x")
    status = unit_status(machine.world, "a.service", 0.0)
    assert status["triggered_by"] == [{"name": "t.timer", "active_state": "active"}]
    assert properties(machine.world, "a.service", status)["TriggeredBy"] == "t.timer"
    status = unit_status(machine.world, "t.timer", 0.0)
    assert properties(machine.world, "t.timer", status)["Triggers"] == "a.service"
    assert why(machine.world, "a.service", 0.0)["reasons"][0] == "t.timer started it"


def test_a_crash_of_the_manager_forgets_nothing_of_it():
    machine = machine_of(service(install=False))
    trigger(machine)
    before = machine.state("a.service").activation
    machine.crash()
    machine.restart()
    machine.run(1)
    assert machine.state("a.service").activation == before
    machine.exit(machine.main("a.service"))
    machine.run(1)
    assert not machine.state("a.service").demanded


def test_an_operators_start_makes_it_the_operators():
    machine = machine_of(service(install=False))
    trigger(machine)
    machine.ask(Verb.START, "a.service")
    machine.run(1)
    assert machine.state("a.service").activation is None
    assert machine.state("a.service").demanded


def test_a_missing_unit_refuses_the_commit():
    machine = Machine({"t.timer": TIMER})
    assert machine.world.refused is not None
    [problem] = machine.world.refused.diagnostics
    assert str(problem) == (
        "t.timer:2: error: Unit: t.timer starts a.service, which is not in this commit"
    )


def test_order_and_gathering():
    machine = machine_of()
    graph = machine.world.graph
    assert "t.timer" in graph.waits_on("a.service")
    assert "t.timer" in graph.waits_on("timers.target")
    assert "sysinit.target" in graph.waits_on("t.timer")


def test_what_a_commit_replaces_while_it_runs_for_its_trigger_still_does():
    text = service("ExecStart=/bin/run 1", install=False)
    machine = machine_of(text)
    trigger(machine)
    for number in "2", "3":
        machine.commit({"t.timer": TIMER, "a.service": text.replace("1", number)})
        machine.run(10)
        assert machine.spawns("a.service")[-1] == f"run {number}"
        [why_it_runs] = why(machine.world, "a.service", 0.0)["reasons"]
        assert why_it_runs == "t.timer started it"
    machine.exit(machine.main("a.service"))
    machine.run(1)
    machine.commit({"t.timer": TIMER, "a.service": text.replace("1", "4")})
    machine.run(10)
    assert machine.sub("a.service") == "dead"
    assert machine.spawns("a.service") == ["run 1", "run 2", "run 3"]


def test_what_has_ended_and_an_operator_starts_is_the_operators():
    text = service(install=False)
    machine = machine_of(text)
    trigger(machine)
    machine.exit(machine.main("a.service"))
    machine.run(1)
    machine.ask(Verb.START, "a.service")
    machine.run(1)
    assert "an operator started it" in str(why(machine.world, "a.service", 0.0)["reasons"])
    [*_, last] = machine.orders(Spawn, "a.service")
    assert last.variables == ()


def test_a_limit_waits_for_the_end_of_what_still_runs():
    limited = service("ExecStop=/bin/slow", install=False, unit="StartLimitBurst=1")
    machine = machine_of(limited)
    trigger(machine)
    machine.exit(machine.main("a.service"))
    machine.run(0.1)
    assert machine.sub("a.service") == "stop"
    assert trigger(machine, 0.1) is Outcome.STARTED
    assert machine.sub("a.service") == "stop"
    assert machine.alive("a.service")


def test_what_was_stopped_while_it_ran_for_a_trigger_is_started_for_itself():
    machine = machine_of(service(install=False))
    assert trigger(machine) is Outcome.STARTED
    machine.ask(Verb.STOP, "a.service")
    machine.run(1)
    machine.commit({"t.timer": TIMER, "a.service": service("Nice=1")})
    machine.run(1)
    assert machine.sub("a.service") == "running"
    assert machine.state("a.service").activation is None
