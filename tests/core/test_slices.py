"""Slices: what lies in one needs it, comes after it and goes before it (systemd.slice(5))."""

from __future__ import annotations

import pytest

from gitproc.core.actions import Release
from gitproc.core.dependency_tree import dependency_tree
from gitproc.core.drift import drifts
from gitproc.core.events import Verb
from gitproc.core.graph_check import check
from gitproc.core.properties import properties
from gitproc.core.status import unit_status
from gitproc.core.why import why
from tests.core.fake_kernel import Machine, Program, service
from tests.units.trees import tree

INSIDE = ("front.service", "back.service", "web-shop.slice", "web.slice")
FILES = {
    "front.service": service("Slice=web-shop.slice"),
    "back.service": service("Slice=web.slice", unit="DefaultDependencies=no"),
    "apart.service": service("Slice=mail.slice"),
}


def machine_of(files: dict[str, str] | None = None, **more: str) -> Machine:
    machine = Machine({**(files or FILES), **{f"{x}.service": text for x, text in more.items()}})
    machine.run(2)
    return machine


def ask(machine: Machine, verb: Verb, name: str, seconds: float = 2.0) -> dict[str, object]:
    number = machine.ask(verb, name)
    machine.run(seconds)
    return machine.replies[number][name]


def inside(machine: Machine) -> list[str]:
    return [machine.sub(name) for name in INSIDE]


UP = ["running", "running", "active", "active"]
GONE = ["dead"] * 4


def ends(machine: Machine) -> list[str]:
    """Which instances have ended, in that order."""
    return [each.unit.name for each in machine.orders(Release)]


def test_a_stop_takes_all_that_lies_in_it_along_the_innermost_first():
    machine = machine_of()
    assert inside(machine) == UP
    assert ask(machine, Verb.STOP, "web.slice")["result"] == "done"
    assert inside(machine) == GONE
    order = ends(machine)
    assert sorted(order) == sorted(INSIDE)
    assert order.index("front.service") < order.index("web-shop.slice") < order.index("web.slice")
    assert order[-1] == "web.slice"
    assert machine.subs("apart.service", "mail.slice") == {
        "apart.service": "running", "mail.slice": "active",
    }  # fmt: skip


def test_the_stop_of_an_inner_one_leaves_the_outer_one_alone():
    machine = machine_of()
    ask(machine, Verb.STOP, "web-shop.slice")
    assert inside(machine) == ["dead", "running", "dead", "active"]


def test_the_hold_of_a_slice_is_kept_and_said():
    machine = machine_of()
    ask(machine, Verb.STOP, "web.slice")
    machine.crash()
    machine.restart()
    machine.commit({**FILES, "front.service": service("Slice=web-shop.slice", "Environment=A=1")})
    machine.run(5)
    assert inside(machine) == GONE
    status = unit_status(machine.world, "front.service", 0.0)
    assert status["reason"] == "needs web.slice, which is held"
    assert (
        "it needs web.slice, which is held" in why(machine.world, "front.service", 0.0)["reasons"]
    )
    assert [(x.unit, x.kind, x.heal) for x in drifts(machine.world)] == [
        ("web.slice", "held", "gitproc start web.slice")
    ]


@pytest.mark.parametrize("crash", [False, True])
def test_a_start_brings_back_what_the_commit_wants_and_nobody_holds(crash):
    machine = machine_of()
    ask(machine, Verb.STOP, "back.service")
    ask(machine, Verb.STOP, "web.slice")
    if crash:
        machine.crash()
        machine.restart()
    assert ask(machine, Verb.START, "web.slice")["result"] == "done"
    assert inside(machine) == ["running", "dead", "active", "active"]
    [held] = drifts(machine.world)
    assert (held.unit, held.kind) == ("back.service", "held")


def test_a_start_of_what_lies_in_a_held_slice_starts_the_slices_around_it():
    machine = machine_of()
    ask(machine, Verb.STOP, "web-shop.slice")
    ask(machine, Verb.STOP, "web.slice")
    assert ask(machine, Verb.START, "front.service")["result"] == "done"
    assert inside(machine) == UP
    assert not drifts(machine.world)


