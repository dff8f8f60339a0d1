"""Random histories of sockets, paths and units of the host's beside services: the rules of `wide.WideWatcher` hold.

A fault names its seed; `python -m tests.core.wide SEED:SEED+1 [rich]` plays it again.
"""

from __future__ import annotations

import pytest

from tests.core.wide import wide_history

BATCH = 10


@pytest.mark.parametrize("first", range(0, 60, BATCH))
@pytest.mark.parametrize("rich", [False, True])
def test_every_rule_holds_among_what_starts_units_and_what_the_host_has(first, rich):
    for seed in range(first, first + BATCH):
        wide_history(seed, rich=rich)


def test_wide_histories_are_not_idle():
    told = set()
    for seed in range(40):
        machine = wide_history(seed)
        told |= {line.partition(":")[0] for line in machine.told()}
    kinds = {line.split()[0] for line in told}
    assert {"unit.triggered", "unit.socket-lost", "unit.not-triggered", "commit.good"} <= kinds
    started = {line.partition(" ")[2] for line in told if line.startswith("unit.triggered")}
    assert len(started) > 3
