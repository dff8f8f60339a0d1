"""Units that only the host's systemd has: what requires them, is bound to them, or comes after their mounts."""

from __future__ import annotations

import pytest

from gitproc.core.events import Verb
from gitproc.core.host_unit import HostUnit
from gitproc.core.why import why
from tests.core.fake_kernel import Machine, service

ACTIVE, INACTIVE = HostUnit("loaded", "active"), HostUnit("loaded", "inactive")
STARTING = HostUnit("loaded", "activating")


def machine_of(host: dict[str, HostUnit] | None, **units: str) -> Machine:
    machine = Machine()
    machine.host_units = host
    machine.commit({f"{name}.service": text for name, text in units.items()})
    machine.run(10.0)
    return machine


def verdict(machine: Machine) -> str | None:
    assert machine.world.applied is not None
    return machine.verdict(machine.world.applied.sha)


def refusal(machine: Machine) -> list[str]:
    refused = machine.world.refused
    return [str(x) for x in refused.diagnostics] if refused is not None else []


@pytest.mark.parametrize(
    "host", [None, {}, {"pg.service": HostUnit("masked", "inactive")}], ids=["none", "no", "masked"]
)
def test_a_requirement_that_nobody_has_refuses_the_commit(host):
    machine = machine_of(host, a=service(unit="Requires=pg.service"))
    assert refusal(machine) == [
        "a.service:2: error: Requires: a.service needs pg.service, which is not in this commit"
    ]


def test_what_the_host_runs_counts():
    machine = machine_of({"pg.service": ACTIVE}, a=service(unit="Requires=pg.service"))
    assert machine.sub("a.service") == "running"
    assert verdict(machine) == "good"
    asked = machine.host_asked
    machine.run(1000.0)
    assert machine.host_asked == asked  # nobody waits, nobody asks


@pytest.mark.parametrize("order", ["", "\nAfter=pg.service"])
@pytest.mark.parametrize("relation", ["Requires", "BindsTo"])
def test_who_requires_what_is_down_there_waits_for_it(relation, order):
    host = {"pg.service": INACTIVE}
    machine = machine_of(host, a=service(unit=f"{relation}=pg.service{order}"))
    assert machine.spawns("a.service") == []
    reasons = why(machine.world, "a.service", 0.0)["reasons"]
    assert "it waits for pg.service, which is inactive (the host's systemd)" in reasons
    assert verdict(machine) is None
    request = machine.ask(Verb.START, "a.service")
    assert machine.answer(request, "a.service") == "dependency"
    host["pg.service"] = ACTIVE
    machine.run(40.0)
    assert machine.sub("a.service") == "running"
    assert verdict(machine) == "good"


@pytest.mark.parametrize("order", ["", "\nAfter=pg.service"])
def test_what_has_failed_there_fails_the_commit(order):
    host = {"pg.service": HostUnit("loaded", "failed")}
    machine = machine_of(host, a=service(unit=f"Requires=pg.service{order}"))
    assert machine.spawns("a.service") == []
    assert verdict(machine) == "failed"
    host["pg.service"] = ACTIVE
    machine.run(31.0)
    assert machine.sub("a.service") == "running"


def test_it_is_asked_ever_more_slowly():
    machine = machine_of({"pg.service": INACTIVE}, a=service(unit="Requires=pg.service"))
    machine.run(600.0)
    assert 20 <= machine.host_asked <= 30


def test_what_comes_up_there_is_no_failure():
    host = {"pg.service": STARTING}
    machine = machine_of(host, a=service(unit="Requires=pg.service"))
    assert machine.spawns("a.service") == []
    assert verdict(machine) is None
    host["pg.service"] = ACTIVE
    machine.run(40.0)
    assert verdict(machine) == "good"


def test_bound_means_bound():
    host = {"pg.service": ACTIVE}
    machine = machine_of(
        host,
        a=service(unit="BindsTo=pg.service"),
        b=service(unit="Requires=pg.service"),
    )
    host["pg.service"] = INACTIVE
    machine.run(11.0)
    assert machine.subs("a.service", "b.service") == {"a.service": "dead", "b.service": "running"}
    host["pg.service"] = ACTIVE
    machine.run(31.0)
    assert machine.sub("a.service") == "running"


def test_a_start_asks_for_what_was_heard_long_ago():
    host = {"pg.service": ACTIVE}
    machine = machine_of(host, a=service("Restart=always", unit="Requires=pg.service"))
    host["pg.service"] = INACTIVE
    machine.run(100.0)
    machine.exit(machine.main("a.service"), 1)
    machine.run(1.0)
    assert machine.sub("a.service") == "auto-restart"
    assert machine.state("a.service").waits_for == "pg.service"


