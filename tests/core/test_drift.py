"""Drift: what differs from the commit in force for reasons of its own, and what is only under way."""

from __future__ import annotations

from gitproc.core.drift import drifts
from gitproc.core.events import Verb
from tests.core.fake_kernel import Machine, service
from tests.core.test_why import running


def found(machine: Machine) -> list[tuple[str, str, str, str]]:
    return [tuple(drift.as_dict().values()) for drift in drifts(machine.world)]


def test_as_the_commit_wants_it_there_is_none():
    once = service("Type=oneshot", "ExecStart=/bin/true")
    machine = running(
        {"a.service": service(), "b.service": once, "c.service": service(install=False)}
    )
    assert machine.sub("b.service") == "dead"
    assert found(machine) == []


def test_what_is_held_and_not_what_follows_it():
    b = service(unit="Requires=a.service")
    machine = running({"a.service": service(), "b.service": b})
    machine.ask(Verb.STOP, "a.service")
    machine.run(1)
    assert machine.sub("b.service") == "dead"
    assert found(machine) == [
        ("a.service", "held", "stopped by op; the commit wants it", "gitproc start a.service")
    ]


def test_what_an_operator_alone_has_started():
    machine = running({"a.service": service(install=False), "b.service": service()})
    machine.ask(Verb.START, "a.service", "b.service")
    machine.run(1)
    assert found(machine) == [
        ("a.service", "extra", "started by an operator only", "gitproc stop a.service")
    ]


def test_what_an_operator_had_started_and_the_commit_wants_by_now():
    machine = running({"a.service": service(install=False)})
    machine.ask(Verb.START, "a.service")
    machine.run(1)
    machine.commit({"a.service": service()})
    machine.run(6)
    assert machine.state("a.service").demanded
    assert found(machine) == []


def test_what_is_wanted_no_more_and_waits_for_its_turn_to_stop():
    b = service("ExecStart=/bin/slow", unit="After=a.service")
    machine = running({"a.service": service(), "b.service": b})
    machine.commit({"c.service": service()})
    assert machine.sub("a.service") == "running"
    assert found(machine) == []


def test_what_failed_or_ended():
    machine = running(
        {"a.service": service("ExecStart=/bin/crash"), "b.service": service("ExecStart=/bin/true")}
    )
    message = machine.state("a.service").message
    assert message
    assert found(machine) == [
        ("a.service", "failed", message, "gitproc sync"),
        ("b.service", "ended", "ended by itself, with success", "gitproc sync"),
    ]


def test_what_restarts_is_under_way():
    machine = running(
        {"a.service": service("ExecStart=/bin/crash", "Restart=always", "RestartSec=3")}, 0.5
    )
    assert machine.sub("a.service") == "auto-restart"
    assert found(machine) == []


def test_what_failed_and_is_wanted_no_more():
    machine = running({"a.service": service("ExecStart=/bin/crash")})
    machine.commit({"b.service": service()})
    machine.run(6)
    assert found(machine) == []


def runs_by(machine: Machine, files: dict[str, str]) -> None:
    """a runs by another definition than the commit's."""
    machine.state("a.service").unit = Machine(files).state("a.service").unit


def test_what_runs_by_another_definition():
    machine = running({"a.service": service()})
    runs_by(machine, {"a.service": service("ExecStart=/bin/run other")})
    assert found(machine) == [
        ("a.service", "outdated", "runs with another ExecStart", "gitproc restart a.service")
    ]


def test_what_has_not_reloaded_yet():
    text = service("ExecReload=/bin/true", own="ReloadTriggers=conf")
    machine = running({"a.service": text, "conf": "1"})
    runs_by(machine, {"a.service": text, "conf": "2"})
    [(name, kind, _, _)] = found(machine)
    assert (name, kind) == ("a.service", "outdated")


def test_what_applies_without_a_restart_is_none():
    machine = running({"a.service": service()})
    runs_by(machine, {"a.service": service("MemoryMax=1G")})
    assert found(machine) == []


def test_what_is_about_to_be_replaced_is_none():
    machine = running({"a.service": service()})
    machine.state("a.service").restart_wanted = "a change"
    runs_by(machine, {"a.service": service("ExecStart=/bin/run other")})
    assert found(machine) == []


SOCKET = "[Socket]\nListenStream=/run/s\n[Install]\nWantedBy=sockets.target\n"


def test_what_a_socket_has_started_is_meant_and_so_is_what_that_needs():
    a = service(install=False, unit="Wants=b.service")
    machine = running({"a.socket": SOCKET, "a.service": a, "b.service": service(install=False)})
    machine.sockets.connect("a.socket")
    machine.run(1)
    assert machine.subs() == {"a.service": "running", "b.service": "running"}
    assert found(machine) == []


def test_a_hold_of_what_runs_on_demand_counts_where_something_else_demands_it():
    machine = running({"a.socket": SOCKET, "a.service": service(install=False)})
    machine.ask(Verb.STOP, "a.service")
    machine.run(1)
    heal = "gitproc start a.service"
    text = "stopped by op; a.socket cannot start it"
    assert found(machine) == [("a.service", "held", text, heal)]
    machine = running({"a.service": service(install=False)})
    machine.ask(Verb.START, "a.service")
    machine.ask(Verb.STOP, "a.service")
    machine.run(1)
    assert machine.state("a.service").hold
    assert found(machine) == []
