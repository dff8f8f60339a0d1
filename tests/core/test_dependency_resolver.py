"""The graph: order, cycles, what is missing, what conflicts, and edges replaced and given back."""

from __future__ import annotations

import pytest

from gitproc.core.dependency_resolver import (
    DependencyResolver,
    build,
    replace_edges,
    roots_of,
)
from gitproc.core.graph_check import check, check_changed
from gitproc.core.relation import Relation
from tests.units.trees import SERVICE, tree


def unit(*lines: str) -> str:
    return "[Unit]\n" + "\n".join(lines) + "\n" + SERVICE


def findings(files: dict[str, str]) -> list[str]:
    return [str(x) for x in check(tree(files))]


def picture(graph: DependencyResolver) -> list[str]:
    """Every edge of the services of these tests, both ways."""
    services = {"a.service", "b.service", "c.service"}
    edges = []
    for name in ("after", "requires", "wants", "binds_to", "part_of", "conflicts"):
        relation: Relation = getattr(graph, name)
        edges += [f"{s} {name} {t}" for s in services for t in relation.of(s)]
        edges += [f"{s} {name} {t} (back)" for t in services for s in relation.to(t)]
    return sorted(edges)


def test_the_start_order_is_kahns_with_ties_by_name():
    graph = build(
        tree(
            {
                "web.service": unit("After=db.service cache.service"),
                "db.service": unit("After=disk.service"),
                "disk.service": unit(),
                "cache.service": unit("Before=db.service"),
                "alone.service": unit(),
            }
        )
    )
    names = ["web.service", "db.service", "disk.service", "cache.service", "alone.service"]
    assert graph.start_order(names) == [
        "alone.service",
        "cache.service",
        "disk.service",
        "db.service",
        "web.service",
    ]


def test_a_cycle_is_named_with_the_place_of_each_edge():
    found = findings(
        {
            "a.service": unit("After=b.service"),
            "b.service": unit("", "After=c.service"),
            "c.service": unit("Before=b.service", "Before=x.service", "After=a.service"),
        }
    )
    assert len(found) == 1
    for edge in (
        "a.service is ordered after b.service (a.service:2)",
        "b.service is ordered after c.service (b.service:3)",
        "c.service is ordered after a.service (c.service:4)",
    ):
        assert edge in found[0]


def test_a_cycle_through_the_members_of_a_target_is_found():
    found = findings(
        {
            "all.target": "[Unit]\nWants=late.service\nBefore=early.service\n",
            "early.service": unit("Before=late.service"),
            "late.service": unit(),
        }
    )
    assert len(found) == 1
    assert "all.target wants late.service" in found[0]


def test_a_member_ordered_after_its_target_is_no_cycle():
    assert not findings(
        {"all.target": "[Unit]\nWants=late.service\n", "late.service": unit("After=all.target")}
    )


def test_what_is_required_and_missing_is_refused_with_its_line_and_what_is_wanted_is_not():
    found = findings(
        {
            "a.service": unit("Requires=gone.service"),
            "b.service": unit("Wants=gone.service", "After=gone.service"),
            "c.service": unit("", "BindsTo=masked.service"),
            "masked.service": "",
        }
    )
    assert found == [
        "a.service:2: error: Requires: a.service needs gone.service, which is not in this commit",
        "c.service:3: error: BindsTo: c.service needs masked.service, which is masked",
    ]


def test_a_reaction_that_nobody_has_is_a_warning_with_its_line():
    found = findings(
        {
            "a.service": unit(
                "OnFailure=alert@%n.service", "OnSuccess=gone.service alert@x.service"
            ),
            "alert@.service": unit(),
            "b.service": unit("OnFailure=gone.service") + "[X-GitProc]\nOnRetry=gone.service\n",
        }
    )
    missing = "gone.service, which is not in this commit"
    assert [x for x in found if "[Service]" not in x] == [
        f"a.service:3: warning: OnSuccess: a.service would start {missing}",
        f"b.service:2: warning: OnFailure: b.service would start {missing}",
        f"b.service:6: warning: OnRetry: b.service would start {missing}",
    ]


