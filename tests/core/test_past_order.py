"""What a commit takes away is stopped in the order in which it was started, whatever happens meanwhile."""

from __future__ import annotations

import pytest

from gitproc.core import past_order
from tests.core.fake_kernel import Machine, service

SLOW = "ExecStart=/bin/slow"
LEFT = {"z.service": service()}


def stops(machine: Machine) -> list[str]:
    said = machine.told("unit.stopp")
    return [line.partition(":")[0].removeprefix("unit.") for line in said]


@pytest.mark.parametrize(
    ("a", "b"), [("", "After=a.service"), ("Before=b.service", "")], ids=["After", "Before"]
)
@pytest.mark.parametrize("left", [{}, {"a.service": service(SLOW, "Nice=1")}], ids=["both", "one"])
def test_the_order_outlives_the_manager_that_put_the_commit_in_force(a, b, left):
    machine = Machine({"a.service": service(SLOW, unit=a), "b.service": service(SLOW, unit=b)})
    machine.run(5)
    machine.orders_left = 1  # its commit is in force, and nothing has been stopped
    machine.commit({**LEFT, **left})
    machine.run(20)
    assert machine.crashes == 1
    assert machine.sub("b.service") == "dead"
    order = ["stopping b.service", "stopped b.service", "stopping a.service", "stopped a.service"]
    assert stops(machine) == order


def test_a_new_instance_is_not_kept_up_by_the_order_of_the_one_before():
    files = {"a.service": service(SLOW), "b.service": service(SLOW, unit="After=a.service")}
    machine = Machine(files)
    machine.run(5)
    machine.commit({"a.service": service(SLOW), "b.service": service(SLOW, "Nice=1")})
    machine.run(10)
    assert [*past_order.followers(machine.world, "a.service")] == []
    machine.commit(LEFT)
    machine.run(0.1)
    assert stops(machine)[-2:] == ["stopping a.service", "stopping b.service"]
