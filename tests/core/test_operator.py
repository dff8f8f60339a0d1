"""Verbs: what each changes, and that each is answered, whatever becomes of the unit."""

from __future__ import annotations

import pytest

from gitproc.core.events import RequestDropped, SyncAsked, Verb
from tests.core.fake_kernel import Machine, Program, service

BOTH = "Requires=a.service\nAfter=a.service"
KILL = 9


def machine_of(run: float = 5.0, **units: str) -> Machine:
    machine = Machine({f"{name}.service": text for name, text in units.items()})
    machine.run(run)
    return machine


def asked(machine: Machine, verb: Verb, name: str, seconds: float = 10.0, **more) -> str:
    """Ask, wait, and return the answer."""
    number = machine.ask(verb, name, **more)
    machine.run(seconds)
    return machine.answer(number, name)


def test_start_is_answered_when_the_unit_is_up():
    machine = machine_of(a=service("Type=notify", "ExecStart=/bin/notify", install=False))
    number = machine.ask(Verb.START, "a.service")
    machine.run(0.5)
    assert not machine.replies
    machine.run(1)
    assert machine.answer(number, "a.service") == "done"
    assert machine.replies[number]["a.service"]["pid"] == machine.main("a.service").pid


def test_start_of_a_simple_service_whose_program_is_missing_fails():
    machine = machine_of(a=service("ExecStart=/bin/missing", install=False))
    assert asked(machine, Verb.START, "a.service") == "failed"


@pytest.mark.parametrize("command", ["false", "crash", "refused", "missing", "mute"])
@pytest.mark.parametrize("kind", ["simple", "exec", "oneshot", "notify", "forking"])
@pytest.mark.parametrize("restart", ["no", "on-failure"])
def test_start_is_answered_whatever_becomes_of_it(command, kind, restart):
    lines = (f"Type={kind}", f"ExecStart=/bin/{command}", f"Restart={restart}", "TimeoutStartSec=5")
    machine = machine_of(a=service(*lines, install=False))
    assert asked(machine, Verb.START, "a.service") in ("done", "failed")


def test_start_of_what_is_up_is_done_at_once():
    machine = machine_of(a=service())
    number = machine.ask(Verb.START, "a.service")
    assert machine.answer(number, "a.service") == "done"


def test_start_that_needs_what_fails_says_so():
    machine = machine_of(
        a=service("Type=oneshot", "ExecStart=/bin/false", install=False),
        b=service(unit=BOTH, install=False),
    )
    number = machine.ask(Verb.START, "b.service")
    machine.run(5)
    assert machine.answer(number, "b.service") == "dependency"
    assert "a.service" in machine.replies[number]["b.service"]["message"]


def test_start_of_what_is_starting_is_answered_when_that_fails():
    machine = machine_of(0, a=service("Type=notify", "ExecStart=/bin/mute", "TimeoutStartSec=3"))
    assert asked(machine, Verb.START, "a.service") == "failed"


def test_start_of_what_is_starting_is_answered_by_that_start_though_others_follow():
    lines = ("ExecStartPre=/bin/long", "Restart=on-failure", "RestartSec=1h")
    machine = machine_of(0)
    machine.programs["long"] = Program(lasts=2.0, status=1)
    machine.commit({"a.service": service(*lines)})
    assert machine.sub("a.service") == "start-pre"
    assert asked(machine, Verb.START, "a.service") == "failed"


def test_start_of_what_is_stopping_by_itself_starts_it_again():
    machine = machine_of(a=service("ExecStopPost=/bin/slow"))
    machine.programs["slow"] = Program(lasts=2.0)
    machine.exit(machine.main("a.service"), 1)
    machine.run(1)
    assert machine.sub("a.service") == "stop-post"
    assert asked(machine, Verb.START, "a.service") == "done"
    assert machine.sub("a.service") == "running"


