"""What one unit's end, stop and reload mean for others: OnFailure=, Upholds=, Requisite= and their kin."""

from __future__ import annotations

import pytest

from gitproc.core.actions import Reply, Spawn
from gitproc.core.events import Verb
from gitproc.core.why import why
from tests.core.fake_kernel import KILL, Machine, Program, service

ALERT = service("Type=oneshot", "ExecStart=/bin/true", install=False)
BAD = service("Type=oneshot", "ExecStart=/bin/false", unit="OnFailure=alert.service")


def machine_of(
    run: float = 10.0, programs: dict[str, Program] | None = None, **units: str
) -> Machine:
    files = {f"{name}.service": text for name, text in units.items()}
    machine = Machine(files, programs)
    machine.run(run)
    return machine


def told(machine: Machine, unit: str) -> dict[str, str]:
    """The variables beyond its own of the last process of a unit."""
    order = [x for x in machine.orders(Spawn) if x.process.unit == unit][-1]
    return dict(x.split("=", 1) for x in order.variables)


# -- OnFailure=, OnSuccess=, OnRetry= --------------------------------------------------------------------


def test_a_failure_for_good_starts_who_is_named_and_tells_it():
    machine = machine_of(a=BAD, alert=ALERT)
    assert machine.spawns("alert.service") == ["true"]
    found = told(machine, "alert.service")
    assert found["MONITOR_UNIT"] == "a.service"
    assert found["MONITOR_SERVICE_RESULT"] == "exit-code"
    assert (found["MONITOR_EXIT_CODE"], found["MONITOR_EXIT_STATUS"]) == ("exited", "1")
    assert found["MONITOR_INVOCATION_ID"] == machine.state("a.service").invocation


@pytest.mark.parametrize("alert", [ALERT, None])
def test_why_it_failed_is_still_said_after_that(alert):
    machine = machine_of(a=BAD, **({"alert": alert} if alert else {}))
    assert "exited with status 1" in machine.state("a.service").message


def test_a_signal_is_told_by_name():
    text = service("ExecStart=/bin/dies", unit="OnFailure=alert.service")
    machine = machine_of(programs={"dies": Program(lasts=0.1, dies_of=9)}, a=text, alert=ALERT)
    found = told(machine, "alert.service")
    assert (found["MONITOR_EXIT_CODE"], found["MONITOR_EXIT_STATUS"]) == ("killed", "KILL")


def test_restarts_do_not_count_as_failure_and_the_limit_does():
    text = service(
        "ExecStart=/bin/crash", "Restart=on-failure",
        unit="OnFailure=alert.service", own="OnRetry=retried.service",
    )  # fmt: skip
    machine = machine_of(a=text, alert=ALERT, retried=ALERT)
    assert machine.spawns("alert.service") == ["true"]
    assert told(machine, "alert.service")["MONITOR_SERVICE_RESULT"] == "start-limit-hit"
    assert len(machine.spawns("retried.service")) == machine.state("a.service").restarts == 4
    assert told(machine, "retried.service")["MONITOR_UNIT"] == "a.service"


def test_two_failures_before_the_start_tell_nothing():
    slow = service("Type=oneshot", "ExecStart=/bin/true", unit="After=b.service", install=False)
    machine = machine_of(
        a=BAD,
        c=BAD,
        b=service("Type=notify", "ExecStart=/bin/notify"),
        alert=slow,
    )
    assert machine.spawns("alert.service") == ["true"]
    assert "MONITOR_UNIT" not in told(machine, "alert.service")


def test_an_end_with_success_starts_others_and_a_restart_by_hand_does_not():
    text = service(
        "Type=oneshot",
        "ExecStart=/bin/true",
        unit="OnSuccess=next.service\nOnFailure=alert.service",
    )
    machine = machine_of(a=text, next=ALERT, alert=ALERT)
    assert machine.spawns("next.service") == ["true"]
    assert told(machine, "next.service")["MONITOR_SERVICE_RESULT"] == "success"
    assert machine.spawns("alert.service") == []
    running = service(unit="OnSuccess=next.service")
    machine = machine_of(a=running, next=ALERT)
    machine.ask(Verb.RESTART, "a.service")
    machine.run(5)
    assert machine.spawns("next.service") == []
    machine.ask(Verb.STOP, "a.service")
    machine.run(5)
    assert machine.spawns("next.service") == ["true"]


def test_an_assertion_that_fails_and_a_trigger_that_is_not_there():
    machine = Machine()
    machine.unmet = {"/x"}
    machine.commit(
        {
            "a.service": service(
                unit="AssertPathExists=/x\nOnFailure=alert.service nobody.service"
            ),
            "alert.service": ALERT,
        }
    )
    machine.run(5)
    assert told(machine, "alert.service")["MONITOR_SERVICE_RESULT"] == "assert"
    assert machine.told("unit.not-triggered", "nobody.service")