def test_a_silent_systemd_stops_nothing_and_is_asked_again():
    host = {"pg.service": ACTIVE}
    machine = machine_of(
        host, a=service("Restart=always", unit="Requires=pg.service\nBindsTo=pg.service")
    )
    machine.host_silent = True
    machine.run(60.0)
    assert machine.sub("a.service") == "running"
    machine.exit(machine.main("a.service"), 1)
    machine.run(60.0)
    assert machine.sub("a.service") == "auto-restart"
    assert len(machine.told("host.silent")) == 1
    machine.host_silent = False
    machine.run(60.0)
    assert machine.sub("a.service") == "running"


def test_an_answer_that_says_nothing_is_asked_for_slowly():
    host = {"pg.service": HostUnit()}
    machine = machine_of(host, a=service(unit="Requires=pg.service"))
    machine.run(600.0)
    assert machine.spawns("a.service") == []
    assert machine.host_asked < 40
    host["pg.service"] = ACTIVE
    machine.run(31.0)
    assert machine.sub("a.service") == "running"


def test_a_commit_in_force_is_not_refused_for_what_the_host_has_lost():
    host = {"pg.service": ACTIVE}
    machine = machine_of(host, a=service(unit="BindsTo=pg.service"))
    pid = machine.main("a.service").pid
    del host["pg.service"]
    machine.crash()
    machine.restart()
    machine.run(1.0)
    assert not refusal(machine)
    assert machine.sub("a.service") == "dead"
    assert not machine.procs[pid].alive
    reasons = why(machine.world, "a.service", 0.0)["reasons"]
    assert "it waits for pg.service, which is not-found (the host's systemd)" in reasons


def test_a_manager_that_comes_back_keeps_what_is_bound():
    machine = machine_of({"pg.service": ACTIVE}, a=service(unit="BindsTo=pg.service"))
    pid = machine.main("a.service").pid
    machine.crash()
    machine.restart()
    machine.run(60.0)
    assert machine.main("a.service").pid == pid


def test_mounts_are_waited_for_while_they_come_up():
    host = {"srv.mount": STARTING, "old.service": STARTING}
    machine = machine_of(host, a=service(unit="After=srv.mount old.service gone.mount"))
    assert machine.spawns("a.service") == []
    host["srv.mount"] = INACTIVE  # it has failed: ordering alone asks no more
    machine.run(31.0)
    assert machine.sub("a.service") == "running"


def test_a_unit_that_moves_from_the_commit_to_the_host_and_back():
    host = {"pg.service": INACTIVE}
    a, pg = service(unit="Requires=pg.service\nAfter=pg.service"), service()
    machine = machine_of(host, a=a, pg=pg)
    assert machine.subs("a.service", "pg.service") == {
        "a.service": "running",
        "pg.service": "running",
    }
    machine.commit({"a.service": a})
    machine.run(5.0)
    assert not machine.alive("pg.service")
    machine.commit({"a.service": a, "pg.service": pg})
    machine.run(40.0)
    assert machine.subs("a.service", "pg.service") == {
        "a.service": "running",
        "pg.service": "running",
    }
    assert machine.world.foreign.states == {}


def test_an_instance_made_on_demand_asks_for_what_it_requires():
    host = {"pg.service": ACTIVE}
    machine = machine_of(host, **{"a@": service(unit="Requires=pg.service", install=False)})
    request = machine.ask(Verb.START, "a@x.service")
    machine.run(1.0)
    assert machine.answer(request, "a@x.service") == "done"


@pytest.mark.parametrize("crash", [False, True])
def test_who_requires_what_is_bound_goes_and_comes_back_with_it(crash):
    host = {"srv.mount": ACTIVE}
    machine = machine_of(
        host,
        a=service(unit="BindsTo=srv.mount\nAfter=srv.mount"),
        b=service(unit="Requires=a.service"),
        c=service(unit="PartOf=a.service"),
    )
    assert set(machine.subs().values()) == {"running"}
    host["srv.mount"] = INACTIVE
    machine.run(31.0)
    if crash:
        machine.crash()
        machine.restart()
        machine.run(31.0)
    assert set(machine.subs().values()) == {"dead"}
    host["srv.mount"] = ACTIVE
    machine.run(61.0)
    assert set(machine.subs().values()) == {"running"}
    assert {len(machine.spawns(f"{name}.service")) for name in "abc"} == {2}


def test_a_start_does_not_wait_until_systemd_is_asked_for_another():
    """Of what one is bound to it is asked every ten seconds; who starts in between has it asked at once."""
    host = {"pg.service": ACTIVE, "srv.mount": ACTIVE}
    machine = machine_of(
        host,
        a=service(unit="BindsTo=pg.service"),
        b=service(unit="Requires=srv.mount", install=False),
    )
    asked = machine.host_asked
    while machine.host_asked == asked:
        machine.run(0.5)
    machine.run(4.0)
    request = machine.ask(Verb.START, "b.service")
    machine.run(0.5)
    assert machine.answer(request, "b.service") == "done"
