"""What starts and stops when: gates, order, what goes down along, and that a look stays cheap."""

from __future__ import annotations

import pytest

from gitproc.core import schedule, standing
from gitproc.core.actions import Announce, Spawn
from gitproc.core.events import Verb
from tests.core.fake_kernel import Machine, Program, service

BOTH = "Requires=a.service\nAfter=a.service"


def machine_of(run: float = 10.0, **units: str) -> Machine:
    """A machine with units a, b ... after some time."""
    machine = Machine({f"{name}.service": text for name, text in units.items()})
    machine.run(run)
    return machine


def moments(machine: Machine, *kinds: str) -> list[str]:
    """`started b` and the like, in order, services alone."""
    return [
        f"{action.kind.removeprefix('unit.')} {action.unit.removesuffix('.service')}"
        for _, action in machine.actions
        if isinstance(action, Announce)
        and action.kind in kinds
        and action.unit.endswith(".service")
    ]


def test_what_comes_after_starts_once_the_other_is_ready():
    machine = machine_of(
        a=service("Type=notify", "ExecStart=/bin/notify", "ExecStartPost=/bin/true"),
        b=service(unit="After=a.service"),
    )
    assert moments(machine, "unit.starting", "unit.started") == [
        "starting a",
        "started a",
        "starting b",
        "started b",
    ]


def test_a_requirement_without_order_starts_both_at_once_and_its_failure_is_no_matter():
    machine = machine_of(0, a=service("ExecStart=/bin/false"), b=service(unit="Requires=a.service"))
    assert len(machine.spawns()) == 2
    machine.run(5)
    assert machine.subs() == {"a.service": "failed", "b.service": "running"}


def test_a_requirement_with_order_that_fails_keeps_the_other_down_and_says_so():
    machine = machine_of(
        a=service("Type=oneshot", "ExecStart=/bin/false"),
        b=service(unit=BOTH),
        c=service(unit="Requires=b.service\nAfter=b.service"),
        d=service(unit="After=c.service"),
    )
    assert machine.subs() == {
        "a.service": "failed",
        "b.service": "dead",
        "c.service": "dead",
        "d.service": "running",
    }
    assert standing.dead_end(machine.world, "c.service") == "a.service"
    assert machine.state("c.service").waits_for == "b.service"


def test_what_merely_comes_after_does_not_wait_for_a_start_in_vain():
    """Also where the unit it waits for has two requirements, and the second is the one that fails."""
    machine = machine_of(
        2.0,
        slow=service("Type=notify", "ExecStart=/bin/mute", "TimeoutStartSec=1h"),
        bad=service("Type=oneshot", "ExecStart=/bin/false", "ExecStartPre=/bin/true"),
        b=service(unit="Requires=slow.service bad.service\nAfter=slow.service bad.service"),
        c=service(unit="After=b.service"),
    )
    assert machine.sub("slow.service") == "start"
    assert machine.sub("c.service") == "running"


def test_a_finished_oneshot_is_enough():
    machine = machine_of(a=service("Type=oneshot", "ExecStart=/bin/true"), b=service(unit=BOTH))
    assert machine.subs() == {"a.service": "dead", "b.service": "running"}


def test_stop_is_the_reverse_of_start():
    machine = machine_of(
        a=service("ExecStart=/bin/slow"),
        b=service("ExecStart=/bin/slow", unit=BOTH),
        c=service("ExecStart=/bin/slow", unit="Wants=b.service\nAfter=b.service"),
    )
    machine.shutdown()
    machine.run(30)
    assert moments(machine, "unit.stopping", "unit.stopped") == [
        "stopping c",
        "stopped c",
        "stopping b",
        "stopped b",
        "stopping a",
        "stopped a",
    ]
    assert machine.exited
    assert not machine.alive()


