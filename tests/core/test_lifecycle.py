"""The life of a service: what runs in which order, what a failure skips, how it is ended, what its result is."""

from __future__ import annotations

import pytest

from gitproc.core.actions import Release, Signal, SignalTree, Spawn
from gitproc.core.events import OutOfMemory, Verb
from tests.core.fake_kernel import Machine, Program, service

TERM, KILL, HUP = 15, 9, 1


def started(*lines: str, seconds: float = 5.0, **programs: Program) -> Machine:
    """A machine with a.service, some time after its start."""
    machine = Machine({"a.service": service(*lines)}, programs)
    machine.run(seconds)
    return machine


def stopped(*lines: str, seconds: float = 30.0, **programs: Program) -> Machine:
    """The same, stopped by an operator."""
    machine = started(*lines, seconds=5.0, **programs)
    machine.ask(Verb.STOP, "a.service")
    machine.run(seconds)
    return machine


def end_of(machine: Machine) -> tuple[str, str]:
    state = machine.state("a.service")
    return state.sub.value, state.result.value


ALL = (
    "ExecStartPre=/bin/true pre1",
    "ExecStartPre=/bin/true pre2",
    "ExecStartPost=/bin/true post",
    "ExecStop=/bin/true stop",
    "ExecStopPost=/bin/true stoppost",
)


def test_commands_run_one_after_the_other():
    machine = stopped(*ALL)
    assert machine.spawns("a.service") == [
        "true pre1",
        "true pre2",
        "run",
        "true post",
        "true stop",
        "true stoppost",
    ]
    assert end_of(machine) == ("dead", "success")
    assert not machine.alive()


@pytest.mark.parametrize(
    ("failing", "ran"),
    [
        ("ExecStartPre=/bin/false", ["false", "true stoppost"]),
        ("ExecStartPost=/bin/false", ["run", "false", "true stoppost"]),
    ],
)
def test_a_failed_start_skips_the_stop_commands_but_not_those_after_the_stop(failing, ran):
    machine = started(failing, "ExecStop=/bin/true stop", "ExecStopPost=/bin/true stoppost")
    assert machine.spawns() == ran
    assert end_of(machine) == ("failed", "exit-code")
    assert not machine.alive()


def test_a_command_with_a_dash_may_fail():
    machine = started("ExecStartPre=-/bin/false", "ExecStartPost=-/bin/false")
    assert end_of(machine) == ("running", "success")
    machine = started("ExecStart=-/bin/false", "Restart=on-failure")
    assert end_of(machine) == ("dead", "success")
    assert machine.spawns() == ["false"]


def test_simple_is_up_once_made_and_exec_once_its_program_runs():
    for kind, came_up in (("simple", True), ("exec", False)):
        machine = started(f"Type={kind}", "ExecStart=/bin/missing")
        assert end_of(machine) == ("failed", "exit-code")
        assert "EXEC" in machine.state("a.service").message
        assert bool(machine.told("unit.started")) is came_up


def test_oneshot_runs_its_commands_in_turn_and_is_done():
    machine = started("Type=oneshot", "ExecStart=/bin/true 1", "ExecStart=/bin/true 2")
    assert machine.spawns() == ["true 1", "true 2"]
    assert end_of(machine) == ("dead", "success")
    assert machine.state("a.service").finished
    machine.run(1000)
    assert machine.spawns() == ["true 1", "true 2"]


def test_oneshot_stops_at_the_first_failure():
    machine = started(
        "Type=oneshot", "ExecStart=/bin/true", "ExecStart=/bin/false", "ExecStart=/bin/true"
    )
    assert machine.spawns() == ["true", "false"]
    assert end_of(machine) == ("failed", "exit-code")


def test_oneshot_has_no_start_timeout_unless_it_names_one():
    machine = started("Type=oneshot", "ExecStart=/bin/run", seconds=10_000)
    assert machine.sub("a.service") == "start"
    machine = started("Type=oneshot", "ExecStart=/bin/run", "TimeoutStartSec=3")
    assert end_of(machine) == ("failed", "timeout")


