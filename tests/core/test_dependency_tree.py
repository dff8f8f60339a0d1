"""The tree of dependencies: what is opened, and that rings and long chains end."""

from __future__ import annotations

from typing import Any

from gitproc.core.dependency_tree import dependency_tree
from tests.core.fake_kernel import Machine, service


def machine_of(**units: str) -> Machine:
    machine = Machine({f"{name}.service": text for name, text in units.items()})
    machine.run(5)
    return machine


def flat(tree: dict[str, Any], depth: int = 0) -> list[tuple[int, str]]:
    below = [one for child in tree["depends"] for one in flat(child, depth + 1)]
    return [(depth, tree["unit"].removesuffix(".service")), *below]


def test_a_ring_is_opened_once():
    machine = machine_of(a=service(unit="Wants=b.service"), b=service(unit="Wants=a.service"))
    found = flat(dependency_tree(machine.world, "a.service", recursive=True))
    assert found == [(0, "a"), (1, "b"), (2, "a")]


def test_what_two_need_is_opened_where_it_comes_first():
    machine = machine_of(
        a=service(unit="Wants=b.service c.service"),
        b=service(unit="Requires=d.service"),
        c=service(unit="BindsTo=d.service"),
        d=service(unit="Wants=e.service", install=False),
        e=service(install=False),
    )
    found = flat(dependency_tree(machine.world, "a.service", recursive=True))
    assert found.count((3, "e")) == 1
    assert found.count((2, "d")) == 2
    assert flat(dependency_tree(machine.world, "e.service", reverse=True)) == [(0, "e"), (1, "d")]


def test_a_chain_may_be_longer_than_the_stack_is_deep():
    units = {f"u{n}": service(unit=f"Wants=u{n + 1}.service", install=False) for n in range(1500)}
    machine = machine_of(**units, u1500=service(install=False))
    tree = dependency_tree(machine.world, "u0.service", recursive=True)
    depth = 0
    while tree["depends"]:
        (tree,) = tree["depends"]
        depth += 1
    assert depth == 1500


def test_order_is_a_relation_of_its_own():
    machine = machine_of(a=service(unit="After=b.service"), b=service())
    assert flat(dependency_tree(machine.world, "a.service")) == [(0, "a")]
    after = dependency_tree(machine.world, "a.service", ordering=True)
    assert (1, "b") in flat(after)
    before = dependency_tree(machine.world, "b.service", ordering=True, reverse=True)
    assert (1, "a") in flat(before)
