"""Deadlines that a service keeps or moves: its watchdog, its run time, EXTEND_TIMEOUT_USEC=, failure modes."""

from __future__ import annotations

import pytest

from gitproc.core.actions import Signal, SignalTree, Spawn
from gitproc.core.events import OutOfMemory, Slot, Verb
from tests.core.fake_kernel import Machine, Program, service

ABRT, KILL, TERM = 6, 9, 15
NAME = "a.service"
STUBBORN = Program(ignores=frozenset({ABRT, TERM}))


def machine_of(*lines: str, run: float = 0.5, **programs: Program) -> Machine:
    machine = Machine({NAME: service(*lines)}, programs)
    machine.run(run)
    return machine


def beat(machine: Machine, seconds: float, every: float, **fields: str) -> None:
    for _ in range(round(seconds / every)):
        machine.say(machine.main(NAME), **(fields or {"WATCHDOG": "1"}))
        machine.run(every)


def signals(machine: Machine) -> list[int]:
    return [x.signal for x in machine.orders(SignalTree, NAME)]


def end_of(machine: Machine) -> tuple[str, str]:
    return machine.sub(NAME), machine.state(NAME).result.value


def test_silence_is_ended_by_sigabrt_and_its_first_cause_sticks():
    machine = machine_of("WatchdogSec=2")
    beat(machine, 10, 1)
    assert machine.sub(NAME) == "running"
    machine.run(2.5)
    assert end_of(machine) == ("failed", "watchdog")
    assert signals(machine) == [ABRT]
    assert (machine.state(NAME).last_exit.code, machine.state(NAME).last_exit.status) == (
        "killed",
        ABRT,
    )
    assert len(machine.told("unit.watchdog")) == 1


def test_the_environment_names_the_interval_to_the_service_alone():
    machine = machine_of("WatchdogSec=1500ms", "ExecStartPre=/bin/true", "ExecStopPost=/bin/true")
    machine.run(3)
    given = {x.command.path: x.variables for x in machine.orders(Spawn)}
    assert given["/bin/run"] == ("WATCHDOG_USEC=1500000",)
    assert not any("WATCHDOG" in each for each in given["/bin/true"])


def test_a_heartbeat_costs_no_record():
    machine = machine_of("WatchdogSec=10", run=6)
    disk, seen = dict(machine.disk), len(machine.actions)
    beat(machine, 5, 1)
    assert (machine.disk, len(machine.actions)) == (disk, seen)


def test_who_ignores_the_signal_is_killed_after_timeout_abort_sec():
    for lines, after in (("TimeoutAbortSec=3", 3), ("TimeoutStopSec=7", 7)):
        machine = machine_of("WatchdogSec=2", lines, "ExecStart=/bin/deaf", deaf=STUBBORN)
        machine.run(2)
        assert machine.sub(NAME) == "stop-watchdog"
        machine.run(after - 1)
        assert machine.sub(NAME) == "stop-watchdog"
        machine.run(1.5)
        assert end_of(machine) == ("failed", "watchdog")
        assert signals(machine) == [ABRT, KILL]


def test_another_signal_may_abort_it():
    machine = machine_of("WatchdogSec=1", "WatchdogSignal=SIGUSR1", run=2)
    assert signals(machine) == [10]
    assert end_of(machine) == ("failed", "watchdog")


@pytest.mark.parametrize("policy", ["on-failure", "on-abnormal", "on-watchdog", "always"])
def test_a_service_that_hangs_is_restarted_and_watched_again(policy):
    machine = machine_of("WatchdogSec=1", f"Restart={policy}", "RestartSec=1")
    machine.run(1)
    assert machine.sub(NAME) == "auto-restart"
    machine.run(1.1)
    assert machine.sub(NAME) == "running"
    machine.run(1)
    assert machine.state(NAME).restarts == 2


