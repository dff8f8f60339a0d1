"""Shares and quotas of a processor, as programs meet them that would have all of it."""

from __future__ import annotations

import os
import statistics
import sys

import pytest

from gitproc.kernel import processes
from tests.kernel.parts import SPIN, bench_with, unit, until

pytestmark = pytest.mark.root

#: Says for how long it was kept from running, each time it was by more than a scheduler's turn.
PAUSES = """
import time
then = time.monotonic()
while True:
    now = time.monotonic()
    if now - then > 0.03: print(f"{now - then:.3f}", flush=True)
    then = now
"""


@pytest.fixture
def made():
    with bench_with("cpu") as found:
        yield found


def test_units_share_the_processor_as_old_weights_say(made):
    """Both on one processor, so that they compete whatever else runs."""
    children = {}
    for name, shares in (("a.service", 256), ("b.service", 4096)):
        assert made.controller.create(unit(f"CPUShares={shares}", name)) == []
        children[name] = made.start(name, SPIN)
        os.sched_setaffinity(children[name].pid, {0})

    def used():
        return [processes.cpu_seconds([child.pid]) for child in children.values()]

    def times():
        """How much more b runs than a, while both have half a second."""
        before = used()
        until(lambda: sum(used()) - sum(before) > 0.5, "they run", 25)
        few, many = (now - then for now, then in zip(used(), before, strict=True))
        print(f"CPUShares=256 and 4096: {few:.2f} and {many:.2f} s")
        return many / max(few, 0.01)

    until(lambda: times() > 4, "shared as weighted", 25)
    for name in children:
        assert made.controller.set_limits(unit("", name)) == []
    until(lambda: 0.5 < times() < 2, "shared alike", 25)


def test_a_quota_of_a_longer_period_makes_longer_pauses(made):
    """So little that it has more than that even where many others want the processor."""
    assert made.controller.create(unit("CPUQuota=5%\nCPUQuotaPeriodSec=1s")) == []
    child = made.start("test.service", [sys.executable, "-I", "-S", "-c", PAUSES])

    def pause():
        return float(child.stdout.readline())

    until(lambda: pause() > 0.5, "it waits for the next second", 60)
    assert made.controller.set_limits(unit("CPUQuota=5%")) == []
    until(lambda: statistics.median(pause() for _ in range(7)) < 0.3, "it has its share sooner", 60)
