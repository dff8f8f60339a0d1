"""Starts that wait too long, and starts that take too long."""

from __future__ import annotations

import pytest

from gitproc.core.actions import Reply
from gitproc.core.events import Verb
from gitproc.core.job import Job, JobKind
from tests.core.fake_kernel import Machine, Program, service

ALERT = service("Type=oneshot", "ExecStart=/bin/true", install=False)
SLOW = service("Type=oneshot", "ExecStart=/bin/slow", "RemainAfterExit=yes")
PROGRAMS = {"slow": Program(lasts=20), "tardy": Program(takes=15, on_signal=0)}
LIMITS = [
    ("JobRunningTimeoutSec=3", 3),
    ("JobTimeoutSec=4", 4),
    ("JobTimeoutSec=9\nJobRunningTimeoutSec=3", 3),
]
ORDERS = ("After=slow.service", "Requires=slow.service\nAfter=slow.service")


def machine_of(seconds: float = 1.0, **units: str) -> Machine:
    files = {f"{name}.service": text for name, text in units.items()}
    machine = Machine({"slow.service": SLOW, "alert.service": ALERT, **files}, PROGRAMS)
    machine.run(seconds)
    return machine


def end_of(machine: Machine, name: str) -> tuple[str, str]:
    state = machine.state(name)
    return state.sub.value, state.result.value


@pytest.mark.parametrize(
    "order, why", [(ORDERS[0], "comes first"), (ORDERS[1], "is required and not up")]
)
def test_a_start_that_waits_too_long_has_failed_and_what_requires_it_stays_down(order, why):
    limits = f"{order}\nJobTimeoutSec=5\nOnFailure=alert.service"
    needs = service(unit="Requires=a.service\nAfter=a.service")
    machine = machine_of(4.9, a=service(unit=limits), b=needs)
    assert end_of(machine, "a.service") == ("dead", "success")
    machine.run(0.2)
    assert end_of(machine, "a.service") == ("failed", "timeout")
    assert machine.state("a.service").message == (
        f"its start has waited for 5 s (JobTimeoutSec=) for slow.service, which {why}"
    )
    assert machine.spawns("alert.service") == ["true"]
    machine.run(60)
    assert machine.sub("slow.service") == "exited"
    assert machine.spawns("a.service") == machine.spawns("b.service") == []
    machine.ask(Verb.START, "a.service")
    machine.run(1)
    assert machine.sub("a.service") == "running"


@pytest.mark.parametrize("verb", [Verb.START, Verb.RESTART])
def test_who_asked_for_a_start_that_waits_too_long_is_told(verb):
    limits = f"{ORDERS[0]}\nWants=slow.service\nJobTimeoutSec=5"
    machine = machine_of(a=service(unit=limits, install=False))
    machine.ask(verb, "a.service")
    machine.run(4.9)
    assert machine.orders(Reply) == []
    machine.run(0.2)
    [reply] = machine.orders(Reply)
    outcome = dict(reply.outcomes)["a.service"]
    assert outcome["result"] == "failed"
    assert "JobTimeoutSec=" in outcome["message"]


def test_a_commit_fails_with_a_start_that_waits_too_long():
    machine = machine_of()
    files = {"slow.service": SLOW, "a.service": service(unit=f"{ORDERS[0]}\nJobTimeoutSec=5")}
    sha = machine.commit({**files, "alert.service": ALERT})
    machine.run(30)
    assert machine.verdict(sha) == "failed"


def test_a_start_that_has_waited_in_time_is_not_touched():
    machine = machine_of(40, a=service(unit=f"{ORDERS[0]}\nJobTimeoutSec=21"))
    assert end_of(machine, "a.service") == ("running", "success")
    assert machine.state("a.service").job is None


@pytest.mark.parametrize("limits, at", LIMITS)
def test_a_start_that_takes_too_long_goes_on_and_nobody_waits_for_it(limits, at):
    text = SLOW.replace("[Service]", f"OnFailure=alert.service\n{limits}\n[Service]", 1)
    machine = machine_of(0.0, a=text)
    machine.ask(Verb.START, "a.service")
    machine.run(at - 0.1)
    assert machine.spawns("alert.service") == []
    machine.run(0.2)
    assert machine.spawns("alert.service") == ["true"]
    [reply] = machine.orders(Reply)
    [(_, outcome)] = reply.outcomes
    assert "takes longer than" in str(outcome)
    assert machine.sub("a.service") == "start"
    machine.run(30)
    assert end_of(machine, "a.service") == ("exited", "success")


def test_without_a_limit_of_its_own_a_start_may_begin_late_and_take_long():
    limits = (
        f"{ORDERS[0]}\nJobTimeoutSec=25\nJobRunningTimeoutSec=infinity\nOnFailure=alert.service"
    )
    machine = machine_of(24, a=SLOW.replace("[Service]", f"{limits}\n[Service]", 1))
    assert machine.sub("a.service") == "start"
    machine.run(2)
    assert machine.spawns("alert.service") == ["true"], "waiting and starting together took longer"
    machine.run(30)
    assert machine.sub("a.service") == "exited"


@pytest.mark.parametrize("at", [2.0, 6.0])
def test_a_new_manager_goes_on_counting(at):
    waits = service(unit=f"{ORDERS[0]}\nJobTimeoutSec=5")
    runs = SLOW.replace(
        "[Service]", "OnFailure=alert.service\nJobRunningTimeoutSec=8\n[Service]", 1
    )
    machine = machine_of(at, a=waits, b=runs)
    machine.crash()
    machine.restart()
    machine.run(5.2 - at if at < 5 else 0.1)
    assert end_of(machine, "a.service") == ("failed", "timeout")
    machine.run(8.2 - 5.2)
    assert machine.spawns("alert.service") == ["true"]


