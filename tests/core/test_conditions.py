"""Conditions and assertions: what a start does that must not be, and what becomes of those who need it."""

from __future__ import annotations

import pytest

from gitproc.core.actions import CheckConditions, Release
from gitproc.core.checked import Checked, Finding
from gitproc.core.drift import drifts
from gitproc.core.events import ConditionsChecked, Verb
from gitproc.core.status import unit_status
from gitproc.core.why import why
from tests.core.fake_kernel import Machine, Program, service

ONLY_IF = "ConditionPathExists=/x"
NEEDED = service(unit=ONLY_IF)


def machine_of(*unmet: str, run: float = 10.0, **units: str) -> Machine:
    machine = Machine()
    machine.unmet = set(unmet)
    machine.commit({f"{name}.service": text for name, text in units.items()})
    machine.run(run)
    return machine


def verdict(machine: Machine) -> str | None:
    assert machine.world.applied is not None
    return machine.verdict(machine.world.applied.sha)


Y, N = True, False


@pytest.mark.parametrize(
    ("tests", "good"),
    [
        ("", Y), ("+", Y), ("-", N), ("+-", N), ("++", Y),
        ("|+", Y), ("|-", N), ("|-|+", Y), ("|-|-", N), ("+|-|+", Y), ("-|+", N), ("+|-", N),
    ],
)  # fmt: skip
def test_all_plain_ones_and_one_of_the_group(tests, good):
    marks = tests.replace("|", " |").replace("+", "+ ").replace("-", "- ").split()
    found = tuple(Finding(f"ConditionHost={x}", x[-1] == "+", x[0] == "|") for x in marks)
    assert (not Checked(0.0, found).unmet) is good


def test_conditions_and_assertions_are_judged_apart_and_kept():
    findings = (Finding("ConditionHost=a", met=True), Finding("AssertHost=b", met=False))
    one = Checked(7.0, findings)
    assert (one.unmet, one.broken) == ((), findings[1:])
    assert Checked.restored(*one.record()) == one


def test_a_met_condition_is_no_matter_and_is_asked_once_a_start():
    machine = machine_of(a=NEEDED)
    assert machine.sub("a.service") == "running"
    assert len(machine.orders(CheckConditions)) == 1
    machine.exit(machine.main("a.service"), 0)
    machine.ask(Verb.START, "a.service")
    machine.run(5)
    assert len(machine.orders(CheckConditions)) == 2


def test_a_unit_without_conditions_asks_for_nothing():
    assert machine_of(a=service()).orders(CheckConditions) == []


def test_an_unmet_condition_skips_the_start_and_that_is_fine():
    machine = machine_of(
        "/x",
        a=service("ExecStartPre=/bin/true", "ExecStopPost=/bin/true", unit=ONLY_IF),
        b=service(unit="Requires=a.service\nAfter=a.service"),
    )
    assert machine.subs() == {"a.service": "dead", "b.service": "running"}
    assert machine.spawns("a.service") == []
    assert machine.orders(Release, "a.service") == []
    assert verdict(machine) == "good"
    assert machine.told("unit.skipped", "a.service")
    assert not machine.told("unit.failed")
    assert drifts(machine.world) == []
    status = unit_status(machine.world, "a.service", 0.0)
    assert status["conditions"]["unmet"] == ["ConditionPathExists=/x was not met"]
    assert "skipped" in "".join(why(machine.world, "a.service", 0.0)["reasons"])


def test_who_is_bound_to_a_skipped_unit_stays_down_and_the_commit_is_good():
    machine = machine_of("/x", a=NEEDED, b=service(unit="BindsTo=a.service\nAfter=a.service"))
    assert machine.subs() == {"a.service": "dead", "b.service": "dead"}
    assert verdict(machine) == "good"
    machine.unmet.clear()
    machine.ask(Verb.START, "a.service")
    machine.run(5)
    assert machine.subs() == {"a.service": "running", "b.service": "running"}


def test_a_start_checks_anew_and_answers_with_the_reason():
    machine = machine_of("/x", a=NEEDED)
    request = machine.ask(Verb.START, "a.service")
    machine.run(5)
    assert machine.answer(request, "a.service") == "skipped"
    assert "ConditionPathExists=/x" in machine.replies[request]["a.service"]["message"]
    machine.unmet.clear()
    machine.ask(Verb.START, "a.service")
    machine.run(5)
    assert machine.sub("a.service") == "running"


def test_a_failed_assertion_fails_the_unit_and_the_commit():
    machine = machine_of(
        "/x",
        a=service("Restart=always", unit="AssertPathExists=/x"),
        b=service(unit="Requires=a.service\nAfter=a.service"),
    )
    assert machine.subs() == {"a.service": "failed", "b.service": "dead"}
    assert machine.state("a.service").result == "assert"
    assert verdict(machine) == "failed"
    assert unit_status(machine.world, "a.service", 0.0)["conditions"]["broken"]


