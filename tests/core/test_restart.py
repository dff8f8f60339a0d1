"""Restart=: the whole of systemd.service(5)'s table, what overrides it, and the start limit."""

from __future__ import annotations

import pytest

from gitproc.core.events import ExitCode, Verb
from gitproc.core.properties import properties
from gitproc.core.restart import (
    restart_delay,
    restart_reset,
    result_of_exit,
    shall_restart,
    start_limit_hit,
)
from gitproc.core.states import Result
from gitproc.core.status import unit_status
from gitproc.core.unit_state import LastExit, UnitState
from gitproc.core.world import Settings
from gitproc.units.unit import Unit
from tests.core import fake_kernel
from tests.core.fake_kernel import Machine
from tests.units.trees import tree

POLICIES = ("no", "always", "on-success", "on-failure", "on-abnormal", "on-abort", "on-watchdog")

# systemd.service(5), "Restart=", with what systemd's source adds; a column for each of POLICIES.
TABLE = {
    Result.SUCCESS: " xx    ",
    Result.EXIT_CODE: " x x   ",
    Result.SIGNAL: " x xxx ",
    Result.CORE_DUMP: " x xxx ",
    Result.TIMEOUT: " x xx  ",
    Result.WATCHDOG: " x xx x",
    Result.OOM_KILL: " x xx  ",
    Result.PROTOCOL: " x xx  ",
    Result.RESOURCES: " x xx  ",
    Result.START_LIMIT_HIT: "       ",
    Result.ASSERT: "       ",
    Result.DEPENDENCY: "       ",
    Result.EXEC_CONDITION: "       ",
}


def service(*lines: str) -> Unit:
    text = "[Service]\nExecStart=/bin/run\n" + "\n".join(lines) + "\n"
    return tree({"a.service": text}).units["a.service"]


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("result", TABLE)
def test_the_table(policy, result):
    unit = service(f"Restart={policy}")
    expected = TABLE[result][POLICIES.index(policy)] == "x"
    assert shall_restart(unit, result, LastExit()) is expected


@pytest.mark.parametrize("policy", POLICIES)
def test_prevent_beats_force_and_both_beat_the_table(policy):
    unit = service(
        f"Restart={policy}",
        "RestartPreventExitStatus=7 SIGUSR1",
        "RestartForceExitStatus=7 8 SIGUSR2",
    )
    for code, status, expected in (
        (ExitCode.EXITED, 7, False),
        (ExitCode.EXITED, 8, True),
        (ExitCode.KILLED, 10, False),
        (ExitCode.KILLED, 12, True),
        (ExitCode.DUMPED, 12, True),
    ):
        for result in (Result.SUCCESS, Result.EXIT_CODE, Result.SIGNAL):
            assert shall_restart(unit, result, LastExit(code, status)) is expected


def test_a_number_is_no_signal_and_a_signal_no_number():
    unit = service("RestartForceExitStatus=10 SIGUSR2")
    assert not shall_restart(unit, Result.SUCCESS, LastExit(ExitCode.KILLED, 10))
    assert not shall_restart(unit, Result.SUCCESS, LastExit(ExitCode.EXITED, 12))
    assert not shall_restart(unit, Result.SUCCESS, LastExit(ExitCode.LOST, 10))


CLEAN = {1, 2, 13, 15}


@pytest.mark.parametrize("status", [1, 2, 9, 13, 15])
def test_clean_signals_count_for_the_main_process_of_what_is_not_oneshot(status):
    expected = Result.SUCCESS if status in CLEAN else Result.SIGNAL
    assert result_of_exit(service(), ExitCode.KILLED, status, main=True) is expected
    assert result_of_exit(service(), ExitCode.KILLED, status, main=False) is Result.SIGNAL
    oneshot = service("Type=oneshot")
    assert result_of_exit(oneshot, ExitCode.KILLED, status, main=True) is Result.SIGNAL


def test_success_exit_status_counts_for_the_main_process_alone():
    unit = service("SuccessExitStatus=3 SIGUSR1")
    for code, status in ((ExitCode.EXITED, 3), (ExitCode.KILLED, 10), (ExitCode.DUMPED, 10)):
        assert result_of_exit(unit, code, status, main=True) is Result.SUCCESS
        assert result_of_exit(unit, code, status, main=False) is not Result.SUCCESS
    assert result_of_exit(unit, ExitCode.EXITED, 4, main=True) is Result.EXIT_CODE
    assert result_of_exit(unit, ExitCode.DUMPED, 6, main=True) is Result.CORE_DUMP
    assert result_of_exit(unit, ExitCode.LOST, 0, main=True) is Result.EXIT_CODE


def test_a_kill_after_the_oom_killer_struck_is_its_doing():
    assert result_of_exit(service(), ExitCode.KILLED, 9, main=True, oom=True) is Result.OOM_KILL
    assert result_of_exit(service(), ExitCode.KILLED, 6, main=True, oom=True) is Result.SIGNAL


