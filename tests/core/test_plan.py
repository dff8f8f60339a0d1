"""The plan: the smallest action for each difference, the directive that causes it, and who follows."""

from __future__ import annotations

import json

import pytest

from gitproc.core import plan
from gitproc.core.dependency_resolver import build, roots_of
from gitproc.core.events import Verb
from gitproc.units.directive import Change
from gitproc.units.parser import parse
from gitproc.units.unit import Unit
from tests.core.fake_kernel import Machine, service
from tests.units.trees import HOST, tree


def planned(machine: Machine, files: dict[str, str]) -> dict[str, str]:
    """`unit -> action: reason` for putting files in force now; the machine is left alone."""
    units = tree(files)
    graph = build(units)
    pulled = graph.closure(roots_of(units, "default.target"), units.units)
    names = units.units.keys() | machine.world.units.keys()
    entries = plan.compute(machine.world, units, graph, pulled, names)
    shown = [entry for entry in entries if entry.unit.endswith(".service")]
    return {entry.unit: f"{entry.action}: {entry.reason}" for entry in shown}


def machine_of(**units: str) -> tuple[Machine, dict[str, str]]:
    files = {f"{name}.service": text for name, text in units.items()}
    machine = Machine(files)
    machine.run(10)
    return machine, files


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (service("ExecReload=/bin/true", unit="Description=x"), "none: Description"),
        (service("ExecReload=/bin/true", "MemoryMax=1G"), "live: MemoryMax"),
        (service("ExecReload=/bin/true", "Restart=always"), "live: Restart"),
        (service("ExecReload=/bin/true", "Environment=A=1"), "restart: Environment"),
        (service("ExecReload=/bin/true", "Type=exec", "MemoryMax=1G"), "restart: Type"),
        (service("ExecReload=/bin/true"), None),
    ],
)
def test_the_smallest_action_and_the_directive_that_needs_it(change, expected):
    machine, files = machine_of(a=service("ExecReload=/bin/true"))
    found = planned(machine, {**files, "a.service": change})
    assert found.get("a.service") == expected


def test_a_changed_trigger_file_reloads_or_restarts_what_names_it():
    for own, reload, expected in (
        ("ReloadTriggers=conf", "ExecReload=/bin/true", "reload: ReloadTriggers conf"),
        ("ReloadTriggers=conf", "", "restart: ReloadTriggers conf, and it has no ExecReload="),
        ("RestartTriggers=conf", "ExecReload=/bin/true", "restart: RestartTriggers conf"),
    ):
        files = {"a.service": service(reload, own=own), "conf": "1"}
        machine = Machine(files)
        machine.run(10)
        assert planned(machine, {**files, "conf": "2"}) == {"a.service": expected}
        assert planned(machine, files) == {}
        invocation = machine.state("a.service").invocation
        machine.commit({**files, "conf": "2"})
        machine.run(10)
        restarted = machine.state("a.service").invocation != invocation
        assert restarted is expected.startswith("restart")
        assert ("true" in machine.spawns()) is expected.startswith("reload")


def test_what_comes_goes_and_is_no_longer_wanted():
    machine, _ = machine_of(a=service(), b=service(), c=service())
    found = planned(
        machine,
        {
            "a.service": service(),
            "b.service": service(own="Enabled=no"),
            "d.service": service(),
            "c.service": "",
        },
    )
    assert found == {
        "b.service": "stop: no longer wanted",
        "c.service": "stop: masked",
        "d.service": "start: new",
    }
    assert planned(machine, {})["a.service"] == "stop: removed"


def test_who_follows_a_restart():
    machine, files = machine_of(
        a=service(),
        needs=service(unit="Requires=a.service"),
        bound=service(unit="BindsTo=needs.service"),
        part=service(unit="PartOf=a.service"),
        wants=service(unit="Wants=a.service"),
        demanded=service(unit="Requires=a.service", install=False),
    )
    machine.ask(Verb.START, "demanded.service")
    machine.run(5)
    found = planned(machine, {**files, "a.service": service("Environment=A=1")})
    assert found == {
        "a.service": "restart: Environment",
        "needs.service": "restart: a.service restarts",
        "bound.service": "restart: needs.service restarts",
        "part.service": "restart: a.service restarts",
        "demanded.service": "restart: a.service restarts",
    }
    assert planned(machine, {**files, "a.service": service("MemoryMax=1G")}) == {
        "a.service": "live: MemoryMax"
    }