def test_a_commit_that_takes_units_and_their_order_away_still_stops_them_in_that_order():
    files = {
        "a.service": service("ExecStart=/bin/slow"),
        "b.service": service("ExecStart=/bin/slow", unit=BOTH),
        "c.service": service("ExecStart=/bin/slow", unit="Before=a.service"),
    }
    for later in ({}, {name: service("Environment=A=1") for name in files}):
        machine = Machine(files)
        machine.run(5)
        machine.commit(later)
        machine.run(30)
        assert moments(machine, "unit.stopping", "unit.stopped")[:6] == [
            "stopping b",
            "stopped b",
            "stopping a",
            "stopped a",
            "stopping c",
            "stopped c",
        ]


def test_a_commit_that_turns_an_order_round_stops_and_starts_all_the_same():
    files = {"a.service": service(), "b.service": service(unit="After=a.service")}
    machine = Machine(files)
    machine.run(5)
    machine.commit(
        {
            "a.service": service("Environment=A=1", unit="After=b.service"),
            "b.service": service("Environment=A=1"),
        }
    )
    machine.run(30)
    assert machine.subs() == {"a.service": "running", "b.service": "running"}
    assert machine.spawns() == ["run"] * 4


def test_between_a_stop_and_a_start_the_stop_goes_first_whatever_the_order_says():
    for order in ("After", "Before"):
        machine = machine_of(a=service("ExecStart=/bin/slow"))
        machine.commit({"b.service": service(unit=f"{order}=a.service")})
        machine.run(30)
        assert moments(machine, "unit.stopped", "unit.starting")[-2:] == ["stopped a", "starting b"]


def test_a_restart_of_what_others_require_takes_them_along_in_order():
    machine = machine_of(a=service(), b=service(unit=BOTH), c=service(unit="PartOf=a.service"))
    machine.ask(Verb.RESTART, "a.service")
    machine.run(5)
    seen = moments(machine, "unit.stopping", "unit.starting")[3:]
    assert seen.index("stopping b") < seen.index("stopping a") < seen.index("starting a")
    assert seen.index("starting a") < seen.index("starting b")
    assert sorted(seen) == sorted(f"{w} {n}" for w in ("stopping", "starting") for n in "abc")


def test_requires_does_not_react_to_a_death_and_binds_to_does():
    machine = machine_of(a=service(), b=service(unit=BOTH), c=service(unit="BindsTo=a.service"))
    machine.exit(machine.main("a.service"), 1)
    machine.run(5)
    assert machine.subs() == {"a.service": "failed", "b.service": "running", "c.service": "dead"}


def test_what_is_bound_comes_back_with_the_other():
    machine = machine_of(
        a=service("Restart=always"), c=service(unit="BindsTo=a.service\nAfter=a.service")
    )
    machine.exit(machine.main("a.service"), 1)
    machine.run(5)
    assert machine.subs() == {"a.service": "running", "c.service": "running"}
    assert machine.spawns("c.service") == ["run", "run"]


def test_two_units_bound_to_one_another_start_together_and_go_together():
    machine = machine_of(a=service(unit="BindsTo=b.service"), b=service(unit="BindsTo=a.service"))
    assert machine.subs() == {"a.service": "running", "b.service": "running"}
    machine.exit(machine.main("a.service"), 1)
    machine.run(5)
    assert machine.subs() == {"a.service": "failed", "b.service": "dead"}
    machine.ask(Verb.START, "a.service")
    machine.run(5)
    assert machine.subs() == {"a.service": "running", "b.service": "running"}


def test_what_is_bound_is_looked_at_again_when_the_other_is_to_start_anew():
    """And the other waits for it, being ordered after it."""
    machine = machine_of(a=service(unit="After=b.service"), b=service(unit="BindsTo=a.service"))
    machine.exit(machine.main("a.service"))
    machine.run(5)
    assert machine.subs() == {"a.service": "dead", "b.service": "dead"}
    machine.commit(
        {
            "a.service": service("MemoryMax=1G", unit="After=b.service"),
            "b.service": service(unit="BindsTo=a.service"),
        }
    )
    machine.run(1)
    assert machine.subs() == {"a.service": "running", "b.service": "running"}


