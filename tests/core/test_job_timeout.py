"""Starts that wait too long, and starts that take too long."""

from __future__ import annotations

import pytest

from gitproc.core.actions import Reply
from gitproc.core.events import Verb
from tests.core.fake_kernel import Machine, Program, service

ALERT = service("Type=oneshot", "ExecStart=/bin/true", install=False)
SLOW = service("Type=oneshot", "ExecStart=/bin/slow", "RemainAfterExit=yes")
PROGRAMS = {"slow": Program(lasts=20)}
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


@pytest.mark.parametrize(
    "limits, at",
    [("JobRunningTimeoutSec=3", 3), ("JobTimeoutSec=4", 4), ("JobTimeoutSec=9\nJobRunningTimeoutSec=3", 3)],
)  # fmt: skip
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