def test_restart_of_what_is_stopping_by_itself_is_answered():
    machine = machine_of(a=service("ExecStopPost=/bin/slow"))
    machine.programs["slow"] = Program(lasts=2.0)
    machine.exit(machine.main("a.service"), 1)
    machine.run(1)
    assert asked(machine, Verb.RESTART, "a.service") == "done"
    assert len(machine.spawns("a.service")) == 3


def test_start_during_an_automatic_restart_does_not_wait_for_it():
    machine = machine_of(a=service("ExecStart=/bin/crash", "Restart=always", "RestartSec=1h"))
    machine.programs["crash"] = Program()
    assert asked(machine, Verb.START, "a.service") == "done"


def test_stop_is_a_hold_that_outlives_crashes_and_reboots_and_ends_with_start():
    machine = machine_of(a=service("Restart=always"))
    assert asked(machine, Verb.STOP, "a.service") == "done"
    machine.crash()
    machine.restart()
    machine.run(10)
    machine.reboot()
    machine.run(10)
    assert machine.sub("a.service") == "dead"
    assert machine.state("a.service").hold is not None
    assert asked(machine, Verb.START, "a.service") == "done"
    assert machine.state("a.service").hold is None


def test_a_hold_ends_with_a_commit_that_changes_the_unit_and_no_other():
    machine = machine_of(a=service(), b=service())
    asked(machine, Verb.STOP, "a.service")
    machine.commit({"a.service": service(), "b.service": service("Environment=A=1")})
    machine.run(5)
    assert machine.sub("a.service") == "dead"
    machine.commit({"a.service": service("Environment=A=1"), "b.service": service()})
    machine.run(5)
    assert machine.sub("a.service") == "running"
    assert machine.state("a.service").hold is None


def test_stop_of_what_others_require_stops_them_and_start_brings_them_back():
    machine = machine_of(
        a=service(), b=service(unit=BOTH), c=service(unit="Requires=b.service"), d=service()
    )
    assert asked(machine, Verb.STOP, "a.service") == "done"
    assert [n for n, s in machine.subs().items() if s != "dead"] == ["d.service"]
    assert asked(machine, Verb.START, "a.service") == "done"
    assert set(machine.subs().values()) == {"running"}


def test_start_lets_go_of_what_it_requires_at_any_depth_but_not_of_what_it_wants():
    machine = machine_of(
        a=service(), b=service(unit=BOTH), c=service(unit="Requires=b.service\nWants=d.service"), d=service()
    )  # fmt: skip
    asked(machine, Verb.STOP, "a.service")
    asked(machine, Verb.STOP, "d.service")
    assert asked(machine, Verb.START, "c.service") == "done"
    assert machine.subs() == {
        "a.service": "running",
        "b.service": "running",
        "c.service": "running",
        "d.service": "dead",
    }


def test_start_puts_rivals_down_and_stop_of_both_is_answered():
    machine = machine_of(a=service(), b=service(unit="Conflicts=a.service", install=False))
    assert asked(machine, Verb.START, "b.service") == "done"
    assert machine.subs() == {"a.service": "dead", "b.service": "running"}
    assert asked(machine, Verb.START, "a.service") == "done"
    assert machine.subs() == {"a.service": "running", "b.service": "dead"}


def test_start_of_what_needs_two_that_conflict_is_refused():
    machine = machine_of(
        a=service(install=False),
        b=service(unit="Conflicts=a.service", install=False),
        c=service(unit="Requires=a.service b.service", install=False),
    )
    number = machine.ask(Verb.START, "c.service")
    assert machine.answer(number, "c.service") == "failed"
    assert "conflict" in machine.replies[number]["c.service"]["message"]
    assert not machine.spawns()


def test_start_of_what_nobody_knows_is_canceled():
    machine = machine_of(a=service())
    assert asked(machine, Verb.START, "nobody.service") == "canceled"
    assert "nobody.service" not in machine.world.units


