"""Reloading: by commands, by a signal that is answered, by a service's own wish; and services that leave."""

from __future__ import annotations

import pytest

from gitproc.core.actions import Signal, SignalTree
from gitproc.core.drift import drifts
from gitproc.core.events import Verb
from tests.core.fake_kernel import Machine, Proc, Program, service

NAME = "a.service"
HUP, TERM = 1, 15
READY = Program(ready=0.1, ignores=frozenset({HUP, 10}))


def machine_of(*lines: str) -> Machine:
    body = ("Type=notify-reload", "ExecStart=/bin/daemon", "TimeoutStartSec=5", *lines)
    machine = Machine({NAME: service(*body)}, {"daemon": READY})
    machine.run(1)
    assert machine.sub(NAME) == "running"
    return machine


def reload(machine: Machine) -> int:
    request = machine.ask(Verb.RELOAD, NAME)
    machine.run(0.05)
    return request


def said(machine: Machine, **fields: str) -> str:
    machine.say(machine.main(NAME), **fields)
    machine.run(0.01)
    return machine.sub(NAME)


def at(machine: Machine, offset: float = 0.0) -> dict[str, str]:
    return {"RELOADING": "1", "MONOTONIC_USEC": str(round((machine.now + offset) * 1e6))}


def hups(machine: Machine) -> list[int]:
    return [x.signal for x in machine.orders(Signal, NAME)]


def test_the_signal_is_answered_twice_and_only_then_it_is_done():
    machine = machine_of()
    request = reload(machine)
    assert hups(machine) == [HUP]
    assert machine.sub(NAME) == "reload-signal"
    assert machine.state(NAME).active == "reloading"
    assert said(machine, READY="1") == "reload-signal"
    assert said(machine, **at(machine)) == "reload-notify"
    assert machine.answer(request, NAME) == ""
    assert said(machine, READY="1") == "running"
    assert machine.answer(request, NAME) == "done"
    assert machine.told("unit.reloaded") == ["unit.reloaded a.service: Reloaded a.service"]


@pytest.mark.parametrize("fields", [{}, {"MONOTONIC_USEC": "1"}, {"MONOTONIC_USEC": "x"}])
def test_an_answer_that_is_older_than_the_signal_is_none(fields):
    machine = machine_of()
    request = reload(machine)
    assert said(machine, RELOADING="1", **fields) == "reload-signal"
    machine.run(5)
    assert machine.sub(NAME) == "running"
    assert machine.answer(request, NAME) == "failed"
    assert len(machine.told("unit.reload-failed")) == 1
    assert machine.state(NAME).result == "success"


def test_signal_and_answer_share_one_deadline():
    machine = machine_of()
    request = reload(machine)
    machine.run(4)
    assert said(machine, **at(machine)) == "reload-notify"
    machine.run(1)
    assert machine.sub(NAME) == "running"
    assert machine.answer(request, NAME) == "failed"


def test_another_signal_may_be_chosen():
    machine = machine_of("ReloadSignal=SIGUSR1")
    reload(machine)
    assert hups(machine) == [10]


def test_commands_run_after_the_signal_and_the_answer_is_waited_for():
    machine = machine_of("ExecReload=/bin/true")
    request = reload(machine)
    assert machine.sub(NAME) == "reload-signal"
    assert machine.spawns()[-1] == "true"
    said(machine, **at(machine))
    assert said(machine, READY="1") == "running"
    assert machine.answer(request, NAME) == "done"


def test_a_service_may_reload_of_its_own_accord():
    machine = machine_of()
    assert said(machine, RELOADING="1") == "reload-notify"
    assert said(machine, READY="1") == "running"
    assert hups(machine) == []
    assert said(machine, RELOADING="1") == "reload-notify"
    machine.run(6)
    assert machine.sub(NAME) == "running"


def test_what_was_said_while_commands_ran_counts_when_they_are_done():
    machine = Machine(
        {NAME: service("Type=notify", "ExecStart=/bin/daemon", "ExecReload=/bin/work")},
        {"daemon": READY, "work": Program(lasts=1.0)},
    )
    machine.run(1)
    request = reload(machine)
    assert said(machine, RELOADING="1") == "reload"
    machine.run(2)
    assert machine.sub(NAME) == "reload-notify"
    assert said(machine, READY="1") == "running"
    assert machine.answer(request, NAME) == "done"