def test_nothing_is_started_while_all_is_stopped():
    machine = machine_of(a=service(unit="OnSuccess=alert.service"), alert=ALERT)
    machine.shutdown()
    machine.run(10)
    assert machine.exited
    assert machine.spawns("alert.service") == []


def test_a_failure_while_no_manager_is_there_is_acted_on_by_the_next():
    text = service(unit="OnFailure=alert.service")
    machine = machine_of(a=text, alert=ALERT)
    proc = machine.main("a.service")
    machine.crash()
    machine.exit(proc, 3)
    machine.restart()
    machine.run(5)
    assert machine.spawns("alert.service") == ["true"]


# -- Requisite= ------------------------------------------------------------------------------------------

NEEDS = service(unit="Requisite=a.service\nAfter=a.service")


def test_requisite_does_not_start_and_does_not_go_without():
    machine = machine_of(a=service(install=False), b=NEEDS)
    assert (
        machine.subs() == {"a.service": "dead", "b.service": "dead"}
        or machine.sub("b.service") == "dead"
    )
    assert machine.spawns() == []
    request = machine.ask(Verb.START, "b.service")
    machine.run(2)
    assert machine.answer(request, "b.service") == "dependency"
    machine.ask(Verb.START, "a.service")
    machine.run(2)
    assert machine.sub("b.service") == "running", "it comes up when its requirement does"


def test_requisite_waits_for_what_is_coming_up_and_stops_with_it():
    machine = machine_of(a=service("Type=notify", "ExecStart=/bin/notify"), b=NEEDS)
    assert machine.sub("b.service") == "running"
    machine.ask(Verb.STOP, "a.service")
    machine.run(5)
    assert machine.sub("b.service") == "dead"
    machine.ask(Verb.START, "a.service")
    machine.run(5)
    assert machine.sub("b.service") == "running"


def test_requisite_takes_neither_a_finished_nor_a_skipped_unit():
    machine = machine_of(a=service("Type=oneshot", "ExecStart=/bin/true"), b=NEEDS)
    assert machine.sub("b.service") == "dead"


def test_requisite_of_what_no_commit_has_is_refused():
    machine = machine_of(b=service(unit="Requisite=nobody.service"))
    assert machine.world.refused is not None


# -- Upholds= --------------------------------------------------------------------------------------------


def test_what_is_upheld_is_started_and_started_again():
    machine = machine_of(
        a=service(unit="Upholds=b.service"),
        b=service(install=False),
    )
    assert machine.sub("b.service") == "running"
    machine.exit(machine.main("b.service"), 0)
    machine.run(5)
    assert machine.sub("b.service") == "running"


@pytest.mark.parametrize("where", ["Upholds", "UpheldBy"])
def test_what_is_upheld_is_not_when_the_other_is_down(where):
    a = service(unit="Upholds=b.service" if where == "Upholds" else "")
    b = service(install=False) + ("[Install]\nUpheldBy=a.service\n" if where == "UpheldBy" else "")
    machine = machine_of(a=a, b=b)
    machine.ask(Verb.STOP, "a.service")
    machine.run(2)
    machine.exit(machine.main("b.service"), 0)
    machine.run(5)
    assert machine.sub("b.service") == "dead"
    machine.ask(Verb.START, "a.service")
    machine.run(5)
    assert machine.sub("b.service") == "running"


def test_upholding_ends_at_the_start_limit_and_before_a_hold():
    machine = machine_of(
        30.0, a=service(unit="Upholds=b.service"), b=service("ExecStart=/bin/crash", install=False)
    )
    assert machine.sub("b.service") == "failed"
    assert machine.state("b.service").result == "start-limit-hit"
    machine = machine_of(a=service(unit="Upholds=b.service"), b=service(install=False))
    machine.ask(Verb.STOP, "b.service")
    machine.run(5)
    assert machine.sub("b.service") == "dead"


def test_what_conditions_skip_is_not_tried_for_ever():
    machine = Machine()
    machine.unmet = {"/x"}
    machine.commit(
        {
            "a.service": service(unit="Upholds=b.service"),
            "b.service": service(unit="ConditionPathExists=/x", install=False),
        }
    )
    machine.run(30)
    assert len(machine.told("unit.skipped", "b.service")) == 1


# -- what is passed on -----------------------------------------------------------------------------------


