"""Why a unit runs, or does not: every reason that can be given, from the state that it is given for."""

from __future__ import annotations

from typing import Any

import pytest

from gitproc.core.events import Verb
from gitproc.core.why import pulled_by, why
from tests.core.fake_kernel import Machine, Program, service
from tests.units.trees import Link

TOP = "multi-user.target"
NOBODY = "nothing wants it: it has no [Install] that counts, and no wanted unit needs it"
STARTING = "its start is under way: it is not ready yet"


def asked(machine: Machine, name: str = "a.service") -> dict[str, Any]:
    return why(machine.world, name, 0.0, machine.now)


def told(machine: Machine, name: str = "a.service") -> tuple[str, list[str]]:
    """The verdict, and the reasons."""
    found = asked(machine, name)
    return found["verdict"], found["reasons"]


def running(files: dict[str, str], seconds: float = 6.0) -> Machine:
    machine = Machine(files)
    machine.run(seconds)
    return machine


def test_it_is_installed():
    machine = running({"a.service": service()})
    assert asked(machine) == {
        "unit": "a.service",
        "active_state": "active",
        "sub_state": "running",
        "verdict": "runs",
        "reasons": [f"{TOP} wants it (a.service:6)"],
        "chain": [TOP, "a.service"],
        "since": machine.state("a.service").entered,
    }
    assert why(machine.world, "a.service", 7.0)["since"] == machine.state("a.service").entered + 7


@pytest.mark.parametrize(
    ("relation", "words"),
    [("Requires", "requires"), ("BindsTo", "is bound to"), ("Wants", "wants")],
)
def test_another_unit_pulls_it_in(relation, words):
    b = service(unit=f"{relation}=a.service")
    machine = running({"a.service": service(install=False), "b.service": b})
    assert told(machine) == ("runs", [f"b.service {words} it (b.service:2)"])
    assert asked(machine)["chain"] == [TOP, "b.service", "a.service"]


def test_the_shortest_chain_is_told():
    machine = running(
        {
            "a.service": service(install=False),
            "b.service": service(unit="Wants=c.service"),
            "c.service": service(unit="Wants=a.service", install=False),
            "d.service": service(unit="Wants=a.service"),
            "e.service": service(unit="Wants=a.service", install=False),
            "f.service": service(unit="Wants=e.service"),
        }
    )
    assert pulled_by(machine.world, "a.service") == [TOP, "d.service", "a.service"]
    assert pulled_by(machine.world, TOP) == [TOP]
    assert pulled_by(machine.world, "x.service") == []


def test_what_an_operator_started_is_no_reason_for_the_commit():
    machine = running(
        {
            "a.service": service(install=False),
            "b.service": service(unit="Wants=a.service", install=False),
            "c.service": service(unit="Wants=d.service"),
            "d.service": service(unit="Wants=a.service", install=False),
        }
    )
    machine.ask(Verb.START, "b.service")
    assert pulled_by(machine.world, "a.service") == [TOP, "c.service", "d.service", "a.service"]


def test_units_that_need_each_other_have_an_end():
    machine = running(
        {
            "a.service": service(unit="Wants=b.service", install=False),
            "b.service": service(unit="Wants=a.service"),
        }
    )
    assert pulled_by(machine.world, "a.service") == [TOP, "b.service", "a.service"]


def test_there_is_no_such_unit():
    found = asked(running({"a.service": service()}), "x.service")
    assert (found["verdict"], found["reasons"]) == ("rests", ["no commit in force has it"])
    assert (found["chain"], found["since"]) == ([], None)


def test_it_is_masked():
    machine = Machine({"a.service": Link("/dev/null"), "b.service": service()})
    assert told(machine) == ("rests", ["it is masked by a link to /dev/null"])


def test_nothing_wants_it():
    assert told(running({"a.service": service(install=False)})) == ("rests", [NOBODY])


def test_an_operator_started_it():
    machine = running({"a.service": service(install=False)})
    machine.ask(Verb.START, "a.service")
    machine.run(1)
    reason = "an operator started it; nothing in the commit wants it"
    assert told(machine) == ("runs", [reason])