def test_what_is_bound_goes_when_the_start_of_the_other_turns_out_to_be_in_vain():
    machine = machine_of(
        1.0,
        a=service(unit="BindsTo=b.service"),
        b=service(unit="Requires=c.service\nAfter=c.service"),
        c=service("Type=oneshot", "ExecStart=/bin/notify", "TimeoutStartSec=2"),
    )
    assert machine.subs() == {"a.service": "running", "b.service": "dead", "c.service": "start"}
    machine.run(1.5)
    assert machine.subs() == {"a.service": "dead", "b.service": "dead", "c.service": "failed"}
    assert machine.state("a.service").restart_wanted == ""


def test_restarts_that_come_due_at_once_keep_their_order():
    files = {
        "a.service": service("ExecStart=/bin/crash", "Restart=always", unit="After=z.service"),
        "z.service": service("Type=notify", "ExecStart=/bin/notify", "Restart=always"),
    }
    machine = Machine(files)
    machine.run(1.01)
    assert machine.sub("a.service") == "running"
    machine.exit(machine.main("z.service"), 1)
    machine.exit(machine.main("a.service"), 1)
    mark = len(moments(machine, "unit.starting", "unit.started"))
    machine.run(3)
    seen = moments(machine, "unit.starting", "unit.started")[mark:]
    assert seen[:3] == ["starting z", "started z", "starting a"]


def test_a_changed_definition_does_not_wait_for_an_automatic_restart():
    machine = machine_of(a=service("ExecStart=/bin/crash", "Restart=always", "RestartSec=1h"))
    machine.commit({"a.service": service("Restart=always", "RestartSec=1h")})
    machine.run(1)
    assert machine.sub("a.service") == "running"


def test_a_changed_definition_in_an_automatic_restart_keeps_its_place_in_the_order():
    lines = ("Type=notify", "ExecStart=/bin/notify", "Restart=always", "RestartSec=1h")
    machine = machine_of(z=service(*lines), a=service(unit="After=z.service"))
    machine.exit(machine.main("z.service"), 1)
    mark = len(moments(machine, "unit.starting", "unit.started"))
    machine.commit(
        {
            "z.service": service(*lines, "Environment=A=1"),
            "a.service": service("Environment=A=1", unit="After=z.service"),
        }
    )
    machine.run(3)
    seen = moments(machine, "unit.starting", "unit.started")[mark:]
    assert seen[:3] == ["starting z", "started z", "starting a"]


def test_a_target_comes_after_its_members_and_is_not_reached_without_those_it_requires():
    members = {"a.service": service("Type=notify", "ExecStart=/bin/notify", install=False)}
    for relation, bad, state in (
        ("Wants", "true", "active"),
        ("Wants", "false", "active"),
        ("Requires", "false", "dead"),
    ):
        files = {
            **members,
            "b.service": service("Type=oneshot", f"ExecStart=/bin/{bad}", install=False),
            "all.target": f"[Unit]\n{relation}=a.service b.service\n[Install]\nWantedBy=multi-user.target\n",
        }
        machine = Machine(files)
        machine.run(0.5)
        assert machine.sub("all.target") == "dead"
        machine.run(2)
        assert machine.sub("all.target") == state, relation


def test_rivals_give_way_before_the_other_starts():
    machine = machine_of(
        a=service("ExecStart=/bin/slow"), b=service(unit="Conflicts=a.service", install=False)
    )
    machine.ask(Verb.START, "b.service")
    machine.run(1)
    assert machine.subs() == {"a.service": "stop-sigterm", "b.service": "dead"}
    machine.run(5)
    assert machine.subs() == {"a.service": "dead", "b.service": "running"}
    assert machine.state("a.service").hold is not None