def test_remain_after_exit_keeps_a_unit_active_and_runs_its_stop_commands():
    machine = started(
        "Type=oneshot", "ExecStart=/bin/true", "RemainAfterExit=yes", "ExecStop=/bin/true s"
    )
    assert end_of(machine) == ("exited", "success")
    assert machine.told("unit.started") == ["unit.started a.service: Started a.service"]
    machine.ask(Verb.STOP, "a.service")
    machine.run(5)
    assert machine.spawns() == ["true", "true s"]
    assert end_of(machine) == ("dead", "success")


def test_a_service_that_remains_is_said_to_have_started_once():
    machine = started("ExecStart=/bin/true", "RemainAfterExit=yes")
    assert end_of(machine) == ("exited", "success")
    assert machine.told("unit.started") == ["unit.started a.service: Started a.service"]


def test_notify_waits_for_ready():
    machine = started("Type=notify", "ExecStart=/bin/notify", seconds=0.5)
    assert machine.sub("a.service") == "start"
    machine.run(1)
    assert machine.sub("a.service") == "running"


def test_notify_that_says_nothing_times_out_and_one_that_ends_breaks_the_protocol():
    machine = started("Type=notify", "ExecStart=/bin/mute", "TimeoutStartSec=2")
    assert end_of(machine) == ("failed", "timeout")
    machine = started("Type=notify", "ExecStart=/bin/true")
    assert end_of(machine) == ("failed", "protocol")


@pytest.mark.parametrize("pid_file", ["", "PIDFile=/run/a.pid"])
def test_forking_finds_its_main_process_and_watches_it(pid_file):
    machine = started("Type=forking", "ExecStart=/bin/forks", pid_file, "Restart=on-failure")
    assert machine.sub("a.service") == "running"
    main = machine.main("a.service")
    assert main.token is not None and main.alive
    machine.exit(main, 3)
    machine.run(5)
    assert machine.spawns() == ["forks", "forks"]
    assert machine.sub("a.service") == "running"
    machine.ask(Verb.STOP, "a.service")
    machine.run(5)
    assert not machine.alive()


def test_forking_without_a_daemon_breaks_the_protocol_at_once():
    for pid_file in ("", "PIDFile=/run/a.pid"):
        machine = started("Type=forking", "ExecStart=/bin/true", pid_file, seconds=1)
        assert end_of(machine) == ("failed", "protocol")


def test_forking_that_leaves_nothing_remains_after_exit_and_runs_what_comes_after_it():
    lines = ("Type=forking", "RemainAfterExit=yes", "ExecStart=/bin/true")
    machine = stopped(*lines, "ExecStartPost=/bin/true post", "ExecStop=/bin/true stop")
    assert machine.spawns() == ["true", "true post", "true stop"]
    assert end_of(machine) == ("dead", "success")
    machine = started(*lines)
    assert end_of(machine) == ("exited", "success")
    machine = started(*lines, "PIDFile=/run/a.pid")
    assert end_of(machine) == ("failed", "protocol")


def test_forking_without_a_known_main_process_remains_after_its_tree():
    twins = Program(lasts=0.01, daemon=Program(lasts=3.0))
    lines = service("Type=forking", "ExecStart=/bin/p", "RemainAfterExit=yes")
    machine = Machine({"a.service": lines}, {"p": twins})
    machine.guesses = False
    machine.run(1)
    assert machine.sub("a.service") == "running"
    machine.run(5)
    assert end_of(machine) == ("exited", "success")


FORKS = Program(lasts=0.01, daemon=Program(), pid_file=0.5)


@pytest.mark.parametrize("lasts", [0.1, 1.0])
def test_the_pid_file_may_be_written_while_what_comes_after_the_start_runs(lasts):
    lines = ("Type=forking", "ExecStart=/bin/p", "PIDFile=/run/a.pid", "ExecStartPost=/bin/post")
    machine = started(*lines, seconds=0.2, p=FORKS, post=Program(lasts=lasts))
    assert machine.spawns() == ["p", "post"]
    assert machine.sub("a.service") == "start-post"
    machine.run(2)
    assert machine.sub("a.service") == "running"
    assert machine.main("a.service").alive