def test_a_hold_and_what_needs_the_held():
    b = service(unit="Requires=a.service")
    machine = running({"a.service": service(), "b.service": b})
    machine.ask(Verb.STOP, "a.service")
    machine.run(1)
    verdict, reasons = told(machine)
    assert verdict == "rests"
    assert reasons[1] == "op stopped it: a hold, ended by `gitproc start a.service`"
    verdict, reasons = told(machine, "b.service")
    assert verdict == "rests"
    assert reasons[1] == "it needs a.service, which is held"


def test_everything_is_being_stopped():
    machine = running({"a.service": service("ExecStart=/bin/slow")})
    machine.shutdown()
    verdict, reasons = told(machine)
    assert verdict == "stops"
    assert "everything is being stopped" in reasons


def test_it_starts_and_others_wait_for_it():
    b = service(unit="After=a.service")
    machine = running(
        {"a.service": service("Type=notify", "ExecStart=/bin/mute"), "b.service": b}, 1
    )
    verdict, reasons = told(machine)
    assert verdict == "starts"
    assert reasons[-1] == STARTING
    verdict, reasons = told(machine, "b.service")
    assert verdict == "waits"
    assert reasons[-1].startswith("it waits for a.service, which ")
    assert STARTING not in reasons


def test_what_it_needs_has_failed():
    chain = {
        "a.service": service("Type=oneshot", "ExecStart=/bin/false"),
        "b.service": service(unit="Requires=a.service\nAfter=a.service"),
        "c.service": service(unit="Requires=b.service\nAfter=b.service"),
    }
    machine = running(chain)
    verdict, reasons = told(machine)
    assert verdict == "rests"
    message = machine.state("a.service").message
    assert reasons[1:] == [
        f"it failed (exit-code): {message}, and its Restart= does not start it again",
        "`gitproc start a.service`, `gitproc sync` or a change of it tries again",
    ]
    end = "what it needs in the end is a.service, which is not up"
    assert told(machine, "c.service")[0] == "waits"
    assert end in told(machine, "c.service")[1]
    waits = machine.state("b.service").waits_for
    assert waits == "a.service"
    assert end not in told(machine, "b.service")[1], "that is said already"


def test_it_restarts_after_a_while():
    machine = running(
        {"a.service": service("ExecStart=/bin/crash", "Restart=always", "RestartSec=3")}, 0.5
    )
    verdict, reasons = told(machine)
    assert verdict == "waits"
    assert reasons[1].startswith("it ended (main process 101 exited with status 3 (exit-code)")
    assert reasons[1].endswith(") and restarts in 2.6 s")
    assert asked(machine)["since"] == machine.state("a.service").entered
    machine.now += 60  # and the world has not heard of it yet
    assert told(machine)[1][1].endswith(") and restarts in 0.0 s")


def test_it_has_done_its_work():
    machine = running({"a.service": service("Type=oneshot", "ExecStart=/bin/true")})
    verdict, reasons = told(machine)
    assert verdict == "rests"
    assert reasons[1:] == ["it has done its work; it runs again when a commit changes it"]


def test_it_ended_by_itself():
    machine = running({"a.service": service("ExecStart=/bin/true")})
    verdict, reasons = told(machine)
    assert verdict == "rests"
    assert reasons[1].startswith("it ended by itself")
    assert reasons[1].endswith(", and its Restart= does not start it again")


def test_it_is_to_be_replaced():
    slow = Program(takes=3.0, on_signal=0)
    machine = Machine({"a.service": service()}, {"run": slow})
    machine.run(6)
    machine.ask(Verb.RESTART, "a.service")
    verdict, reasons = told(machine)
    assert verdict == "stops"
    assert any(reason.startswith("it is to be restarted: ") for reason in reasons)


def test_it_still_runs_and_has_to_stop():
    """It may not begin to stop before who comes after it has stopped."""
    slow = service("ExecStart=/bin/slow", unit="After=a.service")
    machine = running({"a.service": service(), "b.service": slow})
    machine.commit({"c.service": service()})
    assert machine.sub("a.service") == "running"
    verdict, reasons = told(machine)
    assert (verdict, reasons[0]) == ("stops", "no commit in force has it")
