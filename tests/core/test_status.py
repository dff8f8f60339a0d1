"""Status: the world in systemd's words, and the reason where a unit is not simply up."""

from __future__ import annotations

import pytest

from gitproc.core.events import Verb
from gitproc.core.properties import properties
from gitproc.core.status import commits, listed, reason, unit_status
from tests.core.fake_kernel import Machine, service

WALL = 5000.0
BOTH = "Requires=a.service\nAfter=a.service"


def machine_of(run: float = 10.0, **units: str) -> Machine:
    machine = Machine({f"{name}.service": text for name, text in units.items()})
    machine.run(run)
    return machine


def status(machine: Machine, name: str) -> dict[str, object]:
    return unit_status(machine.world, name, WALL)


def test_a_running_unit():
    machine = machine_of(a=service("ExecStartPre=/bin/true", unit="Description=Our a"))
    found = status(machine, "a.service")
    expected = {
        "name": "a.service",
        "description": "Our a",
        "load_state": "loaded",
        "active_state": "active",
        "sub_state": "running",
        "result": "success",
        "main_pid": machine.main("a.service").pid,
        "control_pid": None,
        "fragment": "a.service",
        "restarts": 0,
        "hold": None,
        "reason": "",
        "health": None,
    }
    assert {key: found[key] for key in expected} == expected
    assert 6000 < float(str(found["since"])) < 6001


@pytest.mark.parametrize(
    ("lines", "run", "active", "sub", "result"),
    [
        (("Type=notify", "ExecStart=/bin/notify"), 0.5, "activating", "start", "success"),
        (("ExecStart=/bin/crash",), 5, "failed", "failed", "exit-code"),
        (("ExecStart=/bin/true",), 5, "inactive", "dead", "success"),
        (
            ("ExecStart=/bin/crash", "Restart=always", "RestartSec=9"),
            5,
            "activating",
            "auto-restart",
            "exit-code",
        ),
        (
            ("ExecStart=/bin/crash", "ExecStopPost=/bin/run"),
            5,
            "deactivating",
            "stop-post",
            "exit-code",
        ),
    ],
)
def test_states_in_systemds_words(lines, run, active, sub, result):
    found = status(machine_of(run, a=service(*lines)), "a.service")
    assert (found["active_state"], found["sub_state"], found["result"]) == (active, sub, result)


def test_units_that_are_not_there_or_not_to_be():
    machine = machine_of(a="", b=service(install=False))
    assert status(machine, "a.service")["load_state"] == "masked"
    assert status(machine, "nobody.service")["load_state"] == "not-found"
    assert status(machine, "b.service")["load_state"] == "loaded"


def why(machine: Machine, name: str) -> str:
    state = machine.state(name)
    return reason(machine.world, state, state.unit or machine.world.wanted_unit(name))


def test_the_reason_why_a_unit_is_not_up():
    machine = machine_of(
        a=service("Type=oneshot", "ExecStart=/bin/false"),
        b=service(unit=BOTH),
        c=service(install=False),
    )
    assert "status 1" in why(machine, "a.service")
    assert why(machine, "b.service") == "waits for a.service, which is required and not up"
    assert "on demand" in why(machine, "c.service")
    machine = machine_of(a=service(), b=service(unit=BOTH))
    machine.ask(Verb.STOP, "a.service")
    machine.run(5)
    assert why(machine, "b.service") == "needs a.service, which is held"
    assert status(machine, "a.service")["hold"] == {"by": "op", "at": None}


def test_health_is_shown_while_the_unit_is_up():
    own = "HealthCheckURL=http://127.0.0.1/\nHealthCheckInterval=2"
    machine = machine_of(0.5, a=service(own=own))
    assert status(machine, "a.service")["health"] == {
        "state": "starting",
        "failures": 0,
        "detail": "",
    }
    machine.run(3)
    assert status(machine, "a.service")["health"] == {
        "state": "healthy",
        "failures": 0,
        "detail": "",
    }
    machine.healthy["a.service"] = False
    machine.run(2)
    shown = status(machine, "a.service")["health"]
    assert shown == {"state": "unhealthy", "failures": 1, "detail": "HTTP 500"}


def test_what_is_listed():
    machine = machine_of(a=service(), b=service(install=False))
    machine.commit(
        {
            "a.service": service(),
            "b.service": service(install=False),
            "t.target": "[Unit]\nDescription=t\n",
        }
    )
    machine.run(5)
    assert listed(machine.world) == ["a.service", "b.service", "t.target"]


def test_commits_and_their_verdicts():
    machine = machine_of(1, a=service())
    found = commits(machine.world, "head", "main")
    assert found["deploying"]["verdict"] == "deploying"
    machine.run(10)
    refused = machine.commit({"a.service": service("Nonsense=1")})
    found = commits(machine.world, "head", "main")
    assert found["applied"]["verdict"] == found["last_good"]["verdict"] == "good"
    assert found["refused"]["sha"] == refused
    assert found["diagnostics"]


def test_properties_by_systemctls_names():
    machine = machine_of(
        a=service("Environment=A=1", unit="Description=x\nAfter=b.service"), b=service()
    )
    name = "a.service"
    found = properties(machine.world, name, unit_status(machine.world, name, WALL))
    assert found["Id"] == name
    assert found["ActiveState"] == "active"
    assert found["MainPID"] == str(machine.main(name).pid)
    assert found["NRestarts"] == "0"
    assert found["Environment"] == "A=1"
    assert "b.service" in found["After"]
