"""Health checks: when they run, what their results mean, and what becomes of the unit."""

from __future__ import annotations

import pytest

from gitproc.core.actions import Probe, Signal, Spawn
from gitproc.core.events import ProbeFailed, ProbeSucceeded, Slot, Verb
from tests.core.fake_kernel import Machine, Program, service

URL = "HealthCheckURL=http://127.0.0.1/health"


def machine_of(own: str, *lines: str, run: float = 0.5, **programs: Program) -> Machine:
    machine = Machine({"a.service": service(*lines, own=own)}, programs)
    machine.run(run)
    return machine


def probes(machine: Machine) -> list[float]:
    """Seconds after the start at which probes began."""
    return [
        round(at - 1000, 1)
        for at, action in machine.actions
        if isinstance(action, Probe)
        or (isinstance(action, Spawn) and action.process.slot is Slot.HEALTH)
    ]


def test_a_new_instance_is_probed_every_second_until_it_passes_then_at_its_interval():
    machine = machine_of(f"{URL}\nHealthCheckInterval=10")
    machine.healthy["a.service"] = False
    machine.run(2)
    machine.healthy["a.service"] = True
    machine.run(25)
    assert probes(machine) == [1.0, 2.0, 3.0, 13.0, 23.0]
    assert machine.told("unit.healthy") == ["unit.healthy a.service: health check passed"]


def test_failures_in_the_start_period_do_not_count_nor_those_of_the_first_interval():
    machine = machine_of(
        f"{URL}\nHealthCheckInterval=2\nHealthCheckStartPeriod=10\nHealthCheckRetries=1"
    )
    machine.healthy["a.service"] = False
    machine.run(9)
    assert machine.sub("a.service") == "running"
    assert not machine.told("unit.unhealthy")
    machine.run(2)
    assert machine.told("unit.unhealthy")


@pytest.mark.parametrize("restart", ["no", "on-failure", "always"])
def test_failures_in_a_row_restart_the_unit_whatever_its_policy(restart):
    machine = machine_of(f"{URL}\nHealthCheckInterval=2", f"Restart={restart}", run=5)
    machine.healthy["a.service"] = False
    machine.run(3.9)
    assert len(machine.told("unit.unhealthy")) == 2
    machine.run(2)
    assert machine.told("unit.unhealthy")[-1].endswith("(3/3): HTTP 500")
    assert machine.told("unit.restarting")
    machine.healthy["a.service"] = True
    machine.run(5)
    assert machine.sub("a.service") == "running"
    assert machine.spawns() == ["run", "run"]


def test_one_success_ends_the_row():
    machine = machine_of(f"{URL}\nHealthCheckInterval=2", run=5)
    for _ in range(3):
        machine.healthy["a.service"] = False
        machine.run(4)
        machine.healthy["a.service"] = True
        machine.run(2)
    assert machine.told("unit.unhealthy")
    assert machine.spawns() == ["run"]
    assert machine.state("a.service").health.failures == 0


def test_checks_written_in_service_restart_at_the_first_failure():
    machine = Machine({"a.service": service(URL, "HealthCheckInterval=2")})
    machine.run(5)
    machine.healthy["a.service"] = False
    machine.run(2.2)
    assert machine.spawns() == ["run", "run"]


def test_a_check_command_runs_in_the_unit_and_is_killed_when_it_takes_too_long():
    own = "HealthCheckExec=/bin/check\nHealthCheckInterval=2\nHealthCheckTimeout=1\nHealthCheckRetries=2"
    machine = machine_of(own, run=5, check=Program(lasts=0.1))
    assert machine.state("a.service").health.passed
    machine.programs["check"] = Program()
    machine.run(3.5)
    assert [order.signal for order in machine.orders(Signal, "a.service")] == [9]
    assert machine.told("unit.unhealthy")[0].endswith("health command was killed by signal 9/KILL")
    machine.run(4)
    assert machine.told("unit.restarting")


@pytest.mark.parametrize("check", [Program(lasts=0.1, status=2), Program(refused="USER")])
def test_a_check_command_that_fails_or_cannot_run_counts(check):
    own = "HealthCheckExec=/bin/check\nHealthCheckInterval=1\nHealthCheckRetries=1"
    machine = machine_of(own, run=5, check=check)
    assert machine.told("unit.unhealthy")


def test_a_stop_does_not_wait_for_a_check_command():
    own = "HealthCheckExec=/bin/check\nHealthCheckTimeout=30"
    machine = machine_of(own, run=1.5, check=Program(ignores=frozenset({15})))
    assert len(machine.alive()) == 2
    machine.ask(Verb.STOP, "a.service")
    machine.run(0.1)
    assert machine.sub("a.service") == "dead"
    assert not machine.alive()


def test_results_that_nobody_waits_for_mean_nothing():
    machine = machine_of(f"{URL}\nHealthCheckRetries=1\nHealthCheckInterval=1", run=3)
    state = machine.state("a.service")
    for event in (
        ProbeFailed("a.service", state.invocation, "late"),
        ProbeFailed("a.service", "0", "x"),
    ):
        machine.post(event)
    machine.post(ProbeSucceeded("b.service", "0"))
    assert machine.sub("a.service") == "running"
    assert state.health.failures == 0


def test_a_reload_goes_on_with_the_checks():
    machine = machine_of(
        f"{URL}\nHealthCheckInterval=2", "ExecReload=/bin/slow", slow=Program(lasts=3.0)
    )
    machine.run(2)
    before = len(probes(machine))
    machine.ask(Verb.RELOAD, "a.service")
    machine.run(2.5)
    assert len(probes(machine)) == before
    machine.run(6)
    assert len(probes(machine)) > before + 1


def test_checks_come_and_go_with_a_live_change():
    machine = machine_of(f"{URL}\nHealthCheckInterval=2", run=5)
    machine.commit({"a.service": service()})
    machine.run(0.5)
    before = len(probes(machine))
    machine.run(10)
    assert len(probes(machine)) == before
    machine.commit({"a.service": service(own=f"{URL}\nHealthCheckInterval=2")})
    machine.run(10)
    assert len(probes(machine)) > before
    assert machine.spawns() == ["run"]


def test_failures_are_remembered_over_a_crash_of_the_manager():
    machine = machine_of(f"{URL}\nHealthCheckInterval=2", run=5)
    machine.healthy["a.service"] = False
    machine.run(3.9)
    assert machine.state("a.service").health.failures == 2
    machine.crash()
    machine.restart()
    assert machine.state("a.service").health.failures == 2
    machine.run(3)
    assert machine.told("unit.restarting")
