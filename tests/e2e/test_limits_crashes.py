"""The manager is killed while it changes limits: no service is restarted by it, and all are set in the end."""

from __future__ import annotations

import os
import signal
import time

import pytest

from gitproc.daemon.loop import LIMITED
from gitproc.errors import StateError
from gitproc.store.state_manager import StateManager
from tests.e2e.harness import DEADLINE, alive, service, until

pytestmark = pytest.mark.root

NESTED = ("a.slice", "a-b.slice", "a-b-c.slice")
INSTANCE = "[Service]\nExecStart=/bin/sleep 1000\nSlice=a-b.slice\n{limits}\n[Install]\n"
WANTED = "WantedBy=multi-user.target\nDefaultInstance=x\n"


def limited(tasks):
    """Slices in slices, services in them, and an instance that has more by a drop-in."""
    limits = f"TasksMax={tasks}\nMemoryMax={tasks}M\nCPUWeight={tasks}"
    return {
        **dict.fromkeys(NESTED, f"[Slice]\n{limits}\n"),
        **{f"s{n}.service": service(settings=f"Slice=a-b-c.slice\n{limits}") for n in range(12)},
        "i@.service": INSTANCE.format(limits=limits) + WANTED,
        "i@x.service.d/more.conf": f"[Service]\nTasksMax={tasks + 1}\n",
    }


def test_killed_in_the_middle_of_a_change(machine):
    machine.deploy(limited(100))
    pids = machine.pids()
    names = (*NESTED, "s0", "s11", "i@x")
    knobs = [machine.group_of(name, "pids") / "pids.max" for name in names]
    for tasks in (200, 150, 300):
        sha = machine.commit(limited(tasks))
        wanted = [f"{tasks}\n"] * 5 + [f"{tasks + 1}\n"]
        end = time.monotonic() + DEADLINE
        while not any(x.read_text() == text for x, text in zip(knobs, wanted, strict=True)):
            assert time.monotonic() < end, "nothing is changed"
            time.sleep(0.001)
        machine.kill_manager()
        machine.verdict(sha)
        assert machine.pids() == pids
        until(lambda: "as the commit says" in machine.gitproc("diff").out, "all is changed")
        assert [x.read_text() for x in knobs] == wanted


def is_free(state):
    try:
        return state.load() is not None
    except StateError:
        return False


def test_what_a_manager_did_not_live_to_set_or_to_lift_the_next_one_does(machine):
    slices = {f"{name}.slice": "[Slice]\nTasksMax=50\n" for name in "st"}
    settings = "TasksMax=40\nSlice=s.slice"
    units = {
        "a.service": service(settings=settings),
        "b.service": service(settings="Slice=t.slice"),
    }
    machine.deploy({**slices, **units})
    pids = {name: machine.pids()[name] for name in "ab"}
    knobs = [machine.group_of(name, "pids") / "pids.max" for name in ("a", "s.slice", "t.slice")]
    machine.deploy({"t.slice": None})
    assert machine.shim is not None
    manager = machine.manager
    machine.shim.send_signal(signal.SIGSTOP)  # so that none follows before all is prepared
    try:
        os.kill(manager, signal.SIGKILL)
        until(lambda: not alive(manager), "the manager dies")
        state = StateManager(machine.state)
        until(lambda: is_free(state), "its last thread has given the folder back")
        state.put(LIMITED, ["a.service", "s.slice", "t.slice"])
        state.flush()
        state.close()
        for knob in knobs:
            knob.write_text("7")
    finally:
        machine.shim.send_signal(signal.SIGCONT)
    until(lambda: [x.read_text() for x in knobs] == ["40\n", "50\n", "max\n"], "they are set")
    machine.ready()
    assert {name: machine.pids()[name] for name in "ab"} == pids