def test_what_is_down_does_not_follow():
    machine, files = machine_of(
        a=service(), b=service("ExecStart=/bin/crash", unit="Requires=a.service")
    )
    found = planned(machine, {**files, "a.service": service("Environment=A=1")})
    assert found == {"a.service": "restart: Environment"}


def test_what_is_held_stays_unless_it_is_changed_and_so_does_what_leans_on_it():
    machine, files = machine_of(a=service(), b=service(unit="Requires=a.service"))
    machine.ask(Verb.STOP, "a.service")
    machine.run(5)
    new = service("Environment=A=1", unit="Requires=a.service")
    assert planned(machine, {**files, "b.service": new, "c.service": new}) == {}
    found = planned(machine, {**files, "a.service": service("Environment=A=1")})
    assert found == {"a.service": "start: changed", "b.service": "start: not running"}


def test_what_ended_is_started_again_only_if_it_changes():
    machine, files = machine_of(
        a=service("Type=oneshot", "ExecStart=/bin/true"), b=service("ExecStart=/bin/false")
    )
    assert planned(machine, files) == {}
    found = planned(
        machine,
        {"a.service": service("Type=oneshot", "ExecStart=/bin/true x"), "b.service": service()},
    )
    assert found == {"a.service": "start: changed", "b.service": "start: changed"}
    more = service("Type=oneshot", "ExecStart=/bin/true", "TasksMax=9")
    assert planned(machine, {**files, "a.service": more}) == {
        "a.service": "none: it has done its work"
    }


def test_what_has_ended_is_not_started_again_for_being_wanted_again():
    machine, files = machine_of(
        a=service(unit="Wants=b.service"), b=service("ExecStart=/bin/false", install=False)
    )
    machine.commit({**files, "a.service": service()})
    machine.run(10)
    ended = machine.state("b.service").invocation
    assert planned(machine, files) == {"a.service": "none: Wants"}
    machine.commit(files)
    machine.run(10)
    assert machine.state("b.service").invocation == ended


def test_what_an_operator_started_gives_way():
    machine, files = machine_of(a=service(install=False))
    machine.ask(Verb.START, "a.service")
    machine.run(5)
    found = planned(machine, {**files, "b.service": service(unit="Conflicts=a.service")})
    assert found == {"a.service": "stop: no longer wanted", "b.service": "start: new"}


def test_what_an_operator_started_does_not_give_way_to_what_is_held():
    machine, files = machine_of(a=service(install=False), b=service())
    machine.ask(Verb.START, "a.service")
    machine.ask(Verb.STOP, "b.service")
    machine.run(5)
    found = planned(machine, {**files, "b.service": service(unit="Conflicts=a.service")})
    assert found == {}
    machine.commit({**files, "b.service": service(unit="Conflicts=a.service")})
    machine.run(5)
    assert machine.subs() == {"a.service": "running", "b.service": "dead"}


def test_what_an_operator_started_is_planned_with_what_it_now_needs():
    machine, files = machine_of(a=service(install=False), b=service(install=False))
    machine.ask(Verb.START, "b.service")
    machine.run(5)
    needs = service(unit="BindsTo=a.service", install=False)
    assert planned(machine, {**files, "b.service": needs}) == {
        "a.service": "start: not running",
        "b.service": "none: BindsTo",
    }


def test_the_order_is_that_of_the_start():
    units = tree({"z.service": service(), "a.service": service(unit="After=z.service")})
    machine = Machine()
    graph = build(units)
    pulled = graph.closure(roots_of(units, "default.target"), units.units)
    entries = plan.compute(machine.world, units, graph, pulled, units.units)
    names = [entry.unit for entry in entries if entry.unit.endswith(".service")]
    assert names == ["z.service", "a.service"]


