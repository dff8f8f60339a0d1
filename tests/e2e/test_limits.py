"""Limits and slices with a whole daemon: enforced by the kernel, changed live, found again after a crash."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.e2e.harness import service, until

pytestmark = pytest.mark.root


def slice_file(text):
    return f"[Slice]\n{text}\n"


def knob(machine, unit, v2, controller, v1):
    group = machine.group_of(unit, controller)
    path = group / v2 if (group / v2).exists() else group / v1
    return path.read_text().split()[0]


def of_slice(machine, unit, v2, controller, v1):
    group = machine.group_of(unit, controller).parent
    path = group / v2 if (group / v2).exists() else group / v1
    return path.read_text().split()[0]


def test_slices_and_live_changes(machine):
    """Everything on one machine: what a change does is seen in the kernel, and the process stays."""
    machine.deploy(
        {
            "web.slice": slice_file("TasksMax=50"),
            "a.service": service(settings="Slice=web-shop.slice"),
            "b.service": service(),
        }
    )
    pids = machine.pids()
    assert "/web.slice/web-shop.slice/a\n" in Path(f"/proc/{pids['a']}/cgroup").read_text()
    assert "slice" not in Path(f"/proc/{pids['b']}/cgroup").read_text()
    assert machine.unit("web.slice")["active_state"] == "active"

    plan = {
        "web.slice": slice_file("TasksMax=60\nCPUWeight=50"),
        "a.service": service(settings="Slice=web-shop.slice\nCPUWeight=300\nAllowedCPUs=0"),
        "b.service": service(settings="MemoryMax=64M\nCPUQuota=50%\nCPUQuotaPeriodSec=50ms"),
    }
    machine.repository.commit(plan)
    machine.verdict(machine.repository.git("rev-parse", "main").strip())
    assert machine.pids() == pids, "live"
    assert knob(machine, "b", "memory.max", "memory", "memory.limit_in_bytes") == str(64 << 20)
    assert knob(machine, "b", "cpu.max", "cpu", "cpu.cfs_quota_us") == "25000"
    group = machine.group_of("a", "cpu").parent.parent
    weight = group / "cpu.weight"
    assert (weight.read_text() if weight.exists() else (group / "cpu.shares").read_text()) in (
        "50\n",
        "512\n",
    )
    assert knob(machine, "a", "cpuset.cpus", "cpuset", "cpuset.cpus") == "0"
    assert os.sched_getaffinity(pids["a"]) == {0}

    machine.kill_manager()
    assert machine.pids() == pids
    assert machine.gitproc("diff").out.count("limit") == 0
    (group / ("cpu.weight" if weight.exists() else "cpu.shares")).write_text("77")
    drift = machine.gitproc("diff")
    assert "web.slice" in drift.out, drift
    assert "CPUWeight is" in drift.out
    machine.gitproc("sync")
    assert "CPUWeight is" not in machine.gitproc("diff").out

    plan["web.slice"] = None
    plan["a.service"] = service(settings="Slice=other.slice")
    machine.deploy(plan)
    assert machine.pids()["a"] != pids["a"], "moving is a restart"
    assert machine.pids()["b"] == pids["b"]
    until(lambda: not group.exists(), "the slice's groups are gone")


def test_a_slice_that_goes_frees_its_units(machine):
    files = {"s.slice": slice_file("TasksMax=50"), "a.service": service(settings="Slice=s.slice")}
    machine.deploy(files)
    pids = machine.pids()
    assert of_slice(machine, "a", "pids.max", "pids", "pids.max") == "50"
    machine.deploy({"s.slice": None})
    assert machine.pids() == {"a": pids["a"]}
    assert of_slice(machine, "a", "pids.max", "pids", "pids.max") == "max"
    machine.deploy({"-.slice": slice_file("MemoryMax=512M"), "b.service": service()})
    assert machine.pids()["a"] == pids["a"]
    for name in ("a", "b"):
        limit = (machine.group_of(name, "memory"), "memory.max", "memory.limit_in_bytes")
        top = next(x for x in limit[0].parents if x.name == machine.group)
        found = top / limit[1] if (top / limit[1]).exists() else top / limit[2]
        assert found.read_text() == f"{512 << 20}\n"