@pytest.mark.parametrize(
    ("daemon", "written", "result"),
    [(Program(), 100.0, "timeout"), (Program(lasts=0.5), 100.0, "protocol")],
)
def test_a_pid_file_that_is_not_written_after_the_start_either(daemon, written, result):
    lines = ("Type=forking", "ExecStart=/bin/p", "PIDFile=/run/a.pid", "ExecStartPost=/bin/true")
    parent = Program(lasts=0.01, daemon=daemon, pid_file=written)
    machine = started(*lines, "TimeoutStartSec=2", seconds=5, p=parent)
    assert end_of(machine) == ("failed", result)


@pytest.mark.parametrize("crash_at", [0.05, 0.15, 0.3])
def test_a_pid_file_is_waited_for_after_a_crash(crash_at):
    lines = ("Type=forking", "ExecStart=/bin/p", "PIDFile=/run/a.pid", "ExecStartPost=/bin/post")
    machine = started(*lines, seconds=crash_at, p=FORKS, post=Program(lasts=0.1))
    machine.crash()
    machine.restart()
    machine.run(3)
    assert machine.spawns().count("p") == 1
    assert machine.sub("a.service") == "running"


def test_forking_whose_daemon_dies_before_its_pid_file_is_there_does_not_wait_for_it():
    parent = Program(lasts=0.01, daemon=Program(lasts=0.5), pid_file=100.0)
    machine = started("Type=forking", "ExecStart=/bin/p", "PIDFile=/run/a.pid", seconds=2, p=parent)
    assert end_of(machine) == ("failed", "protocol")


def test_forking_whose_daemon_dies_while_commands_after_the_start_run_is_not_waited_for():
    lines = ("Type=forking", "ExecStart=/bin/p", "PIDFile=/run/a.pid", "ExecStartPost=/bin/post")
    parent = Program(lasts=0.01, daemon=Program(lasts=0.5, status=1), pid_file=0.0)
    machine = started(*lines, seconds=2, p=parent, post=Program(lasts=1.0))
    assert end_of(machine) == ("failed", "exit-code")


def test_what_a_stop_command_leaves_is_waited_for_when_that_is_gone():
    post = Program(children=(Program(takes=2.0, on_signal=0),))
    machine = started("ExecStopPost=/bin/post", "TimeoutStopSec=5", post=post)
    machine.ask(Verb.STOP, "a.service")
    machine.run(6)
    assert machine.sub("a.service") == "final-sigterm"
    machine.run(2)
    assert machine.sub("a.service") == "failed"
    assert not machine.alive("a.service")


def test_forking_whose_parent_fails():
    machine = started("Type=forking", "ExecStart=/bin/false")
    assert end_of(machine) == ("failed", "exit-code")


def test_forking_without_a_known_main_process_runs_as_long_as_its_tree():
    twins = Program(lasts=0.01, daemon=Program(lasts=3.0))
    machine = Machine({"a.service": service("Type=forking", "ExecStart=/bin/p")}, {"p": twins})
    machine.guesses = False
    machine.run(1)
    assert machine.sub("a.service") == "running"
    assert machine.state("a.service").main is None
    machine.run(5)
    assert end_of(machine) == ("dead", "success")


def signals(machine: Machine) -> list[str]:
    """Signals ordered, as `tree 15` or `main 15`."""
    found = []
    for _, action in machine.actions:
        if isinstance(action, SignalTree):
            found.append(f"tree {action.signal}")
        elif isinstance(action, Signal):
            found.append(f"{action.process.slot} {action.signal}")
    return found


STUBBORN = Program(ignores=frozenset({TERM}))
STUBBORN_CHILD = Program(children=(STUBBORN,))