def test_a_stop_that_is_overtaken_by_a_start_is_answered():
    machine = machine_of(a=service("ExecStart=/bin/slow"))
    stop = machine.ask(Verb.STOP, "a.service")
    start = machine.ask(Verb.START, "a.service")
    machine.run(10)
    assert machine.answer(stop, "a.service") == "done"
    assert machine.answer(start, "a.service") == "done"
    assert machine.sub("a.service") == "running"
    assert len(machine.spawns()) == 2


def test_a_stop_that_still_waits_for_others_when_it_is_overtaken_is_canceled():
    machine = machine_of(a=service(), b=service("ExecStart=/bin/slow", unit=BOTH))
    stop = machine.ask(Verb.STOP, "a.service")
    start = machine.ask(Verb.START, "a.service")
    machine.run(10)
    assert machine.answer(stop, "a.service") == "canceled"
    assert machine.answer(start, "a.service") == "done"
    assert machine.spawns("a.service") == ["run"]


def test_restart_gives_a_new_instance_and_starts_what_is_down():
    machine = machine_of(a=service(), b=service(install=False))
    before = machine.state("a.service").invocation
    assert asked(machine, Verb.RESTART, "a.service") == "done"
    assert machine.state("a.service").invocation != before
    assert asked(machine, Verb.RESTART, "b.service") == "done"
    assert machine.sub("b.service") == "running"


def test_try_restart_leaves_alone_what_is_down():
    machine = machine_of(a=service(), b=service(install=False))
    assert asked(machine, Verb.TRY_RESTART, "a.service") == "done"
    assert asked(machine, Verb.TRY_RESTART, "b.service") == "skipped"
    assert machine.spawns() == ["run", "run"]


def test_restart_that_waits_for_a_requirement_that_fails_is_answered():
    machine = machine_of(
        a=service("Type=oneshot", "ExecStart=/bin/true", "RemainAfterExit=yes"),
        b=service(unit=BOTH),
    )
    machine.programs["true"] = Program(lasts=0.1, status=1)
    number = machine.ask(Verb.RESTART, "a.service", "b.service")
    machine.run(10)
    assert machine.answer(number, "a.service") == "failed"
    assert machine.answer(number, "b.service") == "dependency"


def test_restart_that_is_undone_because_of_what_it_is_bound_to_is_answered():
    machine = machine_of(
        0,
        a=service("ExecStart=/bin/crash", install=False),
        b=service("ExecStartPost=/bin/slow", unit="BindsTo=a.service", install=False),
    )
    machine.programs["slow"] = Program(lasts=2.0)
    assert asked(machine, Verb.RESTART, "b.service") == "dependency"


def test_reload_is_refused_where_it_cannot_be():
    machine = machine_of(a=service(), b=service("ExecReload=/bin/true", install=False))
    assert asked(machine, Verb.RELOAD, "a.service") == "failed"
    assert asked(machine, Verb.RELOAD, "b.service") == "failed"


@pytest.mark.parametrize("verb", [Verb.RELOAD_OR_RESTART, Verb.TRY_RELOAD_OR_RESTART])
def test_what_cannot_reload_is_restarted(verb):
    machine = machine_of(a=service("ExecReload=/bin/true"), b=service())
    mains = [machine.main(name).pid for name in ("a.service", "b.service")]
    number = machine.ask(verb, "a.service", "b.service")
    machine.run(10)
    answers = machine.replies[number]
    done = {name: (one["verb"], one["result"]) for name, one in answers.items()}
    restart = "restart" if verb is Verb.RELOAD_OR_RESTART else "try-restart"
    assert done == {"a.service": ("reload", "done"), "b.service": (restart, "done")}
    assert machine.main("a.service").pid == mains[0]
    assert machine.main("b.service").pid != mains[1]


def test_what_is_down_is_started_or_left_alone_instead_of_reloaded():
    machine = machine_of(a=service("ExecReload=/bin/true", install=False))
    assert asked(machine, Verb.TRY_RELOAD_OR_RESTART, "a.service") == "skipped"
    assert machine.sub("a.service") == "dead"
    assert asked(machine, Verb.RELOAD_OR_RESTART, "a.service") == "done"
    assert machine.sub("a.service") == "running"


