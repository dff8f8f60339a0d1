"""Inside the machine: limits hold in the unified cgroup tree, and are named when they are reached."""

import time
from pathlib import Path

import pytest

from tests.vm.inside.machine import asked, commit, group, pid, run, up, wait_for

HUNGRY = (
    "[Service]\nMemoryMax=24M\nMemorySwapMax=0\n"
    "ExecStart=/usr/bin/python3 -c 'x = bytearray(200 << 20); input()'\n"
)
WORKER = (
    "[Service]\nExecStart=/usr/bin/python3 -c"
    " 'import os, time; os.fork() or bytearray(200 << 20); os.wait(); time.sleep(1000)'\n"
)
BUSY = "[Service]\nCPUQuota=30%\nExecStart=/bin/sh -c 'while :; do :; done'\n"
BOMB = (
    "[Service]\nTasksMax=20\nCPUQuota=40%\nKillMode=control-group\nTimeoutStopSec=3s\n"
    "ExecStart=/bin/bash -c 'f() { f | f & sleep 1; f; }; f'\n"
)


@pytest.fixture
def unit():
    """Commits a unit's file; removes it at the end."""
    names = []

    def make(name, text, *, wanted=True):
        names.append(name)
        commit({f"{name}.service": text}, wanted=wanted)
        wait_for(lambda: asked(name, "LoadState") == "loaded")

    up()
    yield make
    commit({f"{name}.service": None for name in names})
    wait_for(lambda: all(asked(name, "LoadState") != "loaded" for name in names))


def test_the_oom_killer_is_named(unit):
    unit("hungry", HUNGRY, wanted=False)
    run("gitproc", "start", "hungry")
    wait_for(lambda: asked("hungry", "ActiveState") == "failed")
    assert asked("hungry", "Result") == "oom-kill"


def test_a_child_that_the_budget_of_all_ends_is_a_matter_of_its_unit(unit):
    """Nothing limits the unit itself: OOMPolicy=stop holds all the same."""
    unit("worker", WORKER, wanted=False)
    commit({"-.slice": "[Slice]\nMemoryMax=120M\nMemorySwapMax=0\n"}, wanted=False)
    try:
        wait_for(lambda: "ActiveState=active" in run("gitproc", "show", "--", "-.slice"))
        run("gitproc", "start", "worker")
        wait_for(lambda: asked("worker", "ActiveState") == "failed")
        assert asked("worker", "Result") == "oom-kill"
    finally:
        commit({"-.slice": None})


def test_limits_that_are_raised(unit):
    """What needs CAP_SYS_RESOURCE: a machine of the tests without it can but lower what is 0 already."""
    unit("raised", "[Service]\nLimitNICE=30\nLimitRTPRIO=7:8\nExecStart=/usr/bin/sleep 1000\n")
    limits = Path(f"/proc/{wait_for(lambda: pid('raised'))}/limits").read_text().splitlines()
    found = {
        name: x.split()[3:5]
        for x in limits
        for name in ("nice", "realtime")
        if f"Max {name} p" in x
    }
    assert found == {"nice": ["30", "30"], "realtime": ["7", "8"]}


def used(at):
    """Seconds of CPU time."""
    lines = (at / "cpu.stat").read_text().splitlines()
    return int(next(x for x in lines if x.startswith("usage_usec")).split()[1]) / 1e6


def test_a_cpu_quota_is_kept_within_a_tenth(unit):
    unit("busy", BUSY)
    wait_for(lambda: pid("busy"))
    at = group(pid("busy"))
    assert (at / "cpu.max").read_text() == "30000 100000\n"

    def share():
        began, before = time.monotonic(), used(at)
        time.sleep(4)
        found = (used(at) - before) / (time.monotonic() - began)
        print(f"CPUQuota=30%: {found:.1%}")
        return found

    wait_for(lambda: share() == pytest.approx(0.30, rel=0.1))


def test_a_fork_bomb_is_held_and_the_manager_answers(unit):
    unit("bomb", BOMB)
    wait_for(lambda: pid("bomb"))
    at = group(pid("bomb"))
    wait_for(lambda: "max 0" not in (at / "pids.events").read_text())
    assert int((at / "pids.current").read_text()) <= 20

    def took():
        began = time.monotonic()
        assert "bomb.service" in run("gitproc", "status")
        found = time.monotonic() - began
        print(f"status beside a fork bomb: {found * 1e3:.0f} ms")
        return found

    wait_for(lambda: took() < 3)
    run("gitproc", "stop", "bomb")
    wait_for(lambda: not at.exists() or (at / "cgroup.procs").read_text() == "")