def test_the_delay_is_the_units_or_the_hosts():
    settings = Settings(restart_sec=0.5)
    assert restart_delay(service(), settings) == 0.5
    assert restart_delay(service("RestartSec=3"), settings) == 3
    assert restart_reset(service(), settings) == 60
    assert restart_reset(service("RestartSec=20"), settings) == 200


GROWING = ("RestartSec=1", "RestartSteps=4", "RestartMaxDelaySec=16")


@pytest.mark.parametrize(
    ("lines", "delays"),
    [
        (GROWING, [1, 2, 4, 8, 16, 16]),
        (("RestartSec=1", "RestartSteps=1", "RestartMaxDelaySec=9"), [1, 9, 9]),
        (("RestartSec=1", "RestartSteps=3"), [1, 1, 1]),
        (("RestartSec=1", "RestartMaxDelaySec=9"), [1, 1, 1]),
        (("RestartSec=0", "RestartSteps=3", "RestartMaxDelaySec=9"), [0, 0, 0]),
        (("RestartSec=9", "RestartSteps=3", "RestartMaxDelaySec=9"), [9, 9]),
        (("RestartSec=9", "RestartSteps=3", "RestartMaxDelaySec=5"), [9, 9]),
        (("RestartSteps=2", "RestartMaxDelaySec=10"), [0.1, 1, 10, 10]),
    ],
)
def test_the_delay_grows_by_the_same_factor_in_steps(lines, delays):
    unit = service(*lines)
    found = [restart_delay(unit, Settings(), i) for i in range(1, len(delays) + 1)]
    assert found == pytest.approx(delays)


def test_restarts_are_forgotten_after_ten_times_the_present_delay():
    assert restart_reset(service(*GROWING), Settings(), 1) == 60
    assert restart_reset(service(*GROWING), Settings(), 5) == 160


@pytest.mark.parametrize(
    ("lines", "starts", "at", "hit"),
    [
        ((), (0, 1, 2, 3), 4, False),
        ((), (0, 1, 2, 3, 4), 5, True),
        ((), (0, 1, 2, 3, 4), 9.9, True),
        ((), (0, 1, 2, 3, 4), 10, False),
        (("StartLimitBurst=2",), (0, 1), 2, True),
        (("StartLimitIntervalSec=3",), (0, 1, 2, 3, 4), 5, False),
        (("StartLimitIntervalSec=0",), (0, 0, 0, 0, 0, 0), 0, False),
        (("StartLimitBurst=0",), (0, 0, 0, 0, 0, 0), 0, False),
    ],
)
def test_five_starts_in_ten_seconds(lines, starts, at, hit):
    text = "[Unit]\n" + "\n".join(lines) + "\n[Service]\nExecStart=/bin/run\n"
    unit = tree({"a.service": text}).units["a.service"]
    state = UnitState("a.service", starts=list(map(float, starts)))
    assert start_limit_hit(state, unit, Settings(), at) is hit


def test_every_result_is_in_the_table():
    limits = {Result.UNIT_START_LIMIT_HIT, Result.TRIGGER_LIMIT_HIT, Result.SERVICE_START_LIMIT_HIT}
    own = {Result.HEALTH_CHECK, *limits}
    assert set(TABLE) | own == set(Result)
    assert all(len(row) == len(POLICIES) for row in TABLE.values())


def test_a_loop_ends_at_the_limit_and_people_have_none():
    """Decision 9: as many starts as StartLimitBurst= says, the first among them; an operator begins anew."""
    limit = "StartLimitBurst=3"
    machine = Machine(
        {"a.service": fake_kernel.service("Restart=always", "ExecStart=/bin/crash", unit=limit)}
    )
    for starts in (3, 6):
        machine.run(5)
        assert machine.state("a.service").result is Result.START_LIMIT_HIT
        assert machine.spawns("a.service") == ["crash"] * starts
        machine.ask(Verb.START, "a.service")
    machine = Machine({"a.service": fake_kernel.service("Restart=always", unit=limit)})
    for _ in range(9):
        machine.ask(Verb.RESTART, "a.service")
        machine.run(0.2)
        assert machine.sub("a.service") == "running"


def test_restarts_are_forgotten_after_a_while_of_being_up():
    own = "RestartResetSec=30"
    text = fake_kernel.service("Restart=always", "RestartSec=1", own=own)
    machine = Machine({"a.service": text})
    machine.run(1)
    machine.exit(machine.main("a.service"), 1)
    machine.run(20)
    assert shown(machine, "NRestarts", "RestartResetUSec") == ["1", "30s"]
    machine.run(15)
    assert shown(machine, "NRestarts") == ["0"]


def shown(machine, *names):
    status = unit_status(machine.world, "a.service", 0.0)
    found = properties(
        machine.world, "a.service", {**status, "cgroup": "", "memory": 0, "tasks": 0}
    )
    return [found[name] for name in names]