def test_reload_of_what_goes_down_meanwhile_is_answered():
    machine = machine_of(a=service("ExecReload=/bin/run", "TimeoutStartSec=2"))
    number = machine.ask(Verb.RELOAD, "a.service")
    second = machine.ask(Verb.RELOAD, "a.service")
    machine.exit(machine.main("a.service"), 1)
    machine.run(5)
    assert machine.answer(number, "a.service") == "failed"
    assert machine.answer(second, "a.service") == "failed"


def test_kill_signals_and_changes_nothing_wanted():
    machine = machine_of(a=service("Restart=always"))
    assert asked(machine, Verb.KILL, "a.service", signal=KILL) == "done"
    assert machine.sub("a.service") == "running"
    assert machine.spawns() == ["run", "run"]
    assert asked(machine, Verb.KILL, "a.service", signal=KILL, whom="main") == "done"
    assert asked(machine, Verb.KILL, "a.service", signal=KILL, whom="control") == "failed"
    asked(machine, Verb.STOP, "a.service")
    assert asked(machine, Verb.KILL, "a.service", signal=KILL) == "failed"


def test_reset_failed_forgets_failure_and_restarts():
    machine = machine_of(30, a=service("ExecStart=/bin/crash", "Restart=always"))
    assert machine.sub("a.service") == "failed"
    assert asked(machine, Verb.RESET_FAILED, "a.service") == "done"
    assert machine.sub("a.service") == "dead"
    assert machine.state("a.service").result == "success"
    assert machine.spawns() == ["crash"] * 5


def test_sync_tries_again_what_gave_up_and_leaves_holds_and_finished_work():
    machine = machine_of(
        a=service("ExecStart=/bin/false"),
        b=service(),
        c=service("Type=oneshot", "ExecStart=/bin/true"),
        d=service(),
    )
    asked(machine, Verb.STOP, "d.service")
    machine.programs["false"] = Program()
    machine.post(SyncAsked(99, "op"))
    machine.run(5)
    assert list(machine.replies[99]) == ["a.service"]
    assert machine.subs() == {
        "a.service": "running",
        "b.service": "running",
        "c.service": "dead",
        "d.service": "dead",
    }
    assert machine.spawns("c.service") == ["true"]


def test_an_instance_that_somebody_asked_for_follows_its_template():
    text = "[Service]\nExecStart=/bin/run\nEnvironment=A={}\n"
    other = service()
    machine = Machine({"guest@.service": text.format(1), "o.service": other})
    machine.run(1)
    assert asked(machine, Verb.START, "guest@x.service") == "done"
    first = machine.state("guest@x.service").invocation
    machine.commit({"guest@.service": text.format(1), "o.service": service("Environment=B=1")})
    machine.run(5)
    assert machine.state("guest@x.service").invocation == first
    machine.commit({"guest@.service": text.format(2), "o.service": other})
    machine.run(5)
    assert machine.state("guest@x.service").invocation != first
    assert machine.sub("guest@x.service") == "running"
    machine.commit({"o.service": other})
    machine.run(5)
    assert machine.subs() == {"o.service": "running"}


def test_a_hold_of_an_instance_ends_with_a_commit_that_changes_its_template_for_good():
    former = {"guest@.service": service(install=False)}
    machine = Machine(former)
    machine.run(1)
    asked(machine, Verb.STOP, "guest@x.service")
    machine.commit({**former, "o.service": service()})
    assert machine.state("guest@x.service").hold is not None
    machine.commit({"guest@.service": service("Nice=1", install=False)})
    assert machine.state("guest@x.service").hold is None
    machine.commit(former)
    machine.crash()
    machine.restart()
    machine.run(1)
    assert machine.state("guest@x.service").hold is None


