"""`step` itself: the same news give the same orders, news of the past change nothing, alarms ring in time."""

from __future__ import annotations

import pytest

from gitproc.core.actions import Acknowledge, Announce, Record
from gitproc.core.events import (
    Executed,
    ExitCode,
    Exited,
    LimitsFailed,
    MainFound,
    OutOfMemory,
    ProbeFailed,
    Process,
    SetupFailed,
    Slot,
    SourceFailed,
    Spawned,
    SpawnFailed,
    Tick,
    TreeEmptied,
    Verb,
)
from gitproc.core.step import next_deadline
from tests.core.fake_kernel import Machine, Program, service
from tests.core.histories import history

OLD = Process("a.service", "0" * 32, Slot.MAIN, 3, "")


def orders(machine: Machine, mark: int) -> list[object]:
    return [a for _, a in machine.actions[mark:] if not isinstance(a, Announce | Record)]


@pytest.mark.parametrize(
    "event",
    [
        Spawned(OLD, 5, 5),
        Executed(OLD),
        SetupFailed(OLD, "EXEC", 2, "x"),
        SpawnFailed(OLD, "USER", "x"),
        Exited(OLD, ExitCode.EXITED, 1),
        TreeEmptied("a.service", "0" * 32),
        OutOfMemory("a.service", "0" * 32),
        MainFound("a.service", "0" * 32, 5),
        ProbeFailed("a.service", "0" * 32, "x"),
        LimitsFailed("a.service", "0" * 32, "x"),
        Spawned(Process("gone.service", "0" * 32, Slot.MAIN, 3, ""), 5, 5),
        Tick(),
    ],
    ids=lambda event: type(event).__name__,
)
@pytest.mark.parametrize("down", [False, True])
def test_news_of_a_former_instance_change_nothing(event, down):
    machine = Machine({"a.service": service("Restart=no")})
    machine.run(5)
    if down:
        machine.exit(machine.main("a.service"), 1)
        machine.run(5)
    mark = len(machine.actions)
    machine.post(event)
    assert machine.actions[mark:] == []


@pytest.mark.parametrize("kind", [TreeEmptied, OutOfMemory])
def test_late_news_of_an_instance_that_has_ended_change_nothing(kind):
    machine = Machine({"a.service": service()})
    machine.run(5)
    machine.ask(Verb.STOP, "a.service")
    machine.run(5)
    mark = len(machine.actions)
    machine.post(kind("a.service", machine.state("a.service").invocation))
    assert machine.actions[mark:] == []
    assert machine.state("a.service").result == "success"


def test_every_exit_is_acknowledged_once_the_stale_ones_too():
    machine = Machine({"a.service": service()})
    machine.run(5)
    mark = len(machine.actions)
    machine.post(Exited(OLD, ExitCode.EXITED, 1, sequence=77))
    assert orders(machine, mark) == [Acknowledge(77)]


def test_the_same_history_gives_the_same_orders():
    first, second = history(7, 25), history(7, 25)
    assert first.actions == second.actions


def test_the_loop_may_sleep_until_the_next_deadline_and_for_ever_without_one():
    machine = Machine(
        {"a.service": service("Type=notify", "ExecStart=/bin/mute", "TimeoutStartSec=20")}
    )
    machine.run(1)
    assert next_deadline(machine.world) == 1020.0
    machine = Machine({"a.service": service()})
    machine.run(100)
    assert next_deadline(machine.world) is None


def test_a_source_that_fails_is_told_once_and_changes_nothing():
    machine = Machine({"a.service": service()})
    machine.run(5)
    for _ in range(3):
        machine.post(SourceFailed("branch main is gone"))
    assert machine.told("source.failed") == ["source.failed : branch main is gone"]
    assert machine.sub("a.service") == "running"


def test_shutdown_with_nothing_to_stop_ends_at_once():
    machine = Machine()
    machine.shutdown()
    assert machine.exited


def test_a_shutdown_ends_automatic_restarts_and_starts_under_way():
    machine = Machine(
        {
            "a.service": service("ExecStart=/bin/crash", "Restart=always", "RestartSec=1h"),
            "b.service": service("Type=notify", "ExecStart=/bin/mute"),
            "c.service": service(unit="After=b.service"),
        }
    )
    machine.run(1)
    machine.shutdown()
    machine.run(5)
    assert machine.exited
    assert not machine.alive()
    assert machine.spawns("c.service") == []


def test_what_was_said_in_time_counts_however_late_it_is_heard():
    """The manager stood still past a deadline: two seconds for what waits, and no more if it is late again."""

    def stands_still(machine, seconds):
        machine.now += seconds
        machine.post(Tick())
        machine.deliver()

    late = Program(ready=None)
    machine = Machine({"a.service": service("Type=notify\nTimeoutStartSec=5")}, {"run": late})
    machine.run(1)
    stands_still(machine, 10)
    assert machine.sub("a.service") == "start"
    machine.say(machine.main("a.service"), READY="1")
    machine.run(5)
    assert machine.sub("a.service") == "running"
    machine.run(20)
    machine.commit({"a.service": service("Type=notify\nTimeoutStartSec=5", "Nice=1")})
    machine.run(1)
    stands_still(machine, 10)
    assert machine.sub("a.service") == "start", "it is away for the second time"

    machine = Machine({"a.service": service("Type=notify\nTimeoutStartSec=5")}, {"run": late})
    machine.run(1)
    stands_still(machine, 10)
    assert machine.sub("a.service") == "start"
    stands_still(machine, 3)
    assert machine.sub("a.service") != "start", "it is slow rather than away"

    short, long = (service(f"Type=notify\nTimeoutStartSec={x}") for x in (3, 20))
    machine = Machine({"a.service": short, "b.service": long}, {"run": late})
    machine.run(1)
    stands_still(machine, 10)
    assert machine.sub("a.service") == "start"
    machine.run(5)
    assert machine.sub("a.service") != "start"
    stands_still(machine, 6)
    assert machine.sub("b.service") == "start", (
        "what another unit was spared is no matter of this one"
    )