def test_a_restart_is_one_of_all_that_lies_in_it():
    machine = machine_of()
    before = {name: machine.state(name).invocation for name in (*INSIDE, "apart.service")}
    assert ask(machine, Verb.RESTART, "web.slice")["result"] == "done"
    assert inside(machine) == UP
    changed = {name for name, known in before.items() if machine.state(name).invocation != known}
    assert changed == {*INSIDE}
    assert ends(machine)[-1] == "web.slice"


@pytest.mark.parametrize("when", [0.0, 0.5, 5.0])
def test_a_crash_on_the_way_loses_no_part_of_the_stop(when):
    slow = {**FILES, "front.service": service("ExecStart=/bin/slow", "Slice=web-shop.slice")}
    machine = machine_of(slow)
    machine.ask(Verb.STOP, "web.slice")
    machine.run(when)
    assert machine.sub("web.slice") == ("dead" if when == 5.0 else "active")
    machine.crash()
    machine.restart()
    machine.run(10)
    assert inside(machine) == GONE
    assert not [proc for proc in machine.alive() if proc.command == "slow"]


def test_another_budget_restarts_nothing():
    machine = machine_of({**FILES, "web.slice": "[Slice]\nTasksMax=5\n"})
    before = {name: machine.state(name).invocation for name in INSIDE}
    machine.commit({**FILES, "web.slice": "[Slice]\nTasksMax=7\n"})
    machine.run(5)
    machine.commit(FILES)
    machine.run(5)
    assert {name: machine.state(name).invocation for name in INSIDE} == before


@pytest.mark.parametrize("verb", [Verb.STOP, Verb.RESTART, Verb.TRY_RESTART])
def test_the_slice_of_all_cannot_be_stopped(verb):
    """It is perpetual with systemd, too: "Job type stop is not applicable for unit -.slice"."""
    machine = machine_of({**FILES, "-.slice": "[Slice]\nTasksMax=50\n"})
    answer = ask(machine, verb, "-.slice")
    assert (answer["result"], machine.sub("-.slice")) == ("failed", "active")
    assert "always there" in str(answer["message"])
    assert inside(machine) == UP


def test_it_is_shown_what_a_unit_lies_in():
    machine = machine_of()
    world = machine.world
    shown = properties(world, "front.service", unit_status(world, "front.service", 0.0))
    assert shown["Requires"] == "web-shop.slice"
    assert "web-shop.slice" in str(shown["After"]).split()
    below = dependency_tree(world, "web.slice", reverse=True, recursive=True)
    assert [x["unit"] for x in below["depends"]] == ["back.service", "web-shop.slice"]
    assert [x["unit"] for x in below["depends"][1]["depends"]] == ["front.service"]


# -- on demand ---------------------------------------------------------------------------------------

GUEST = service("Slice=web-%i.slice", install=False)
SOCKET = "[Socket]\nListenStream=/run/s\nAccept=yes\n[Install]\nWantedBy=sockets.target\n"


def connect(machine: Machine) -> list[str]:
    """Somebody connects; the instances that run."""
    machine.sockets.connect("a.socket", "p")
    machine.run(2)
    return [x for x in machine.world.units if x.startswith("a@") and not machine.state(x).down]


@pytest.mark.parametrize("crash", [False, True])
def test_instances_made_on_demand_stop_with_their_slice(crash):
    machine = machine_of(
        {"x@.service": GUEST, "a.socket": SOCKET, "a@.service": service("Slice=web.slice")}
    )
    ask(machine, Verb.START, "x@1.service")
    [guest] = connect(machine)
    if crash:
        machine.crash()
        machine.restart()
        machine.run(1)
    assert machine.subs("x@1.service", guest) == {"x@1.service": "running", guest: "running"}
    ask(machine, Verb.STOP, "web.slice")
    assert machine.subs("x@1.service", "web-1.slice", "web.slice") == {
        "x@1.service": "dead", "web-1.slice": "dead", "web.slice": "dead",
    }  # fmt: skip
    assert not machine.alive()
    assert connect(machine) == [] and machine.sockets.refused == [2]
    assert "it needs web.slice, which is held" in machine.told("unit.not-triggered")[-1]
    ask(machine, Verb.START, "web.slice")
    assert machine.sub("x@1.service") == "running"
    assert len(connect(machine)) == 1