@pytest.mark.parametrize(
    ("mode", "program", "expected"),
    [
        ("control-group", Program(), ["tree 15"]),
        ("control-group", STUBBORN, ["tree 15", "tree 9"]),
        ("control-group", STUBBORN_CHILD, ["tree 15", "tree 15", "tree 9"]),
        ("mixed", Program(), ["main 15"]),
        ("mixed", STUBBORN, ["main 15", "tree 9"]),
        ("mixed", STUBBORN_CHILD, ["main 15", "tree 9"]),
        ("process", STUBBORN_CHILD, ["main 15"]),
        ("process", STUBBORN, ["main 15", "main 9"]),
        ("none", Program(), []),
    ],
)
def test_kill_mode_says_who_gets_which_signal(mode, program, expected):
    machine = stopped("ExecStart=/bin/p", f"KillMode={mode}", "TimeoutStopSec=3", p=program)
    assert signals(machine) == expected
    assert machine.state("a.service").down
    survivors = {"process": 1 if program is STUBBORN_CHILD else 0, "none": 1}.get(mode, 0)
    assert len(machine.alive()) == survivors


def test_a_stop_that_took_a_sigkill_is_a_timeout():
    machine = stopped("ExecStart=/bin/stubborn", "TimeoutStopSec=3")
    assert end_of(machine) == ("failed", "timeout")


def test_without_sigkill_what_ignores_sigterm_stays():
    machine = stopped("ExecStart=/bin/stubborn", "TimeoutStopSec=3", "SendSIGKILL=no")
    assert signals(machine) == ["tree 15", "tree 15"]
    assert machine.state("a.service").down
    assert len(machine.alive()) == 1


def test_a_kill_signal_of_ones_own_and_a_hangup_after_it():
    machine = stopped("KillSignal=SIGINT", "SendSIGHUP=yes")
    assert signals(machine) == ["tree 2", "tree 1"]


def test_a_restart_may_have_a_signal_of_its_own():
    machine = started("KillSignal=SIGINT", "RestartKillSignal=SIGUSR1")
    machine.ask(Verb.RESTART, "a.service")
    machine.run(1)
    assert signals(machine) == ["tree 10"]


RESTARTED, STOPPED = "tree 10", "tree 2"


@pytest.mark.parametrize(
    ("verbs", "sent"),
    [
        ((Verb.STOP, Verb.START), STOPPED),
        ((Verb.STOP, Verb.RESTART), RESTARTED),
        ((Verb.STOP, Verb.TRY_RESTART), STOPPED),
        ((Verb.RESTART, Verb.START), RESTARTED),
        ((Verb.RESTART, Verb.STOP), STOPPED),
        ((Verb.RESTART, Verb.STOP, Verb.START), STOPPED),
    ],
)
@pytest.mark.parametrize("crash", [False, True])
def test_what_counts_is_the_job_by_the_time_of_the_signal(verbs, sent, crash):
    """systemd sends RestartKillSignal= for a job of the type restart (service.c, job.c): a start or a restart takes
    the place of a stop, and a start goes with a restart."""
    lines = ("ExecStop=/bin/lasts", "KillSignal=SIGINT", "RestartKillSignal=SIGUSR1")
    machine = started(*lines, lasts=Program(lasts=3.0))
    for verb in verbs:
        machine.ask(verb, "a.service")
        machine.run(0.2)
    assert machine.sub("a.service") == "stop"
    if crash:
        machine.crash()
        machine.restart()
    machine.run(30)
    assert signals(machine) == [sent]
    comes_back = verbs[-1] in (Verb.START, Verb.RESTART)
    assert machine.sub("a.service") == ("running" if comes_back else "dead")


def test_what_a_restart_leaves_behind_gets_the_signal_of_a_stop():
    """Only the first round asks for a restart (service.c, state_to_kill_operation)."""
    run = Program(children=(Program(takes=5.0),))
    machine = started("KillSignal=SIGINT", "RestartKillSignal=SIGUSR1", run=run)
    machine.ask(Verb.RESTART, "a.service")
    machine.run(3)
    assert signals(machine) == [RESTARTED, STOPPED]


def test_a_stop_while_the_process_is_being_made_reaches_it():
    machine = Machine({"a.service": service("TimeoutStopSec=10")})
    machine.ask(Verb.STOP, "a.service")
    machine.run(1)
    assert end_of(machine) == ("dead", "success")
    assert not machine.alive()