def test_two_units_that_would_run_may_not_conflict():
    wanted = "[Install]\nWantedBy=multi-user.target\n"
    files = {
        "a.service": unit("Conflicts=b.service") + wanted,
        "b.service": unit() + wanted,
        "c.service": unit("Conflicts=a.service"),
    }
    found = findings(files)
    assert found == [
        "a.service:2: error: Conflicts: a.service conflicts with b.service, and both would run"
    ]


def test_conflicts_are_looked_for_among_what_is_newly_pulled_in_as_well():
    files = {
        "a.service": unit("Conflicts=b.service"),
        "b.service": unit(),
        "c.service": unit("Wants=a.service b.service") + "[Install]\nWantedBy=multi-user.target\n",
    }
    units = tree(files)
    roots = roots_of(units, "default.target")
    assert [x.directive for x in check_changed(build(units), units, ["c.service"], roots)] == [
        "Conflicts"
    ]


def test_only_what_can_be_to_blame_is_searched():
    units = tree({"a.service": unit("After=b.service"), "b.service": unit("After=a.service")})
    assert check_changed(build(units), units, [], ()) == []


def test_edges_are_replaced_and_given_back():
    before = tree({"a.service": unit("After=b.service", "Requires=b.service"), "b.service": unit()})
    after = tree({"a.service": unit("Wants=c.service"), "c.service": unit("PartOf=a.service")})
    graph = build(before)
    first = picture(graph)
    change, different = replace_edges(graph, after, ["a.service", "b.service", "c.service"], {})
    assert different == {"a.service", "b.service", "c.service"}
    assert picture(graph) == picture(build(after))
    change.undo(graph)
    assert picture(graph) == first


def test_the_same_edge_said_twice_goes_only_with_the_second():
    graph = build(
        tree({"a.service": unit("After=b.service"), "b.service": unit("Before=a.service")})
    )
    graph.replace("a.service", ())
    assert graph.after.has("a.service", "b.service")
    graph.replace("b.service", ())
    assert not graph.after.has("a.service", "b.service")


def test_what_leans_on_a_unit_goes_with_it_and_comes_back():
    graph = build(
        tree(
            {
                "base.service": unit(),
                "needs.service": unit("Requires=base.service"),
                "bound.service": unit("BindsTo=needs.service"),
                "part.service": unit("PartOf=base.service"),
                "wants.service": unit("Wants=base.service"),
            }
        )
    )
    assert graph.stop_closure(["base.service"]) == {
        "needs.service": "base.service",
        "part.service": "base.service",
        "bound.service": "base.service",
    }


def test_services_come_after_the_early_targets_unless_they_say_otherwise():
    graph = build(
        tree(
            {
                "a.service": unit(),
                "early.service": unit("DefaultDependencies=no"),
                "before.service": unit("Before=basic.target"),
            }
        )
    )
    assert set(graph.waits_on("a.service")) == {"sysinit.target", "basic.target"}
    assert graph.waits_on("early.service") == ()
    assert graph.waits_on("before.service") == ("sysinit.target",)


@pytest.mark.parametrize("mask", ["a.slice", "a-b.slice"])
def test_who_lies_in_a_masked_slice_is_refused(mask):
    """As with what it requires: systemd does not start it."""
    files = {"x.service": SERVICE + "Slice=a-b.slice\n"}
    assert findings(files) == []
    found = f"x.service:3: error: Slice: x.service lies in {mask}, which is masked"
    assert found in findings({**files, mask: ""})
    assert "x.service" in {*build(tree({**files, mask: ""})).missed_by(mask)}, (
        "also if it comes later"
    )
    assert findings({mask: ""}) == []