def test_a_mount_that_is_missing_fails_the_start():
    machine = machine_of(
        "/srv", "/x",
        a=service("Restart=always", unit="RequiresMountsFor=/srv /var\nConditionPathExists=/x\nAssertPathExists=/x"),
        b=service(unit="Requires=a.service\nAfter=a.service"),
    )  # fmt: skip
    assert machine.subs() == {"a.service": "failed", "b.service": "dead"}
    state = machine.state("a.service")
    assert state.result == "dependency", "the word of systemd's for a start whose mount has failed"
    needs = "it needs a file system that is not mounted: RequiresMountsFor=/srv"
    assert state.message == needs
    assert [needs in x for x in machine.told("unit.failed", "a.service")] == [True]
    found = unit_status(machine.world, "a.service", 0.0)["conditions"]
    expected = {"missing": ["RequiresMountsFor=/srv"], "unmet": [], "broken": []}
    assert expected.items() <= found.items(), "nothing else was asked for it"
    assert verdict(machine) == "failed"
    request = machine.ask(Verb.START, "a.service")
    machine.run(5)
    assert machine.answer(request, "a.service") == "dependency"
    assert machine.replies[request]["a.service"]["message"] == needs
    machine.unmet.clear()
    machine.ask(Verb.START, "a.service")
    machine.run(5)
    assert set(machine.subs().values()) == {"running"}


@pytest.mark.parametrize("needs", [ONLY_IF, "AssertPathExists=/x", "RequiresMountsFor=/x"])
def test_what_may_not_start_is_not_tried_over_and_over_though_it_is_upheld(needs):
    upheld = service(unit=needs, install=False)
    machine = machine_of("/x", a=upheld, b=service(unit="Upholds=a.service"))
    assert len(machine.orders(CheckConditions, "a.service")) == 1


def test_a_commit_that_asks_for_another_mount_tries_again():
    machine = machine_of("/srv", a=service(unit="RequiresMountsFor=/srv"))
    machine.commit({"a.service": service(unit="RequiresMountsFor=/var")})
    machine.run(5)
    assert machine.sub("a.service") == "running"


def test_what_was_triggered_and_skipped_rests_until_it_is_triggered_again():
    text = service(unit=ONLY_IF, install=False)
    timer = "[Timer]\nOnActiveSec=1\n[Install]\nWantedBy=timers.target\n"
    files = {"a.service": text, "a.timer": timer}
    machine = Machine()
    machine.unmet = {"/x"}
    machine.commit(files)
    machine.run(100)
    assert machine.told("unit.skipped", "a.service")
    machine.unmet.clear()
    machine.commit({**files, "a.service": text.replace("[Service]", "[Service]\nNice=1")})
    machine.run(5)
    assert machine.spawns("a.service") == []


def test_skips_do_not_count_for_the_start_limit():
    machine = machine_of("/x", a=NEEDED)
    for _ in range(8):
        machine.ask(Verb.START, "a.service")
        machine.run(0.1)
    assert machine.state("a.service").starts == []


def test_an_automatic_restart_checks_again():
    machine = machine_of(a=service("Restart=always", unit=ONLY_IF))
    machine.unmet.add("/x")
    machine.exit(machine.main("a.service"), 1)
    machine.run(10)
    state = machine.state("a.service")
    assert (state.sub, state.result) == ("dead", "success")
    assert state.restart_at is None
    assert len(machine.spawns("a.service")) == 1


def test_another_condition_is_no_change_of_what_runs_and_a_try_of_what_was_skipped():
    machine = machine_of("/x", a=NEEDED, b=service())
    pid = machine.main("b.service").pid
    machine.commit(
        {
            "a.service": service(unit="ConditionPathExists=/y"),
            "b.service": service(unit="ConditionPathExists=/x"),
        }
    )
    machine.run(10)
    assert machine.sub("a.service") == "running"
    assert machine.main("b.service").pid == pid
    plans = machine.told("commit.plan", "b.service")
    assert "none: ConditionPathExists" in plans[-1]


def test_targets_have_conditions_too():
    machine = Machine()
    machine.unmet = {"/x"}
    machine.commit(
        {
            "t.target": f"[Unit]\n{ONLY_IF}\n[Install]\nWantedBy=multi-user.target\n",
            "a.service": service(unit="After=t.target"),
        }
    )
    machine.run(10)
    assert machine.sub("t.target") == "dead"
    assert machine.sub("a.service") == "running"
    assert verdict(machine) == "good"


def test_a_stop_while_conditions_are_checked_leaves_nothing():
    machine = machine_of(a=service("ExecStopPost=/bin/true", unit=ONLY_IF), run=0)
    assert machine.sub("a.service") == "condition"
    machine.ask(Verb.STOP, "a.service")
    machine.run(5)
    assert machine.sub("a.service") == "dead"
    assert machine.spawns("a.service") == []


def test_a_check_that_is_never_answered_times_out():
    machine = machine_of(a=NEEDED, run=0)
    machine._happenings.clear()
    machine.run(200)
    assert machine.sub("a.service") == "failed"
    assert machine.state("a.service").result == "timeout"