def test_the_phase_of_a_reload_survives_the_manager():
    machine = machine_of()
    reload(machine)
    machine.crash()
    machine.restart()
    assert machine.sub(NAME) == "reload-signal"
    assert hups(machine) == [HUP]
    said(machine, RELOADING="1", MONOTONIC_USEC="1")
    assert said(machine, **at(machine)) == "reload-notify"
    machine.crash()
    machine.restart()
    assert said(machine, READY="1") == "running"
    reload(machine)
    machine.crash()
    machine.restart()
    machine.run(6)
    assert machine.sub(NAME) == "running"


@pytest.mark.parametrize("phase", ["reload-signal", "reload-notify"])
def test_a_service_that_ends_meanwhile_has_ended(phase):
    for status, end in ((0, "dead"), (1, "failed")):
        machine = machine_of("ExecStop=/bin/true stop")
        reload(machine)
        if phase == "reload-notify":
            said(machine, **at(machine))
        assert machine.sub(NAME) == phase
        machine.exit(machine.main(NAME), status)
        machine.run(1)
        assert machine.sub(NAME) == end
        assert machine.spawns()[-1] == "true stop"


def test_a_stop_meanwhile_goes_first():
    machine = machine_of()
    reload(machine)
    machine.ask(Verb.STOP, NAME)
    machine.run(1)
    assert machine.sub(NAME) == "dead"


def test_only_what_can_reload_is_reloaded():
    machine = Machine({NAME: service("Type=notify", "ExecStart=/bin/daemon")}, {"daemon": READY})
    machine.run(1)
    request = reload(machine)
    assert machine.answer(request, NAME) == "failed"


def leaving(takes: float) -> tuple[Machine, Proc]:
    machine = machine_of("TimeoutStopSec=3", "Restart=on-failure")
    main = machine.main(NAME)
    assert said(machine, STOPPING="1", READY="1") == "stop-sigterm"
    machine.run(takes)
    return machine, main


def test_a_service_that_says_that_it_stops_is_left_alone():
    machine, main = leaving(1)
    machine.crash()
    machine.restart()
    machine.exit(main, 0)
    machine.run(1)
    assert machine.sub(NAME) == "dead"
    assert machine.orders(SignalTree, NAME) == []


def test_one_that_says_so_and_does_not_is_ended():
    machine, _ = leaving(4)
    assert machine.orders(SignalTree, NAME)[0].signal == 9
    assert machine.told("unit.restarting")


def test_to_say_so_while_starting_counts_when_it_has_started():
    machine = Machine(
        {NAME: service("NotifyAccess=all", "ExecStartPost=/bin/work")}, {"work": Program(lasts=1.0)}
    )
    machine.run(0.5)
    assert said(machine, STOPPING="1") == "start-post"
    machine.run(1)
    assert machine.sub(NAME) == "stop-sigterm"


def test_a_main_process_that_ends_before_the_reload_command_is_made_leaves_nothing_behind():
    machine = Machine({"a.service": service("ExecReload=/bin/run")})
    machine.run(1)
    main = machine.main("a.service")
    machine.ask(Verb.RELOAD, "a.service")
    machine.exit(main, 0)
    machine.run(80)
    assert machine.sub("a.service") == "reload", "the command has as long as a start"
    machine.run(20)
    assert machine.sub("a.service") == "dead"
    assert not machine.alive("a.service")


def losing(
    status: int, *lines: str, crash: bool = False, commands: str = "work"
) -> tuple[Machine, int]:
    """A service whose main process ends while the first of two commands of a reload runs."""
    first = f"ExecReload=/bin/{commands} 1"
    ends = (first, "ExecReload=/bin/work 2", "ExecStop=/bin/stop", "ExecStopPost=/bin/after")
    short = Program(lasts=0.01)
    programs = {"work": Program(lasts=1.0), "stop": short, "after": short, "daemon": READY}
    programs["fails"] = Program(lasts=1.0, status=1)
    machine = Machine({NAME: service("ExecStart=/bin/daemon", *ends, *lines)}, programs)
    machine.run(1)
    request = machine.ask(Verb.RELOAD, NAME)
    machine.run(0.5)
    machine.exit(machine.main(NAME), status)
    machine.run(1)
    if crash:
        machine.crash()
        machine.restart()
    return machine, request


