"""Random histories: whatever happens in whatever order, the rules of `histories.Watcher` hold.

A fault names its seed; `python -m tests.core.histories SEED:SEED+1 [crash|plan|rich|rich-crash]` plays it
again, and a range of seeds looks further, as `make histories` does.
"""

from __future__ import annotations

import pytest

from tests.core.histories import crash_changes_nothing, history, plan_is_kept
from tests.core.watcher import Fault, Watcher

BATCH = 10


@pytest.mark.parametrize("first", range(0, 60, BATCH))
def test_every_rule_holds_in_every_history(first):
    for seed in range(first, first + BATCH):
        history(seed)


@pytest.mark.parametrize("first", range(0, 80, BATCH))
def test_crashes_of_the_manager_change_nothing(first):
    for seed in range(first, first + BATCH):
        crash_changes_nothing(seed)


@pytest.mark.parametrize("first", range(0, 20, BATCH))
def test_every_rule_holds_among_units_that_say_much_of_each_other(first):
    for seed in range(first, first + BATCH):
        history(seed, rich=True)
        crash_changes_nothing(seed, rich=True)


def test_what_happens_is_what_the_plan_said():
    judged = sum(plan_is_kept(seed) for seed in range(40))
    assert judged > 100


def test_histories_are_not_idle():
    """They start, stop, fail and refuse: else nothing would be proved."""
    kinds = {line.split()[0].rstrip(":") for seed in range(30) for line in history(seed).told()}
    assert {
        "commit.good",
        "commit.failed",
        "commit.refused",
        "commit.superseded",
        "unit.started",
        "unit.failed",
        "unit.stopping",
        "unit.restarting",
    } <= kinds


def test_rich_histories_are_not_idle():
    told = [line for seed in range(30) for line in history(seed, rich=True).told()]
    assert {
        "unit.skipped",
        "unit.triggered",
        "unit.watchdog",
        "commit.refused",
    } <= {line.split()[0].rstrip(":") for line in told}


def test_the_watcher_bites():
    watcher = Watcher(0)
    watcher.edit(
        {"a.service": "[Service]\nExecStart=/bin/run\n[Install]\nWantedBy=multi-user.target\n"}
    )
    watcher.run(1)
    watcher.state("a.service").sub = type(watcher.state("a.service").sub)("stop-sigterm")
    with pytest.raises(Fault):
        watcher.at_rest()