def test_what_an_operator_started_takes_along_what_a_later_commit_makes_it_need():
    machine = machine_of(a=service(install=False), b=service(install=False))
    asked(machine, Verb.START, "b.service")
    machine.commit(
        {"a.service": service(install=False), "b.service": service(unit=BOTH, install=False)}
    )
    machine.run(5)
    assert machine.subs() == {"a.service": "running", "b.service": "running"}


def test_what_an_operator_started_keeps_what_it_needs_when_nothing_else_wants_that():
    needs = service(unit=BOTH, install=False)
    machine = machine_of(a=service(), b=needs)
    asked(machine, Verb.START, "b.service")
    machine.commit({"a.service": service(install=False), "b.service": needs})
    machine.run(5)
    assert machine.subs() == {"a.service": "running", "b.service": "running"}
    assert machine.spawns() == ["run", "run"]


def test_nothing_is_answered_before_the_commit_is_known_again():
    machine = machine_of(a=service(install=False))
    machine.crash()
    loads, machine._load_applied = machine._load_applied, lambda **_: machine.deliver()  # type: ignore[method-assign]
    machine.restart()
    number = machine.ask(Verb.START, "a.service")
    assert not machine.replies
    loads(again=True)
    machine.run(5)
    assert machine.answer(number, "a.service") == "done"


def test_a_request_that_was_dropped_is_not_answered():
    machine = machine_of(a=service("Type=notify", "ExecStart=/bin/notify", install=False))
    number = machine.ask(Verb.START, "a.service")
    machine.post(RequestDropped(number))
    machine.run(5)
    assert machine.sub("a.service") == "running"
    assert not machine.replies


def test_everything_under_way_is_answered_when_all_is_stopped():
    machine = machine_of(
        a=service("Type=notify", "ExecStart=/bin/mute", install=False), b=service()
    )
    numbers = [machine.ask(Verb.START, "a.service"), machine.ask(Verb.RESTART, "b.service")]
    machine.shutdown()
    machine.run(5)
    assert machine.exited
    assert [{x["result"] for x in machine.replies[n].values()} for n in numbers] == [
        {"canceled"},
        {"canceled"},
    ]


FLAPS = ("Type=notify", "ExecStart=/bin/crash", "Restart=always", "RestartSec=2")


@pytest.mark.parametrize("times", [1, 2])
def test_who_starts_what_requires_a_unit_that_fails_again_and_again_is_told(times):
    unlimited = "StartLimitIntervalSec=0"
    machine = machine_of(
        a=service(*FLAPS, unit=unlimited, install=False), b=service(unit=BOTH, install=False)
    )
    for _ in range(times):
        number = machine.ask(Verb.START, "b.service")
        machine.run(1)
        assert machine.answer(number, "b.service") == "dependency"
        why = machine.replies[number]["b.service"]["message"]
        assert why == "it waits for a.service, which has failed and is started again"
    assert machine.sub("a.service") == "auto-restart"


def test_who_has_ended_well_and_pauses_is_waited_for():
    machine = machine_of(
        a=service("Restart=always", "RestartSec=3"),
        b=service(unit="Requires=a.service z.service\nAfter=a.service z.service", install=False),
        z=service("Type=notify", "ExecStart=/bin/notify", install=False),
    )
    number = machine.ask(Verb.START, "b.service")
    machine.exit(machine.main("a.service"), 0)
    machine.run(2)
    assert machine.subs("a.service", "z.service") == {
        "a.service": "auto-restart",
        "z.service": "running",
    }
    assert number not in machine.replies
    machine.run(2)
    assert machine.answer(number, "b.service") == "done"


def test_a_direct_restart_of_what_is_required_is_waited_for():
    lines = (*FLAPS, "RestartMode=direct", "RestartSec=1")
    machine = machine_of(a=service(*lines, install=False), b=service(unit=BOTH, install=False))
    number = machine.ask(Verb.START, "b.service")
    machine.run(3)
    assert number not in machine.replies
    machine.run(20)
    assert machine.answer(number, "b.service") == "dependency"
    assert "it needs a.service" in machine.replies[number]["b.service"]["message"]