def test_what_a_pre_command_leaves_behind_does_not_go_on_beside_the_service():
    messy = Program(lasts=0.01, children=(Program(),))
    machine = started("ExecStartPre=/bin/messy", messy=messy)
    assert [proc.command for proc in machine.alive()] == ["run"]


def test_what_kill_mode_left_of_an_earlier_instance_outlives_a_pre_command():
    machine = started(
        "ExecStartPre=/bin/true", "KillMode=process", run=Program(children=(Program(),))
    )
    machine.ask(Verb.RESTART, "a.service")
    machine.run(1)
    assert [proc.command for proc in machine.alive()] == ["", "run", ""]


def test_what_the_main_process_leaves_behind_is_ended_before_the_next_start():
    messy = Program(lasts=1.0, status=1, children=(Program(takes=0.5),))
    machine = started("ExecStart=/bin/messy", "Restart=always", seconds=1.2, messy=messy)
    assert machine.sub("a.service") == "final-sigterm"
    machine.run(0.45)
    assert [proc.command for proc in machine.alive()] == ["messy", ""]


def test_a_stop_command_that_hangs_is_killed_and_the_stop_goes_on():
    machine = stopped("ExecStop=/bin/stubborn", "TimeoutStopSec=3")
    assert end_of(machine) == ("failed", "timeout")
    assert not machine.alive()


def test_the_first_cause_of_failure_is_the_result():
    machine = started(
        "ExecStart=/bin/crash", "ExecStopPost=/bin/stubborn", "TimeoutStopSec=1", seconds=20
    )
    assert end_of(machine) == ("failed", "exit-code")
    assert "status 3" in machine.state("a.service").message


def test_a_service_that_could_not_be_made_at_all():
    machine = started("ExecStart=/bin/refused", "ExecStopPost=/bin/true")
    assert end_of(machine) == ("failed", "resources")
    assert "RESOURCES: no" in machine.state("a.service").message
    assert machine.spawns() == ["refused", "true"]


def test_out_of_memory_takes_the_unit_down_and_is_its_result():
    machine = started("ExecStart=/bin/brood", "Restart=on-failure", "RestartSec=5")
    state = machine.state("a.service")
    machine.post(OutOfMemory("a.service", state.invocation))
    machine.run(1)
    assert end_of(machine) == ("auto-restart", "oom-kill")
    assert not machine.alive()
    machine.run(6)
    assert end_of(machine) == ("running", "success")


def test_what_ends_by_itself_runs_its_stop_commands_and_what_crashes_does_not():
    machine = started("ExecStart=/bin/true", "ExecStop=/bin/true s", "ExecStopPost=/bin/true p")
    assert machine.spawns() == ["true", "true s", "true p"]
    machine = started("ExecStart=/bin/crash", "ExecStop=/bin/true s", "ExecStopPost=/bin/true p")
    assert machine.spawns() == ["crash", "true p"]


def test_a_crash_loop_ends_at_the_start_limit():
    machine = started("ExecStart=/bin/crash", "Restart=always", seconds=30)
    assert end_of(machine) == ("failed", "start-limit-hit")
    assert machine.spawns() == ["crash"] * 5


def test_slow_restarts_never_hit_the_limit_and_are_forgotten_when_cured():
    machine = started("ExecStart=/bin/crash", "Restart=always", "RestartSec=3", seconds=100)
    assert machine.state("a.service").restarts > 20
    machine.programs["crash"] = Program()
    machine.run(10)
    assert machine.sub("a.service") == "running"
    assert machine.state("a.service").restarts > 20
    machine.run(60)
    assert machine.state("a.service").restarts == 0


def test_variables_tell_stop_commands_what_happened():
    machine = started("ExecStart=/bin/crash", "ExecStopPost=/bin/true")
    order = machine.orders(Spawn, "a.service")[-1]
    assert order.variables == ("SERVICE_RESULT=exit-code", "EXIT_CODE=exited", "EXIT_STATUS=3")
    machine = stopped("ExecStop=/bin/true")
    main = next(p for p in machine.procs.values() if p.command == "run")
    assert f"MAINPID={main.pid}" in machine.orders(Spawn, "a.service")[-1].variables