@pytest.mark.parametrize("end", ["from", "to"])
def test_a_stop_is_passed_on_and_a_restart_is_not(end):
    a = service(unit="PropagatesStopTo=b.service" if end == "to" else "")
    b = service(unit="StopPropagatedFrom=a.service" if end == "from" else "")
    machine = machine_of(a=a, b=b)
    pid = machine.main("b.service").pid
    machine.ask(Verb.RESTART, "a.service")
    machine.run(5)
    assert machine.main("b.service").pid == pid
    machine.ask(Verb.STOP, "a.service")
    machine.run(5)
    assert machine.sub("b.service") == "dead"
    machine.ask(Verb.START, "a.service")
    machine.run(5)
    assert machine.sub("b.service") == "running"


RELOADS = "ExecReload=/bin/true"


def test_a_reload_is_passed_on_once_to_each_however_they_name_one_another():
    machine = machine_of(
        a=service(RELOADS, unit="PropagatesReloadTo=b.service"),
        b=service(RELOADS, unit="PropagatesReloadTo=c.service a.service"),
        c=service(RELOADS),
        d=service(RELOADS, unit="ReloadPropagatedFrom=a.service"),
        e=service(unit="ReloadPropagatedFrom=a.service"),
    )
    request = machine.ask(Verb.RELOAD, "a.service")
    machine.run(5)
    assert machine.answer(request, "a.service") == "done"
    for name in "abcd":
        assert machine.spawns(f"{name}.service") == ["run", "true"]
    assert machine.spawns("e.service") == ["run"]


def test_a_unit_that_cannot_reload_itself_can_have_others_reload():
    machine = machine_of(a=service(unit="PropagatesReloadTo=b.service"), b=service(RELOADS))
    request = machine.ask(Verb.RELOAD, "a.service")
    machine.run(5)
    assert machine.answer(request, "a.service") == "done"
    assert machine.spawns("b.service") == ["run", "true"]


def test_a_commit_that_reloads_one_reloads_the_other():
    files = {
        "a.service": service(RELOADS, unit="PropagatesReloadTo=b.service", own="ReloadTriggers=c"),
        "b.service": service(RELOADS),
    }
    machine = Machine({**files, "c": "1"})
    machine.run(5)
    machine.commit({**files, "c": "2"})
    machine.run(5)
    assert machine.spawns("b.service") == ["run", "true"]


# -- StopWhenUnneeded=, RefuseManual* --------------------------------------------------------------------

SHARED = service(unit="StopWhenUnneeded=yes", install=False)
USES = "Requires=shared.service\nAfter=shared.service"


def test_a_shared_unit_comes_with_the_first_and_goes_with_the_last():
    machine = machine_of(shared=SHARED, a=service(unit=USES), b=service(unit=USES))
    assert machine.sub("shared.service") == "running"
    machine.ask(Verb.STOP, "a.service")
    machine.run(5)
    assert machine.sub("shared.service") == "running"
    machine.ask(Verb.STOP, "b.service")
    machine.run(5)
    assert machine.sub("shared.service") == "dead"
    assert "StopWhenUnneeded" in "".join(why(machine.world, "shared.service", 0.0)["reasons"])
    machine.ask(Verb.START, "b.service")
    machine.run(5)
    assert (machine.sub("shared.service"), machine.sub("b.service")) == ("running", "running")
    machine.exit(machine.main("b.service"), 1)
    machine.run(5)
    assert machine.sub("shared.service") == "dead"


def test_a_restart_of_the_last_user_is_no_end():
    machine = machine_of(shared=SHARED, a=service("Restart=always", "RestartSec=2", unit=USES))
    pid = machine.main("shared.service").pid
    machine.exit(machine.main("a.service"), 1)
    machine.run(10)
    assert machine.main("shared.service").pid == pid


def test_two_that_only_need_each_other_are_not_needed():
    wants = "StopWhenUnneeded=yes\nWants="
    machine = machine_of(
        a=service(unit=f"{wants}b.service", install=False),
        b=service(unit=f"{wants}a.service", install=False),
    )
    request = machine.ask(Verb.START, "a.service")
    machine.run(5)
    assert machine.answer(request, "a.service") == "canceled"
    assert machine.subs("a.service", "b.service") == {"a.service": "dead", "b.service": "dead"}


def test_what_refuses_operators():
    machine = machine_of(
        a=service(unit="RefuseManualStart=yes"),
        b=service(unit="RefuseManualStop=yes"),
        c=service(unit="Requires=a.service"),
    )
    for verb, name in [
        (Verb.START, "a"),
        (Verb.RESTART, "a"),
        (Verb.STOP, "b"),
        (Verb.RESTART, "b"),
    ]:
        request = machine.ask(verb, f"{name}.service")
        machine.run(1)
        assert machine.answer(request, f"{name}.service") == "failed"
        assert "RefuseManual" in machine.replies[request][f"{name}.service"]["message"]
    machine.ask(Verb.STOP, "a.service")
    machine.run(5)
    assert machine.sub("a.service") == "dead"
    request = machine.ask(Verb.START, "c.service")
    machine.run(5)
    assert machine.answer(request, "c.service") == "done"
    assert machine.sub("a.service") == "running"


