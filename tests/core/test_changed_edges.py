"""What a commit does that changes nothing but what units say of each other."""

from __future__ import annotations

import pytest

from gitproc.core.dependency_resolver import build
from gitproc.core.events import Verb
from tests.core.fake_kernel import Machine, service

DONE = service("Type=oneshot", "ExecStart=/bin/true", install=False)


def machine_of(files: dict[str, str]) -> Machine:
    machine = Machine(files)
    machine.run(10)
    assert machine.world.refused is None
    return machine


def test_who_is_upheld_from_now_on_comes_up():
    files = {"a.service": service(), "b.service": service()}
    machine = machine_of(files)
    machine.exit(machine.main("b.service"), 1)
    machine.run(5)
    assert machine.sub("b.service") == "failed"
    machine.commit({**files, "a.service": service(unit="Upholds=b.service")})
    machine.run(5)
    assert machine.sub("b.service") == "running"


def test_who_is_needed_from_now_on_comes_up_and_goes_when_that_ends():
    shared = service(unit="StopWhenUnneeded=yes", install=False)
    files = {"shared.service": shared, "a.service": service()}
    machine = machine_of(files)
    assert machine.sub("shared.service") == "dead"
    machine.commit({**files, "a.service": service(unit="Wants=shared.service")})
    machine.run(5)
    assert machine.sub("shared.service") == "running"
    machine.commit(files)
    machine.run(5)
    assert machine.sub("shared.service") == "dead"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("b.service", service(unit="Requires=a.service")),
        ("b.service", service(unit="BindsTo=a.service")),
        ("b.service", service(unit="Requisite=a.service")),
        ("a.timer", "[Timer]\nOnActiveSec=1h\n[Install]\nWantedBy=timers.target\n"),
    ],
    ids=["Requires", "BindsTo", "Requisite", "timer"],
)
@pytest.mark.parametrize("incremental", [True, False])
def test_what_others_must_not_be_without_cannot_be_taken_away(name, text, incremental):
    """Were it accepted, the next manager would refuse the commit that is in force."""
    machine = machine_of({"a.service": service(), name: text})
    sha = machine.commit({name: text}, incremental=incremental)
    assert machine.verdict(sha) == "refused"
    machine.run(5)
    assert machine.sub("a.service") == "running"


def test_two_that_wait_for_one_another_are_refused():
    b = service(unit="After=a.service")
    for a in (
        service(unit="Requisite=b.service"),
        service(unit="Requisite=b.service\nBefore=b.service"),
    ):
        machine = Machine({"a.service": a, "b.service": b})
        assert machine.world.refused is not None
        text = str(machine.world.refused.diagnostics[0])
        assert "ordering cycle" in text
        assert "a.service starts only beside b.service (a.service:2)" in text


def test_a_unit_that_has_ended_is_not_planned_to_start_where_something_wants_it_anew():
    bad = service("Type=oneshot", "ExecStart=/bin/false", unit="OnFailure=b.service")
    files = {"a.service": bad, "b.service": DONE, "c.service": service()}
    machine = machine_of(files)
    assert machine.spawns("b.service") == ["true"]
    machine.commit({**files, "c.service": service(unit="Wants=b.service")})
    machine.run(5)
    assert machine.spawns("b.service") == ["true"]
    assert machine.told("commit.plan", "b.service") == []


def test_what_is_about_to_stop_is_not_found_up():
    files = {"d.service": service(), "e.service": service("Type=oneshot", "ExecStart=/bin/false")}
    machine = machine_of(files)
    bound = service(unit="BindsTo=e.service")
    machine.commit({**files, "d.service": bound, "a.service": service(unit="Requisite=d.service")})
    machine.run(5)
    assert machine.subs("a.service", "d.service") == {"a.service": "dead", "d.service": "dead"}
    assert machine.spawns("a.service") == []


SOCKET = "[Socket]\nListenStream=/run/s\n{}[Install]\nWantedBy=sockets.target\n"
TIMER = "[Timer]\nOnActiveSec=1h\nUnit=w@1.service\n[Install]\nWantedBy=timers.target\n"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("w.socket", SOCKET.format("Accept=yes\n")),
        ("t.timer", TIMER),
        ("b.service", service(unit="Requisite=w@1.service")),
        ("b.service", service(unit="Upholds=w@1.service\nRequires=w@1.service")),
    ],
    ids=["Accept", "timer", "Requisite", "Requires"],
)
@pytest.mark.parametrize("incremental", [True, False])
@pytest.mark.parametrize("mask", [{}, {"w@.service": ""}], ids=["gone", "masked"])
def test_nor_can_a_template_of_which_others_need_an_instance(name, text, incremental, mask):
    machine = machine_of({"w@.service": service(install=False), name: text})
    sha = machine.commit({name: text, **mask}, incremental=incremental)
    harmless = name == "t.timer" and mask  # it finds that out when its time has come
    assert machine.verdict(sha) == ("good" if harmless else "refused")
    machine.crash()
    machine.restart()
    assert machine.world.knowing


@pytest.mark.parametrize("incremental", [True, False])
def test_nor_can_a_template_become_what_its_socket_does_not_allow(incremental):
    files = {"w.socket": SOCKET.format("Accept=yes\n"), "w@.service": service(install=False)}
    machine = machine_of(files)
    overlaps = service(install=False, own="Update=overlap")
    sha = machine.commit({**files, "w@.service": overlaps}, incremental=incremental)
    assert machine.verdict(sha) == "refused"


@pytest.mark.parametrize("incremental", [True, False])
def test_what_is_gone_says_nothing_of_others_any_more(incremental):
    rival = service(unit="Conflicts=a.service", install=False)
    machine = machine_of({"a.service": service(), "b.service": rival})
    assert machine.commit({"a.service": service()}, incremental=incremental)
    assert machine.units is not None
    assert machine.world.graph.declared == build(machine.units).declared


def test_what_an_instance_needs_that_nobody_but_an_operator_wants_may_be_taken_away():
    template = service(install=False, unit="Requires=%i.service\nAfter=%i.service")
    files = {"w@.service": template, "a.service": service(install=False)}
    machine = machine_of({**files, "b.service": service()})
    machine.ask(Verb.START, "w@a.service")
    machine.run(5)
    assert machine.sub("w@a.service") == "running"
    sha = machine.commit({"w@.service": template, "b.service": service()})
    machine.run(10)
    assert machine.verdict(sha) == "good"
    assert machine.sub("a.service") == "dead"