def test_differences_are_shown_as_written_with_their_place():
    machine, _ = machine_of(a=service("Environment=A=1", "Environment=B=2"))
    units = tree({"a.service": service("Environment=A=1")})
    old = machine.state("a.service").unit
    assert old is not None
    (difference,) = plan.compare(old, units.units["a.service"]).differences
    assert (difference.old, difference.new) == ("A=1; B=2", "A=1")
    assert str(difference) == "Environment A=1; B=2 → A=1"
    assert str(difference.where) == "a.service:5"


def lines(old, new, *, private_pids=(False, False)):
    made = [
        Unit(
            "a.service",
            "a.service",
            parse(text.encode(), "a.service").settings,
            HOST,
            private_pids=private,
        )
        for text, private in zip((old, new), private_pids, strict=True)
    ]
    comparison = plan.compare(*made)
    return comparison.change, [*map(str, comparison.differences)]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("TimeoutStopSec=1", "TimeoutStopSec=2", ["TimeoutStopSec 1 → 2"]),
        ("KillSignal=SIGINT", "", ["KillSignal SIGINT → (unset)"]),
        (
            "",
            "TimeoutSec=5min",
            ["TimeoutStartSec (unset) → 5min", "TimeoutStopSec (unset) → 5min"],
        ),
        ("TimeoutAbortSec=10", "", ["TimeoutAbortSec 10 → (unset)"]),
        (
            "TimeoutStopSec=1\nTimeoutAbortSec=3",
            "TimeoutStopSec=2",
            ["TimeoutAbortSec 3 → (unset)", "TimeoutStopSec 1 → 2"],
        ),
    ],
)
def test_what_follows_from_another_directive_is_no_difference_beside_it(old, new, expected):
    change, shown = lines(service(old), service(new))
    assert (change, shown) == (Change.LIVE, expected)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("", "Slice=a.slice", Change.LIVE),
        ("Slice=a.slice", "Slice=a-b.slice", Change.LIVE),
        ("Slice=a.slice", "", Change.LIVE),
        ("Slice=a.slice", "Slice=b.slice\nDelegate=yes\nDelegateSubgroup=x", Change.LIVE),
        ("Delegate=yes", "Delegate=cpu", Change.LIVE),
        ("Delegate=yes", "", Change.RESTART),
        ("Delegate=yes", "Delegate=yes\nSlice=a.slice", Change.RESTART),
        ("Delegate=yes\nSlice=a.slice", "Delegate=no\nSlice=b.slice", Change.RESTART),
        ("Delegate=yes", "Delegate=yes\nDelegateSubgroup=x", Change.RESTART),
        ("DelegateSubgroup=x", "DelegateSubgroup=y", Change.LIVE),
    ],
)
def test_where_a_unit_lies_is_live_until_it_is_delegated(old, new, expected):
    assert lines(service(old), service(new))[0] is expected


def test_what_nobody_wrote_is_shown_by_its_values():
    same = service()
    change, shown = lines(same, same, private_pids=(False, True))
    assert (change, shown) == (Change.RESTART, ["PrivatePIDs no → yes"])


def test_what_follows_and_takes_more_is_shown_with_what_it_takes():
    text = service("RemainAfterExit=yes", "Type=exec")
    change, shown = lines(text, text + "[Unit]\nDescription=x\n", private_pids=(False, True))
    assert (change, shown) == (Change.RESTART, ["Description (unset) → x", "PrivatePIDs no → yes"])


def test_an_entry_is_told_in_plain_values():
    known, new = service("TimeoutStopSec=1"), service("TimeoutStopSec=2", "Environment=A=1")
    old, now = (tree({"a.service": text}).units["a.service"] for text in (known, new))
    differences = plan.compare(old, now).differences
    told = plan.PlanEntry("a.service", plan.PlannedAction.RESTART, "why", differences).as_dict()
    assert json.loads(json.dumps(told)) == told
    changes = [(x["directive"], x["change"], x["old"], x["new"]) for x in told["changes"]]
    assert ("Environment", "restart", "", "A=1") in changes
    assert ("TimeoutStopSec", "live", "1", "2") in changes
    assert told["changes"][0]["where"].startswith("a.service:")