# -- dependants come back --------------------------------------------------------------------------------


@pytest.mark.parametrize("relation", ["Requires", "BindsTo", "Requisite"])
def test_dependants_come_back_when_their_requirement_does(relation):
    machine = machine_of(
        a=service("Type=notify", "ExecStart=/bin/notify"),
        b=service(unit=f"{relation}=a.service\nAfter=a.service"),
        c=service(unit="Requires=b.service\nAfter=b.service"),
    )
    machine.exit(machine.main("a.service"), 1)
    machine.run(5)
    assert machine.sub("a.service") == "failed"
    if relation == "BindsTo":
        assert machine.sub("b.service") == "dead"
    machine.ask(Verb.START, "a.service")
    machine.run(5)
    assert machine.subs("a.service", "b.service", "c.service") == {
        "a.service": "running",
        "b.service": "running",
        "c.service": "running",
    }


# -- RestartMode=direct ------------------------------------------------------------------------------------


def restarting(mode: str, *lines: str) -> Machine:
    """One that crashes, is restarted after two seconds, and up to twice, and who has to do with it."""
    text = service(
        "ExecStart=/bin/run a", "Restart=on-failure", "RestartSec=2", f"RestartMode={mode}", *lines,
        unit="StartLimitBurst=3\nStartLimitIntervalSec=60\nOnFailure=alert.service\nOnSuccess=alert.service",
    )  # fmt: skip
    needs = "Requires=a.service\nAfter=a.service"
    machine = machine_of(
        a=text, alert=ALERT, bound=service(unit="BindsTo=a.service\nAfter=a.service"),
        needs=service(unit=needs), late=service(unit="After=a.service", install=False),
    )  # fmt: skip
    machine.exit(machine.main("a.service"), 1)
    machine.run(1)
    assert machine.sub("a.service") == "auto-restart"
    return machine


def test_a_direct_restart_is_hidden_from_who_depends_on_it():
    machine = restarting("direct")
    machine.ask(Verb.START, "late.service")
    machine.run(0.5)
    assert machine.subs("bound.service", "needs.service") == {
        "bound.service": "running", "needs.service": "running",
    }  # fmt: skip
    assert machine.orders(Reply) == [] and machine.sub("late.service") == "dead", "it waits"
    machine.run(2)
    assert machine.sub("late.service") == "running"
    assert machine.spawns("alert.service") == []
    assert machine.spawns("bound.service") == machine.spawns("needs.service") == ["run"]


def test_a_normal_restart_is_not():
    machine = restarting("normal")
    machine.ask(Verb.START, "late.service")
    machine.run(0.5)
    assert machine.sub("late.service") == "running", "the start has been tried"
    assert machine.sub("bound.service") == "dead" and machine.sub("needs.service") == "running"
    machine.run(4)
    assert machine.spawns("bound.service") == ["run", "run"]


@pytest.mark.parametrize("mode", ["direct", "normal"])
def test_at_the_end_of_its_restarts_all_hear_of_it(mode):
    machine = restarting(mode)
    for _ in range(2):
        machine.run(2)
        assert machine.spawns("alert.service") == []
        machine.exit(machine.main("a.service"), 1)
        machine.run(1)
    assert machine.sub("a.service") == "failed"
    assert machine.spawns("alert.service") == ["true"]
    assert machine.sub("bound.service") == "dead"


# -- DefaultInstance= --------------------------------------------------------------------------------------


def test_a_default_instance_runs_by_its_template_alone_and_goes_with_it():
    body = service("ExecStart=/bin/run %i")
    files = {"x@.service": f"{body}DefaultInstance=one\n"}
    machine = Machine(files)
    machine.run(1)
    assert machine.subs() == {"x@one.service": "running"}
    machine.commit({"x@.service": f"{body}DefaultInstance=two\n"})
    machine.run(10)
    assert machine.sub("x@two.service") == "running"
    assert machine.alive("x@one.service") == []
    machine.commit({**files, "x@one.service.d/a.conf": "[X-GitProc]\nEnabled=no\n"})
    machine.run(10)
    assert machine.alive("x@one.service") == machine.alive("x@two.service") == []


def test_who_is_started_on_demand_has_what_it_upholds():
    files = {
        "a.service": service(unit="Upholds=b.service", install=False),
        "b.service": service(install=False),
    }
    machine = Machine(files)
    machine.run(1)
    machine.ask(Verb.START, "a.service")
    machine.run(1)
    assert machine.subs("a.service", "b.service") == dict.fromkeys(files, "running")
    machine.kill(machine.main("b.service"), KILL)
    machine.run(1)
    assert machine.sub("b.service") == "running"
