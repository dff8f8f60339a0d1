"""Pressure (PSI) as the kernel measures it: of a group that waits, and of one that does not."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.kernel.parts import SLEEP, SPIN, bench, layouts, unit, until

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(not Path("/proc/pressure/cpu").exists(), reason="no PSI in this kernel"),
]


@pytest.fixture
def made():
    layout = layouts().get("v2") or layouts().get("hybrid")
    if layout is None:
        pytest.skip("no unified tree")
    with bench(layout) as found:
        yield found


def test_who_waits_is_told_from_who_does_not(made):
    """Three on one processor wait for each other two thirds of the time."""
    names = ("busy.service", "idle.service")
    for name in names:
        made.controller.create(unit("", name))
    made.start("idle.service", SLEEP)
    for _ in range(3):
        os.sched_setaffinity(made.start("busy.service", SPIN).pid, {0})

    def share(name: str) -> float:
        return made.controller.details(name).pressure["cpu"]

    until(lambda: share("busy.service") > 3, "they wait for each other")
    assert share("idle.service") < share("busy.service")
    assert set(made.controller.details("idle.service").pressure) == {"cpu", "memory", "io"}