@pytest.mark.parametrize("mask", ["web.slice", "web-1.slice"])
def test_an_instance_in_a_masked_slice_is_not_started(mask):
    files = {
        "x@.service": GUEST,
        mask: "",
        "a.service": service("ExecStart=/bin/crash", unit="OnFailure=x@1.service"),
    }
    machine = machine_of(files)
    answer = ask(machine, Verb.START, "x@1.service")
    assert (answer["result"], answer["message"]) == ("failed", f"it needs {mask}, which is masked")
    [told] = machine.told("unit.not-triggered")
    assert f"a.service would start x@1.service, but it needs {mask}, which is masked" in told
    assert "x@1.service" not in machine.subs() or machine.sub("x@1.service") == "dead"
    assert ask(machine, Verb.START, "x@2.service")["result"] == (
        "failed" if mask == "web.slice" else "done"
    )


def test_a_connection_for_an_instance_in_a_masked_slice_is_closed():
    machine = machine_of(
        {"a.socket": SOCKET, "a@.service": service("Slice=web-%p.slice"), "web-a.slice": ""}
    )
    assert connect(machine) == [] and connect(machine) == []
    assert machine.sockets.refused == [1, 2]
    told = machine.told("unit.not-triggered")
    assert all("needs web-a.slice, which is masked" in line for line in told) and len(told) == 2
    assert not [x for x in machine.world.units if x.startswith("a@")]
    assert machine.sub("a.socket") == "listening"


def test_what_runs_on_demand_goes_on_though_a_commit_masks_its_slice_and_is_not_restarted():
    machine = machine_of({"x@.service": GUEST})
    ask(machine, Verb.START, "x@1.service")
    machine.commit({"x@.service": GUEST, "web-1.slice": ""})
    machine.run(5)
    assert machine.sub("x@1.service") == "running"
    answer = ask(machine, Verb.RESTART, "x@1.service")
    assert answer["message"] == "it needs web-1.slice, which is masked"
    assert machine.sub("x@1.service") == "running"


def test_who_requires_a_masked_slice_and_does_not_lie_in_it_is_refused_too():
    files = {"x.service": service(unit="Requires=web.slice"), "web.slice": ""}
    assert ["needs web.slice, which is masked" in str(x) for x in check(tree(files))] == [True]


def test_a_connection_whose_instance_cannot_begin_is_closed():
    """What it needs fails only after the connection has been taken."""
    files = {
        "a.socket": SOCKET,
        "a@.service": service(unit="Requires=b.service\nAfter=b.service", install=False),
        "b.service": service("Type=oneshot", "ExecStart=/bin/fails", install=False),
    }
    machine = Machine(files, {"fails": Program(lasts=1.0, status=1)})
    machine.run(2)
    assert connect(machine) == []
    assert machine.sockets.assigned == {"a@0-10:1-p:2.service": 1}
    assert "a@0-10:1-p:2.service" in ends(machine)
    assert not [x for x in machine.world.units if x.startswith("a@")]


def test_a_connection_for_an_instance_in_a_held_slice_is_closed_at_once():
    guest = {"a.socket": SOCKET, "a@.service": service("Slice=web-shop.slice", install=False)}
    machine = machine_of({**FILES, **guest})
    ask(machine, Verb.STOP, "web.slice")
    assert connect(machine) == [] and machine.sockets.refused == [1]
    assert "it needs web.slice, which is held" in machine.told("unit.not-triggered")[-1]
    assert not machine.sockets.assigned