def test_late_news_of_a_former_start_is_dropped():
    machine = machine_of(a=NEEDED)
    bad = (Finding(ONLY_IF, met=False),)
    machine.post(ConditionsChecked("a.service", "another", bad, 0.0))
    machine.post(ConditionsChecked("a.service", machine.state("a.service").invocation, bad, 0.0))
    assert machine.sub("a.service") == "running"


@pytest.mark.parametrize("when", [0.0, 5.0])
@pytest.mark.parametrize("unmet", [(), ("/x",)])
def test_a_crash_of_the_manager_asks_again_or_remembers(when, unmet):
    machine = machine_of(
        *unmet, a=NEEDED, b=service(unit="Requires=a.service\nAfter=a.service"), run=when
    )
    machine.crash()
    machine.restart()
    machine.run(10)
    assert machine.sub("a.service") == ("dead" if unmet else "running")
    assert machine.sub("b.service") == "running"
    assert machine.state("a.service").checked is not None


# -- ExecCondition= ------------------------------------------------------------------------------------

ASKS = service("ExecCondition=/bin/ask", "ExecStopPost=/bin/true")


def asking(status: int = 0, dies_of: int = 0, text: str = ASKS, **units: str) -> Machine:
    programs = {"ask": Program(lasts=0.01, status=status, dies_of=dies_of)}
    files = {f"{name}.service": body for name, body in {"a": text, **units}.items()}
    machine = Machine(files, programs)
    machine.run(10)
    return machine


def test_exec_condition_zero_goes_on():
    machine = asking()
    assert machine.spawns("a.service") == ["ask", "run"]
    assert machine.sub("a.service") == "running"


@pytest.mark.parametrize("status", [1, 254])
def test_exec_condition_skips_and_runs_stop_post(status):
    machine = asking(status, b=service(unit="Requires=a.service\nAfter=a.service"))
    assert machine.spawns("a.service") == ["ask", "true"]
    assert machine.subs() == {"a.service": "dead", "b.service": "running"}
    assert machine.state("a.service").result == "exec-condition"
    assert verdict(machine) == "good"
    assert machine.told("unit.skipped", "a.service")


@pytest.mark.parametrize(("status", "dies_of"), [(255, 0), (0, 9)])
def test_exec_condition_that_fails_fails_the_unit(status, dies_of):
    machine = asking(status, dies_of)
    assert machine.spawns("a.service") == ["ask", "true"]
    assert machine.sub("a.service") == "failed"
    assert verdict(machine) == "failed"


def test_exec_condition_that_is_ignored_goes_on():
    assert asking(3, text=service("ExecCondition=-/bin/ask")).sub("a.service") == "running"


def test_exec_condition_comes_after_conditions_and_a_skip_is_not_restarted():
    text = service("ExecCondition=/bin/ask", "Restart=always", unit=ONLY_IF)
    machine = asking(7, text=text)
    assert machine.spawns("a.service") == ["ask"]
    machine.run(30)
    assert machine.spawns("a.service") == ["ask"]
    assert machine.told("unit.restarting") == []


def test_conditions_that_come_while_exec_condition_runs_are_not_asked_for_after_a_crash():
    files = {"a.service": service("ExecCondition=/bin/long")}
    it = Machine(files, {"long": Program(lasts=2)})
    it.run(1)
    it.commit({"a.service": service("ExecCondition=/bin/long", unit="ConditionPathExists=/x")})
    it.crash()
    it.restart()
    it.run(5)
    assert it.spawns("a.service") == ["long", "run"]


def test_a_start_whose_conditions_no_kept_definition_has_begins_anew_after_a_crash():
    it = Machine({"a.service": service("ExecCondition=/bin/false")})
    it.run(1)
    assert it.told("unit.skipped")
    it.commit({"a.service": service("ExecCondition=/bin/true", unit="ConditionPathExists=/x")})
    it.commit({"a.service": service("ExecCondition=/bin/true", unit="ConditionPathExists=/y")})
    it.crash()
    it.restart()
    it.run(5)
    assert it.sub("a.service") == "running"


def test_a_start_whose_conditions_a_commit_takes_away_begins_anew_after_a_crash():
    it = machine_of("/x", a=NEEDED, run=0)
    assert it.sub("a.service") == "condition"
    it.commit({"a.service": service()})
    it.crash()
    it.restart()
    it.run(5)
    assert it.sub("a.service") == "running"
    assert len(it.state("a.service").starts) == 1


def test_conditions_that_a_commit_adds_survive_a_crash_while_they_are_tested():
    text = service("ExecCondition=/bin/false")
    it = Machine({"a.service": text})
    it.run(1)
    assert it.sub("a.service") == "dead"
    it.commit({"a.service": text.replace("[Unit]", "[Unit]\nConditionPathExists=/x")})
    assert it.sub("a.service") == "condition"
    it.crash()
    it.restart()
    it.run(5)
    assert it.sub("a.service") == "dead"
    assert len(it.told("unit.skipped")) == 2