@pytest.mark.parametrize("crash", [False, True])
@pytest.mark.parametrize(
    ("status", "lines", "then", "sub", "result"),
    [
        (1, (), "after", "failed", "exit-code"),
        (0, (), "stop after", "dead", "success"),
        (1, ("RemainAfterExit=yes",), "after", "failed", "exit-code"),
        (0, ("RemainAfterExit=yes",), "", "exited", "success"),
    ],
)
def test_a_main_process_that_ends_ends_no_reload(status, lines, then, sub, result, crash):
    """service_sigchld_event() of systemd: while a command runs, what the end means has to wait."""
    machine, request = losing(status, *lines, crash=crash)
    assert machine.sub(NAME) == "reload"
    machine.run(5)
    assert machine.spawns(NAME) == ["daemon", "work 1", "work 2", *then.split()]
    assert (machine.sub(NAME), machine.state(NAME).result) == (sub, result)
    if not crash:
        assert machine.answer(request, NAME) == ("done" if sub == "exited" else "failed")
    assert len(machine.told("unit.reloaded")) == (1 - status)


def test_a_reload_that_fails_of_what_has_crashed_ends_it():
    machine, _ = losing(3, commands="fails")
    machine.run(5)
    assert machine.spawns(NAME) == ["daemon", "fails 1", "after"]
    assert machine.state(NAME).message.startswith("main process 101 exited with status 3")
    assert len(machine.told("unit.reload-failed")) == 1


def test_what_has_crashed_during_a_reload_is_restarted_after_it():
    machine, _ = losing(1, "Restart=on-failure")
    machine.run(5)
    assert machine.spawns(NAME)[-2:] == ["after", "daemon"]
    assert machine.sub(NAME) == "running"


@pytest.mark.parametrize("kind", ["notify", "notify-reload"])
def test_nobody_waits_for_the_word_of_who_is_gone(kind):
    machine = Machine(
        {NAME: service(f"Type={kind}", "ExecStart=/bin/daemon", "ExecReload=/bin/work")},
        {"daemon": READY, "work": Program(lasts=1.0)},
    )
    machine.run(1)
    reload(machine)
    assert said(machine, **at(machine)) == "reload"
    machine.exit(machine.main(NAME), 1)
    machine.run(2)
    assert machine.sub(NAME) == "failed"


def test_what_starts_while_a_commit_changes_what_it_has_read_reloads_when_it_is_up():
    text = service(
        "Type=notify", "ExecStart=/bin/notify", "ExecReload=/bin/true", own="ReloadTriggers=conf"
    )
    machine = Machine({"a.service": text, "conf": "1"})
    machine.run(0.5)
    assert machine.sub("a.service") == "start"
    sha = machine.commit({"a.service": text, "conf": "2"})
    machine.run(0.3)
    assert machine.spawns("a.service") == ["notify"]
    machine.run(10)
    assert machine.spawns("a.service") == ["notify", "true"]
    assert machine.verdict(sha) == "good"


def test_a_commit_that_a_service_refuses_to_reload_for_has_failed():
    text = service("ExecReload=/bin/false", own="ReloadTriggers=conf")
    machine = Machine({"a.service": text, "conf": "1"})
    machine.run(10)
    sha = machine.commit({"a.service": text, "conf": "2"})
    machine.run(10)
    assert machine.verdict(sha) == "failed"
    assert machine.sub("a.service") == "running"
    reason = "reload failed: control process 102 exited with status 1/FAILURE (exit-code)"
    assert f"a.service: {reason}" in machine.told("commit.failed")[0]
    machine.crash()
    machine.restart()
    [drift] = drifts(machine.world)
    assert (drift.kind, drift.heal) == ("outdated", "gitproc reload a.service")
    assert drift.detail == f"has not taken over ReloadTriggers conf: {reason}"
    machine.programs["false"] = Program(lasts=0.01)  # by now it would
    number = machine.ask(Verb.RELOAD, "a.service")
    machine.run(1)
    assert machine.answer(number, "a.service") == "done"
    assert drifts(machine.world) == []


def test_a_reload_by_hand_that_fails_is_no_commits():
    machine = Machine({"a.service": service("ExecReload=/bin/false")})
    machine.run(1)
    number = machine.ask(Verb.RELOAD, "a.service")
    machine.run(10)
    assert machine.replies[number]["a.service"]["message"].startswith("reload failed: control")
    assert [*machine.world.verdicts.values()] == ["good"]
    assert drifts(machine.world) == []


def test_no_reload_has_failed_since_the_start():
    machine = Machine({"a.service": service("ExecReload=/bin/false")})
    machine.run(5)
    machine.ask(Verb.RELOAD, "a.service")
    machine.run(1)
    assert machine.state("a.service").reload_failed
    machine.ask(Verb.RESTART, "a.service")
    machine.run(1)
    assert not machine.state("a.service").reload_failed