def test_what_an_operator_started_gives_way_for_good_to_what_a_commit_wants():
    a, b = service(install=False), service(unit="Conflicts=a.service", install=False)
    machine = machine_of(a=a, b=b)
    machine.ask(Verb.START, "a.service")
    machine.run(1)
    machine.commit({"a.service": a, "b.service": service(unit="Conflicts=a.service")})
    machine.run(5)
    assert machine.sub("b.service") == "running"
    machine.commit({"a.service": a, "b.service": b})
    machine.run(5)
    assert not machine.alive()


def test_a_conflict_that_a_commit_makes_between_two_that_run_ends_the_one_asked_for():
    a, b = service(install=False), service()
    machine = machine_of(a=a, b=b)
    machine.ask(Verb.START, "a.service")
    machine.run(1)
    machine.commit({"a.service": a, "b.service": service(unit="Conflicts=a.service")})
    machine.run(1)
    assert machine.subs() == {"a.service": "dead", "b.service": "running"}
    assert machine.spawns("b.service") == ["run"]


def test_what_nothing_wants_is_not_started_and_what_is_disabled_neither():
    machine = machine_of(
        a=service(install=False), b=service(own="Enabled=no"), c=service(unit="Wants=d.service"),
        d=service(install=False),
    )  # fmt: skip
    assert [name for name, sub in machine.subs().items() if sub == "running"] == [
        "c.service",
        "d.service",
    ]


def test_a_unit_that_is_to_be_replaced_is_known_before_anything_starts():
    """Both come up in one commit; the one that starts is looked at first."""
    machine = machine_of(
        z=service(), a=service("Type=oneshot", "ExecStart=/bin/false", unit="After=z.service")
    )
    machine.commit(
        {
            "z.service": service("Environment=A=1"),
            "a.service": service(unit="After=z.service"),
        }
    )
    machine.run(5)
    assert moments(machine, "unit.stopping", "unit.starting")[2:] == [
        "stopping z",
        "starting z",
        "starting a",
    ]


def test_an_automatic_restart_lets_those_after_it_go_on_until_it_is_due():
    machine = Machine(
        {
            "a.service": service("ExecStart=/bin/crash", "Restart=always", "RestartSec=5"),
            "b.service": service("Type=notify", "ExecStart=/bin/notify"),
            "c.service": service(unit="After=a.service b.service"),
        }
    )
    machine.run(2)
    assert machine.subs() == {
        "a.service": "auto-restart",
        "b.service": "running",
        "c.service": "running",
    }


COUNT = {"star": 3000, "chain": 1000, "layers": 1000}


@pytest.mark.parametrize("shape", COUNT)
def test_work_grows_with_what_an_event_touches(shape, monkeypatch):
    """Thousands of units: a gate is looked at a few times for each, not once for each pair."""
    files = {}
    count = COUNT[shape]
    for i in range(count):
        match shape:
            case "star":
                other = "" if i == 0 else "Requires=u0.service\nAfter=u0.service"
            case "chain":
                other = "" if i == 0 else f"Requires=u{i - 1}.service\nAfter=u{i - 1}.service"
            case _:
                below = range(max(0, i - i % 50 - 50), i - i % 50)
                names = " ".join(f"u{j}.service" for j in list(below)[:5])
                other = f"Requires={names}\nAfter={names}" if names else ""
        files[f"u{i}.service"] = service(unit=other)
    looks = 0
    gates = 0
    reconcile, pending = schedule._reconcile, standing.pending

    def counted(world, name):
        nonlocal looks
        looks += 1
        reconcile(world, name)

    def counted_pending(world, name):
        nonlocal gates
        gates += 1
        return pending(world, name)

    monkeypatch.setattr(schedule, "_reconcile", counted)
    monkeypatch.setattr(schedule, "pending", counted_pending)
    machine = Machine(files, {"run": Program()})
    machine.run(5)
    assert len(machine.orders(Spawn)) == count
    assert machine.sub("multi-user.target") == "active"
    assert looks < 12 * count
    assert gates < 40 * count
    machine.shutdown()
    machine.run(5)
    assert machine.exited
    assert looks < 30 * count
