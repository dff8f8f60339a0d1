"""Timers: when they elapse, what that starts, and what is remembered of it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from gitproc.core.events import Verb
from gitproc.core.occasions import ClockSet, ZoneSet
from gitproc.core.timers import next_at
from tests.core.fake_kernel import Machine, Program, service

JOB = service("Type=oneshot", "ExecStart=/bin/true", install=False)
UNLIMITED = "StartLimitIntervalSec=0"
WALL = datetime(2026, 3, 2, 10, 0, 0, tzinfo=UTC).timestamp()  # a Monday


def timer(*lines: str, accuracy: str = "1us") -> str:
    body = "\n".join((*lines, f"AccuracySec={accuracy}"))
    return f"[Timer]\n{body}\n[Install]\nWantedBy=timers.target\n"


def machine_of(*lines: str, job: str = JOB, wall: float = WALL - 1000.0, **more: str) -> Machine:
    machine = Machine()
    machine.clock.wall = wall
    machine.clock.started = machine.now
    machine.commit({"a.timer": timer(*lines, **more), "a.service": job})
    machine.run(0)
    return machine


def starts(machine: Machine) -> list[float]:
    """When the job was ordered, in seconds since the machine of the test began."""
    from gitproc.core.actions import Spawn

    return [
        round(at - 1000, 2)
        for at, action in machine.actions
        if isinstance(action, Spawn) and action.unit.name == "a.service"
    ]


def boot(machine: Machine, seconds: float) -> None:
    """The machine is off for so long."""
    machine.clock.wall += machine.now + seconds - 10
    machine.clock.started = 10.0
    machine.reboot()


def left(machine: Machine) -> float | None:
    state = machine.state("a.timer").timer
    at = next_at(machine.world, state) if state is not None else None
    return None if at is None else round(at - machine.clock.wall - machine.now, 3)


def test_once_after_activation_and_then_it_has_elapsed():
    machine = machine_of("OnActiveSec=5")
    assert left(machine) == 5
    machine.run(4)
    assert (starts(machine), machine.sub("a.timer")) == ([], "waiting")
    machine.run(60)
    assert (starts(machine), machine.sub("a.timer")) == ([5.0], "elapsed")
    assert left(machine) is None
    assert machine.state("a.timer").up


def test_it_runs_while_its_unit_does():
    machine = machine_of("OnActiveSec=5", "OnUnitInactiveSec=10", job=service(install=False))
    machine.run(20)
    assert machine.sub("a.timer") == "running"
    machine.exit(machine.main("a.service"))
    machine.run(9)
    assert machine.sub("a.timer") == "waiting"
    machine.run(2)
    assert starts(machine) == [5.0, 30.0]


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (("OnBootSec=1010",), [10.0]),
        (("OnBootSec=10",), [0.0]),  # long past: at once
        (("OnStartupSec=7",), [7.0]),
        (("OnActiveSec=0", "OnUnitActiveSec=20"), [0.0, 20.0, 40.0, 60.0]),
        (("OnActiveSec=5", "OnActiveSec=9", "OnActiveSec=30"), [5.0, 9.0, 30.0]),
        (("OnUnitActiveSec=20",), []),  # never started yet: nothing to count from
        (("OnActiveSec=5", "OnActiveSec=", "OnBootSec=1008"), [8.0]),
        (("OnBootSec=1008", "OnCalendar=", "OnActiveSec=9"), [9.0]),
        (("OnActiveSec=infinity", "OnActiveSec=3"), [3.0]),
        (("OnCalendar=*:*:0/20",), [20.0, 40.0, 60.0]),
        (("OnCalendar=10:00:15", "OnCalendar=10:00:45"), [15.0, 45.0]),
        (("OnCalendar=11:00:15 Europe/Berlin",), [15.0]),
        (("OnCalendar=2020-01-01",), []),
        (("OnCalendar=*:*:0/30", "RandomizedOffsetSec=0"), [30.0, 60.0]),
    ],
)
def test_when_it_elapses(lines, expected):
    machine = machine_of(*lines)
    machine.run(70)
    assert starts(machine) == pytest.approx(expected, abs=0.05)


def test_accuracy_lets_it_wait_for_others_and_no_longer():
    machine = machine_of("OnActiveSec=100", accuracy="1min")
    machine.run(300)
    [at] = starts(machine)
    assert 100 <= at <= 160
    other = machine_of("OnActiveSec=110", accuracy="1min")
    other.run(300)
    assert (starts(other)[0] - at) % 60 == pytest.approx(0, abs=0.01)


def test_random_delays():
    delays = set()
    for name in "bcdefgh":
        machine = Machine()
        job = {f"{name}.timer": timer("OnActiveSec=100", "RandomizedDelaySec=50")}
        machine.commit({**job, f"{name}.service": JOB})
        machine.run(0)
        state = machine.state(f"{name}.timer").timer
        assert state is not None and state.monotonic is not None
        delays.add(state.monotonic - 1100)
    assert len(delays) > 1 or machine.world.seed  # the seed is the same, and so is the delay
    assert all(0 <= delay < 50 for delay in delays)
    fixed = []
    for _ in range(2):
        machine = machine_of("OnActiveSec=100", "RandomizedDelaySec=50", "FixedRandomDelay=yes")
        fixed.append(left(machine))
    assert fixed[0] == fixed[1]
    machine.clock.machine = "another"
    machine.post(ClockSet(machine.clock.wall))
    assert left(machine) != fixed[0]


def test_a_random_delay_is_drawn_once():
    machine = machine_of("OnActiveSec=100", "RandomizedDelaySec=50")
    first = machine.state("a.timer").timer
    at = first.monotonic if first else None
    machine.ask(Verb.RESET_FAILED, "a.timer")
    machine.run(1)
    machine.crash()
    machine.restart()
    machine.run(1)
    again = machine.state("a.timer").timer
    assert again is not None and again.monotonic == at


def test_an_elapse_missed_while_it_ran_starts_it_again_at_once_or_is_deferred():
    machine = machine_of("OnCalendar=*:*:0/20", job=service(install=False))
    machine.run(45)
    machine.exit(machine.main("a.service"))
    machine.run(1)
    assert starts(machine) == pytest.approx([20.0, 45.0], abs=0.1)
    machine = machine_of("OnCalendar=*:*:0/20", "DeferReactivation=yes", job=service(install=False))
    machine.run(45)
    machine.exit(machine.main("a.service"))
    machine.run(20)
    assert starts(machine) == pytest.approx([20.0, 60.0], abs=0.1)


def test_remain_after_elapse_no_ends_it_and_the_commit_is_good():
    machine = machine_of("OnActiveSec=1", "RemainAfterElapse=no")
    machine.run(30)
    assert machine.sub("a.timer") == "dead"
    assert starts(machine) == [1.0]
    assert list(machine.world.verdicts.values()) == ["good"]
    machine.ask(Verb.START, "a.timer")
    machine.run(30)
    assert len(starts(machine)) == 2


def test_persistent_timers_catch_up_after_a_boot():
    lines = ("OnCalendar=hourly", "Persistent=yes")
    machine = machine_of(*lines)
    machine.run(3700)
    assert starts(machine) == pytest.approx([3600.0], abs=0.1)
    before = len(starts(machine))
    boot(machine, 3 * 3600)
    machine.run(1)
    assert len(starts(machine)) == before + 1
    machine.run(60)
    assert len(starts(machine)) == before + 1


def test_others_do_not_catch_up_and_the_first_start_catches_up_on_nothing():
    machine = machine_of("OnCalendar=hourly")
    machine.run(3700)
    boot(machine, 3 * 3600)
    machine.run(1)
    assert len(starts(machine)) == 1
    machine = machine_of("OnCalendar=hourly", "Persistent=yes")
    machine.run(10)
    assert starts(machine) == []


def test_a_stamp_in_the_future_is_not_believed():
    machine = machine_of("OnCalendar=hourly", "Persistent=yes")
    machine.disk["stamp/a.timer"] = WALL + 10**9
    machine.reboot()
    rest = left(machine)
    assert rest is not None
    assert rest <= 3600


def test_stopping_and_starting_a_persistent_timer_does_not_repeat_itself():
    machine = machine_of("OnCalendar=hourly", "Persistent=yes")
    machine.run(3700)
    machine.ask(Verb.STOP, "a.timer")
    machine.run(10)
    assert machine.sub("a.timer") == "dead"
    machine.ask(Verb.START, "a.timer")
    machine.run(10)
    assert len(starts(machine)) == 1


def test_the_clock_is_set():
    machine = machine_of("OnCalendar=12:00")
    assert left(machine) == 7200
    machine.post(ClockSet(machine.clock.wall + 7000))
    assert left(machine) == 200
    machine.post(ClockSet(machine.clock.wall + 300))
    machine.run(1)
    assert len(starts(machine)) == 1  # 12:00 has been passed over
    machine = machine_of("OnClockChange=yes")
    assert machine.sub("a.timer") == "waiting"
    machine.post(ClockSet(machine.clock.wall + 1))
    machine.run(1)
    assert len(starts(machine)) == 1
    assert machine.sub("a.timer") == "waiting"


def test_the_clock_is_set_back_behind_the_last_elapse():
    machine = machine_of("OnCalendar=*:*:0/20")
    machine.run(41)
    machine.post(ClockSet(machine.clock.wall - 3600))
    machine.run(20)
    assert starts(machine) == pytest.approx([20.0, 40.0, 60.0], abs=0.1)


def test_the_zone_is_changed():
    zones = {"": "UTC"}
    machine = machine_of("OnCalendar=12:00")
    from zoneinfo import ZoneInfo

    machine.clock.zones = lambda name: ZoneInfo(name or zones[""])
    zones[""] = "Europe/Berlin"
    machine.post(ZoneSet("Europe/Berlin"))
    assert left(machine) == 3600
    machine = machine_of("OnTimezoneChange=yes")
    machine.post(ZoneSet("x"))
    machine.run(1)
    assert len(starts(machine)) == 1


def test_an_unknown_zone_fails_the_timer_and_the_commit():
    machine = machine_of("OnActiveSec=1")
    machine.clock.zones = lambda name: None if name else UTC
    sha = machine.commit({"a.timer": timer("OnCalendar=12:00 Asia/Nowhere"), "a.service": JOB})
    machine.run(10)
    assert machine.sub("a.timer") == "failed"
    assert "Asia/Nowhere" in machine.state("a.timer").message
    assert machine.verdict(sha) == "failed"


def test_a_changed_timer_is_armed_anew_and_a_removed_one_is_quiet():
    machine = machine_of("OnActiveSec=100")
    machine.run(50)
    machine.commit({"a.timer": timer("OnActiveSec=20"), "a.service": JOB})
    machine.run(1)
    assert left(machine) == 19
    machine.commit({"a.service": JOB})
    machine.run(100)
    assert starts(machine) == []
    assert machine.sub("a.timer") == "dead"


def test_a_crash_of_the_manager_changes_nothing():
    machine = machine_of("OnActiveSec=5", "OnUnitActiveSec=20")
    machine.run(12)
    machine.crash()
    machine.now += 3
    machine.restart()
    machine.run(40)
    assert starts(machine) == pytest.approx([5.0, 25.0, 45.0], abs=0.1)
    machine.crash()
    machine.now += 60  # an elapse passes while nobody is there
    machine.restart()
    machine.run(1)
    assert starts(machine)[3:] == pytest.approx([115.0], abs=0.1)


@pytest.mark.parametrize("differs", [-0.1, -0.00001, 0.00001, 0.1])
def test_a_manager_that_reads_the_clocks_otherwise_lets_no_elapse_come_twice(differs):
    machine = machine_of("OnCalendar=*:*:0/5", "Persistent=yes")
    machine.run(7)
    machine.crash()
    machine.clock.wall += differs
    machine.restart()
    machine.run(14)
    assert starts(machine) == pytest.approx([5.0, 10.0, 15.0, 20.0], abs=0.11)


def test_a_stamp_that_a_later_clock_has_not_reached_is_of_an_elapse_that_has_been():
    machine = machine_of("OnCalendar=*:*:0/5", "Persistent=yes")
    machine.run(7)
    machine.crash()
    machine.clock.wall -= 0.1
    machine.restart()
    machine.run(3.05)
    machine.ask(Verb.RESTART, "a.timer")
    machine.run(4)
    assert starts(machine) == pytest.approx([5.0, 10.0], abs=0.01)


def test_a_held_unit_is_not_started_and_that_is_said_once():
    machine = machine_of("OnCalendar=*:*:0/20")
    machine.ask(Verb.STOP, "a.service")
    machine.run(100)
    assert starts(machine) == []
    assert len(machine.told("unit.not-triggered")) == 1
    machine.ask(Verb.START, "a.service")
    machine.run(30)
    assert len(starts(machine)) == 2


def test_a_held_timer_is_quiet():
    machine = machine_of("OnCalendar=*:*:0/20")
    machine.ask(Verb.STOP, "a.timer")
    machine.run(100)
    assert starts(machine) == []


def test_a_timer_that_is_always_due_does_not_spin():
    machine = machine_of("OnActiveSec=0", "OnUnitActiveSec=0")
    machine.run(30)
    assert len(starts(machine)) == 15  # five in ten seconds
    assert machine.steps < 2000


def test_a_target_of_another_kind_and_a_failing_one():
    machine = Machine()
    body = timer("OnActiveSec=1", "Unit=b.target")
    machine.commit({"a.timer": body, "b.target": "[Unit]\nWants=a.service", "a.service": JOB})
    machine.run(3)
    assert machine.sub("b.target") == "active"
    assert starts(machine) == [1.0]
    assert machine.sub("a.timer") == "running"
    machine = machine_of("OnCalendar=*:*:0/20", job=JOB.replace("/bin/true", "/bin/false"))
    machine.run(70)
    assert len(starts(machine)) == 3
    assert machine.sub("a.service") == "failed"
    assert machine.sub("a.timer") == "waiting"


def test_shutdown_starts_nothing():
    machine = machine_of("OnCalendar=*:*:0/20", job=service("ExecStart=/bin/slow", install=False))
    machine.programs["slow"] = Program(takes=60, on_signal=0)
    machine.run(25)
    machine.shutdown()
    machine.run(200)
    assert len(starts(machine)) == 1
    assert machine.exited


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ("[Timer]\nUnit=a.service\n", "missing: a timer needs OnCalendar="),
        ("[Timer]\nOnCalendar=never\n", "'never' does not fit into a calendar expression"),
        ("[Timer]\nOnCalendar=daily Mars/Crater\n", "does not fit into a calendar expression"),
        ("[Timer]\nOnActiveSec=x\n", "OnActiveSec: "),
        ("[Timer]\nOnActiveSec=1\nUnit=a.timer\n", "cannot be started by this unit"),
        ("[Timer]\nOnActiveSec=1\nUnit=a@.service\n", "name an instance"),
        ("[Timer]\nOnActiveSec=1\n[Service]\n", "[Service] does not belong in a timer unit"),
    ],
)
def test_wrong_timers_are_refused(body, problem):
    machine = Machine({"a.timer": body, "a.service": JOB})
    assert machine.world.refused is not None
    [one] = machine.world.refused.diagnostics
    assert problem in str(one)


@pytest.mark.parametrize("verb", [Verb.START, Verb.RESTART, Verb.TRY_RESTART])
@pytest.mark.parametrize("program", ["takes its time", "fails late"])
def test_who_starts_a_job_hears_of_its_end_though_the_timer_starts_it_again_at_once(verb, program):
    job = service("Type=oneshot", "ExecStart=/bin/long", unit=UNLIMITED, install=False)
    machine = machine_of("OnCalendar=*:*:*", job=job)
    machine.programs = {"long": Program(lasts=1.3, status=int(program == "fails late"))}
    machine.run(1.5)
    request = machine.ask(verb, "a.service")
    machine.run(3)
    result = "failed" if program == "fails late" else "done"
    assert machine.answer(request, "a.service") == result
    assert len(starts(machine)) >= 3


@pytest.mark.parametrize("delay", ["0", "100ms"])
def test_who_starts_a_job_that_is_restarted_hears_that_it_has_failed(delay):
    settings = ("Type=oneshot", "ExecStart=/bin/false", "Restart=on-failure", f"RestartSec={delay}")
    machine = Machine()
    machine.commit({"a.service": service(*settings, unit=UNLIMITED, install=False)})
    request = machine.ask(Verb.START, "a.service")
    machine.run(2)
    assert machine.answer(request, "a.service") == "failed"