def test_a_wait_that_a_stop_has_ended_does_not_count_for_the_next():
    machine = machine_of(4, a=service(unit=f"{ORDERS[0]}\nJobTimeoutSec=5"))
    machine.ask(Verb.STOP, "a.service")
    machine.run(6)
    machine.ask(Verb.START, "a.service")
    machine.run(4)
    assert end_of(machine, "a.service") == ("dead", "success")
    machine.run(1.1)
    assert end_of(machine, "a.service") == ("failed", "timeout")


def asked(machine: Machine, verb: Verb, name: str, seconds: float) -> list[str]:
    """What has been answered to a verb after so many seconds."""
    machine.ask(verb, name)
    machine.run(seconds)
    return [str(outcome) for reply in machine.orders(Reply) for _, outcome in reply.outcomes]


TARDY = ("ExecStart=/bin/tardy",)


@pytest.mark.parametrize("limits, at", LIMITS)
@pytest.mark.parametrize("verb", [Verb.STOP, Verb.RESTART])
def test_a_stop_that_takes_too_long_goes_on_and_nobody_waits_for_it(verb, limits, at):
    machine = machine_of(a=service(*TARDY, unit=f"{limits}\nOnFailure=alert.service"))
    assert asked(machine, verb, "a.service", at - 0.1) == []
    machine.run(0.2)
    [reply] = machine.orders(Reply)
    assert "its stop takes longer than" in str(reply)
    assert machine.spawns("alert.service") == ["true"]
    assert machine.sub("a.service") == "stop-sigterm"
    machine.run(20)
    assert machine.sub("a.service") == ("dead" if verb is Verb.STOP else "running")
    assert machine.state("a.service").job is None
    assert machine.spawns("alert.service") == ["true"], "told once"


def test_a_stop_counts_while_others_have_to_stop_first():
    """JobRunningTimeoutSec= does not: it begins with the stop itself."""
    after = service(*TARDY, unit="After=a.service b.service\nPartOf=a.service b.service")
    unit = "{}=5\nOnFailure=alert.service"
    a = service(unit=unit.format("JobTimeoutSec"))
    machine = machine_of(a=a, late=after)
    machine.ask(Verb.STOP, "a.service")
    machine.run(4.9)
    assert machine.orders(Reply) == []
    machine.run(0.2)
    assert "its stop takes longer than 5 s (JobTimeoutSec=)" in str(machine.orders(Reply))
    assert machine.sub("a.service") == "running" and machine.spawns("alert.service") == ["true"]
    machine.run(20)
    assert end_of(machine, "a.service") == ("dead", "success")
    assert machine.spawns("alert.service") == ["true"], "told once"
    machine = machine_of(b=service(unit=unit.format("JobRunningTimeoutSec")), late=after)
    machine.ask(Verb.STOP, "b.service")
    machine.run(30)
    assert end_of(machine, "b.service") == ("dead", "success")
    assert machine.spawns("alert.service") == []


def test_a_stop_that_is_taken_back_is_not_limited_any_more():
    late = service(*TARDY, unit="After=a.service\nPartOf=a.service")
    machine = machine_of(a=service(unit="JobTimeoutSec=5\nOnFailure=alert.service"), late=late)
    machine.ask(Verb.STOP, "a.service")
    machine.run(3)
    machine.ask(Verb.START, "a.service")
    machine.run(1)
    assert machine.state("a.service").job is None
    machine.run(30)
    assert machine.spawns("alert.service") == []
    assert machine.sub("a.service") == "running"


def test_a_restart_is_one_job_from_its_order_to_its_end():
    slow = ("ExecStart=/bin/tardy", "ExecStartPre=/bin/slow")
    machine = machine_of(0.0, a=service(*slow, unit="JobTimeoutSec=30\nOnFailure=alert.service"))
    machine.run(21)
    assert machine.sub("a.service") == "running"
    assert asked(machine, Verb.RESTART, "a.service", 29.9) == []
    assert machine.sub("a.service") == "start-pre", "15 s for the stop, 20 for the start"
    machine.run(0.2)
    assert "its start takes longer than 30 s" in str(machine.orders(Reply))
    assert machine.spawns("alert.service") == ["true"]


@pytest.mark.parametrize("limits, at", LIMITS)
def test_a_reload_that_takes_too_long_goes_on_and_nobody_waits_for_it(limits, at):
    lines = ("ExecStart=/bin/run", "ExecReload=/bin/slow")
    machine = machine_of(a=service(*lines, unit=f"{limits}\nOnFailure=alert.service"))
    assert asked(machine, Verb.RELOAD, "a.service", at - 0.1) == []
    machine.run(0.2)
    assert "its reload takes longer than" in str(machine.orders(Reply))
    assert machine.spawns("alert.service") == ["true"]
    assert machine.sub("a.service") == "reload"
    machine.run(20)
    assert machine.sub("a.service") == "running" and machine.state("a.service").job is None
    assert machine.told("unit.reloaded")


def test_a_new_manager_goes_on_counting_a_stop():
    machine = machine_of(a=service(*TARDY, unit="JobTimeoutSec=9\nOnFailure=alert.service"))
    machine.ask(Verb.STOP, "a.service")
    machine.run(4)
    machine.crash()
    machine.restart()
    machine.run(4.9)
    assert machine.spawns("alert.service") == []
    machine.run(0.3)
    assert machine.spawns("alert.service") == ["true"]


def test_what_an_older_manager_wrote_of_a_job_is_a_start():
    assert Job.restored(1.0, 2.0) == Job(1.0, 2.0, JobKind.START)
    assert Job.restored(1.0, None, "stop") == Job(1.0, None, JobKind.STOP)