def test_it_may_say_itself_that_it_is_broken_and_change_the_interval():
    machine = machine_of("WatchdogSec=100")
    machine.say(machine.main(NAME), WATCHDOG="trigger")
    machine.run(0.1)
    assert end_of(machine) == ("failed", "watchdog")
    machine = machine_of("WatchdogSec=100")
    machine.say(machine.main(NAME), WATCHDOG_USEC="2000000")
    machine.run(1.5)
    assert machine.sub(NAME) == "running"
    machine.run(1)
    assert end_of(machine) == ("failed", "watchdog")
    for never in ("0", str(2**64 - 1)):
        machine = machine_of("WatchdogSec=2")
        machine.say(machine.main(NAME), WATCHDOG_USEC=never)
        machine.run(100)
        assert machine.sub(NAME) == "running"


@pytest.mark.parametrize("text", ["", "-1", "soon", "1.5", "9" * 30, "\u0661"])
def test_intervals_that_are_none_change_nothing(text):
    machine = machine_of("WatchdogSec=2")
    machine.say(machine.main(NAME), WATCHDOG_USEC=text, EXTEND_TIMEOUT_USEC=text)
    machine.run(2.1)
    assert end_of(machine) == ("failed", "watchdog")


def test_another_manager_gives_a_whole_interval_and_keeps_the_one_that_was_said():
    machine = machine_of("WatchdogSec=100")
    machine.say(machine.main(NAME), WATCHDOG_USEC="3000000")
    machine.run(2)
    machine.crash()
    machine.restart()
    machine.run(2.5)
    assert machine.sub(NAME) == "running"
    machine.run(1)
    assert end_of(machine) == ("failed", "watchdog")


def test_runtime_max_sec_stops_it_with_its_stop_commands_and_fails():
    machine = machine_of("RuntimeMaxSec=5", "ExecStop=/bin/true bye")
    machine.run(4)
    assert machine.sub(NAME) == "running"
    machine.run(1)
    assert machine.spawns() == ["run", "true bye"]
    assert end_of(machine) == ("failed", "timeout")


def test_the_run_time_counts_from_the_start_over_reloads_and_crashes_of_the_manager():
    machine = machine_of("RuntimeMaxSec=5", "ExecReload=/bin/true")
    machine.run(2)
    machine.ask(Verb.RELOAD, NAME)
    machine.run(1)
    machine.crash()
    machine.restart()
    machine.run(1)
    assert machine.sub(NAME) == "running"
    machine.run(1)
    assert end_of(machine) == ("failed", "timeout")


def test_extra_run_time_differs_between_starts_and_stays_within_its_bounds():
    deadlines = set()
    for name in "abcdefgh":
        machine = Machine()
        machine.world.seed = name
        text = service("RuntimeMaxSec=10", "RuntimeRandomizedExtraSec=20")
        machine.commit({f"{name}.service": text})
        machine.run(0.5)
        state = machine.state(f"{name}.service")
        assert state.deadline is not None and state.active_since is not None
        deadlines.add(state.deadline - state.active_since)
    assert len(deadlines) > 1
    assert all(10 <= x < 30 for x in deadlines)


def test_oneshots_run_as_long_as_they_take():
    machine = machine_of(
        "Type=oneshot", "RemainAfterExit=yes", "RuntimeMaxSec=1", "ExecStart=/bin/true"
    )
    machine.run(10)
    assert machine.sub(NAME) == "exited"


def extending(*lines: str, **programs: Program) -> Machine:
    return machine_of("NotifyAccess=main", *lines, run=0.5, **programs)


def test_a_start_may_be_extended_in_time_and_not_afterwards():
    machine = extending("Type=notify", "TimeoutStartSec=2", "ExecStart=/bin/mute")
    beat(machine, 10, 1, EXTEND_TIMEOUT_USEC="1500000")
    assert machine.sub(NAME) == "start"
    machine.run(2)
    assert end_of(machine) == ("failed", "timeout")