def test_an_instance_is_released_once_and_its_first_process_is_told():
    machine = stopped(*ALL)
    assert len(machine.orders(Release, "a.service")) == 1
    assert [order.first for order in machine.orders(Spawn, "a.service")] == [True] + [False] * 5


def test_reload_runs_and_a_failed_one_leaves_the_service_running():
    machine = started("ExecReload=/bin/true r", "ExecReload=/bin/true s")
    number = machine.ask(Verb.RELOAD, "a.service")
    assert machine.sub("a.service") == "reload"
    machine.run(1)
    assert machine.answer(number, "a.service") == "done"
    assert machine.spawns() == ["run", "true r", "true s"]
    assert machine.told("unit.started") == ["unit.started a.service: Started a.service"]
    machine = started("ExecReload=/bin/false")
    number = machine.ask(Verb.RELOAD, "a.service")
    machine.run(1)
    assert machine.answer(number, "a.service") == "failed"
    assert end_of(machine) == ("running", "success")


def test_a_reload_that_hangs_is_given_up():
    machine = started("ExecReload=/bin/stubborn", "TimeoutStartSec=2")
    number = machine.ask(Verb.RELOAD, "a.service")
    machine.run(10)
    assert machine.answer(number, "a.service") == "failed"
    assert end_of(machine) == ("running", "success")
    assert [proc.command for proc in machine.alive()] == ["run"]


def test_a_main_process_that_ends_while_a_reload_is_being_made_leaves_nothing_behind():
    machine = started("ExecReload=/bin/stubborn", "TimeoutStartSec=2", "TimeoutStopSec=2")
    machine.ask(Verb.RELOAD, "a.service")  # ordered, and not born yet
    machine.exit(machine.main("a.service"), 1)
    machine.run(10)
    assert end_of(machine) == ("failed", "exit-code")
    assert not machine.alive()


@pytest.mark.parametrize("crash_at", [None, 0.5])
def test_what_comes_after_the_start_ends_before_a_crash_of_the_main_process_counts(crash_at):
    lines = ("ExecStart=/bin/p", "ExecStartPost=/bin/post", "ExecStartPost=/bin/true")
    more = ("ExecStop=/bin/stop", "ExecStopPost=/bin/after")
    dies = Program(lasts=0.1, status=3)
    programs = {
        "p": dies,
        "post": Program(lasts=1.0),
        "stop": Program(),
        "after": Program(lasts=0.01),
    }
    machine = started(*lines, *more, seconds=0.5, **programs)
    assert machine.sub("a.service") == "start-post"
    if crash_at is not None:
        machine.crash()
        machine.restart()
    machine.run(1)
    assert end_of(machine) == ("failed", "exit-code")
    assert machine.spawns() == ["p", "post", "true", "after"]


def test_it_says_how_long_it_had_and_for_what():
    machine = started("RuntimeMaxSec=3")
    assert machine.state("a.service").message == "it has run for as long as RuntimeMaxSec= lets it"
    machine = started("Type=notify", "ExecStart=/bin/mute", "TimeoutStartSec=3")
    assert machine.state("a.service").message == "start timed out in state start"
    machine = started("ExecStart=/bin/stubborn", "TimeoutStopSec=3")
    machine.ask(Verb.STOP, "a.service")
    machine.run(5)
    assert machine.state("a.service").message == "stop timed out in state stop-sigterm"


def test_what_survives_sigkill_is_told_and_waited_for_no_longer(monkeypatch):
    machine = started("TimeoutStopSec=3")
    monkeypatch.setattr(machine, "kill", lambda *_: None)  # it sleeps in the kernel
    machine.ask(Verb.STOP, "a.service")
    machine.run(20)
    assert machine.told("unit.survivors", "a.service")
    assert machine.sub("a.service") == "failed"