def test_extending_never_makes_a_deadline_nearer_nor_makes_one():
    machine = extending("Type=notify", "TimeoutStartSec=10", "ExecStart=/bin/mute")
    machine.say(machine.main(NAME), EXTEND_TIMEOUT_USEC="1000000")
    machine.run(8)
    assert machine.sub(NAME) == "start"
    machine = extending()
    machine.say(machine.main(NAME), EXTEND_TIMEOUT_USEC="1000000")
    machine.run(10)
    assert machine.sub(NAME) == "running"


def test_run_time_and_stop_may_be_extended_over_a_crash_of_the_manager():
    slow = Program(takes=6.0, on_signal=0)
    machine = extending("RuntimeMaxSec=3", "TimeoutStopSec=2", "ExecStart=/bin/slow", slow=slow)
    machine.say(machine.main(NAME), EXTEND_TIMEOUT_USEC="5000000")
    machine.crash()
    machine.restart()
    machine.run(4.9)
    assert machine.sub(NAME) == "running"
    machine.run(0.2)
    assert machine.sub(NAME) == "stop-sigterm"
    machine.say(machine.main(NAME), EXTEND_TIMEOUT_USEC="20000000")
    machine.run(7)
    assert end_of(machine) == ("failed", "timeout")
    assert KILL not in signals(machine)


def test_the_watchdog_is_extended_too():
    machine = machine_of("WatchdogSec=2")
    machine.say(machine.main(NAME), EXTEND_TIMEOUT_USEC="5000000")
    machine.run(4.5)
    assert machine.sub(NAME) == "running"
    machine.run(1)
    assert end_of(machine) == ("failed", "watchdog")


@pytest.mark.parametrize(
    ("mode", "sent"), [("terminate", [TERM]), ("abort", [ABRT]), ("kill", [KILL])]
)
def test_how_a_start_that_takes_too_long_is_ended(mode, sent):
    machine = machine_of(
        "Type=notify", "ExecStart=/bin/mute", "TimeoutStartSec=1", f"TimeoutStartFailureMode={mode}"
    )
    machine.run(2)
    assert signals(machine) == sent
    assert end_of(machine) == ("failed", "timeout")


@pytest.mark.parametrize(
    ("mode", "sent"),
    [("terminate", [TERM, KILL]), ("abort", [TERM, ABRT, KILL]), ("kill", [TERM, KILL])],
)
def test_how_a_stop_that_takes_too_long_is_ended(mode, sent):
    machine = machine_of(
        "ExecStart=/bin/deaf", "RuntimeMaxSec=1", "TimeoutStopSec=1",
        f"TimeoutStopFailureMode={mode}", deaf=STUBBORN,
    )  # fmt: skip
    machine.run(5)
    assert signals(machine) == sent
    assert end_of(machine) == ("failed", "timeout")


@pytest.mark.parametrize(("mode", "sent"), [("abort", ABRT), ("kill", KILL), ("terminate", TERM)])
def test_how_a_stop_command_that_takes_too_long_leads_on(mode, sent):
    machine = machine_of(
        "RuntimeMaxSec=1",
        "ExecStop=/bin/mute",
        "TimeoutStopSec=1",
        f"TimeoutStopFailureMode={mode}",
    )
    machine.run(5)
    assert signals(machine) == [sent]
    killed = [x for x in machine.orders(Signal) if x.process.slot is Slot.CONTROL]
    assert killed[0].signal == KILL


@pytest.mark.parametrize(
    ("policy", "sub", "result", "sent"),
    [
        ("", "failed", "oom-kill", TERM),
        ("OOMPolicy=kill", "failed", "oom-kill", KILL),
        ("OOMPolicy=continue", "running", "success", None),
        ("Delegate=yes", "running", "success", None),
    ],
)
def test_what_follows_an_oom_kill(policy, sub, result, sent):
    machine = machine_of("ExecStart=/bin/brood", policy)
    machine.post(OutOfMemory(NAME, machine.state(NAME).invocation))
    machine.run(1)
    assert end_of(machine) == (sub, result)
    assert next(iter(signals(machine)), None) == sent
    assert machine.told("unit.oom-kill")
