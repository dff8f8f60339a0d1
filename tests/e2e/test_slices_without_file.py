"""Slices that have no file: drop-ins limit them, a commit changes that live, and what is taken away is given back."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest

from tests.e2e.harness import service, until

pytestmark = pytest.mark.root


def most(tasks):
    return f"[Slice]\nTasksMax={tasks}\n"


def limited(machine, name, tasks):
    """Wait until the slice has this many tasks at most."""

    def holds():
        with suppress(IndexError, OSError):  # it may be about to be made
            return (machine.group_of(name, "pids") / "pids.max").read_text() == f"{tasks}\n"

    until(holds, f"{name}: {tasks}")


def processes(machine):
    return {name: pid for name, pid in machine.pids().items() if not name.endswith(".slice")}


def planned(machine, files):
    repository = machine.repository
    repository.git("branch", "-f", "next")
    repository.git("checkout", "-q", "next")
    repository.commit(files)
    repository.git("checkout", "-q", repository.branch)
    entries = json.loads(machine.gitproc("--json", "plan", "next").out)["actions"]
    return [(x["unit"], x["action"]) for x in entries]


def show(machine, name, *wanted):
    said = machine.gitproc("show", "-p", ",".join(wanted), "--", name).out
    return dict(line.split("=", 1) for line in said.splitlines())


def test_drop_ins_of_a_slice_without_a_file(machine):
    machine.deploy({"a.service": service(settings="Slice=web-shop.slice")})
    pids = processes(machine)
    assert not [name for name in machine.units() if name.endswith(".slice")], "nothing to tell of"
    assert machine.gitproc("is-active", "web-shop.slice").out == "active\n"
    path = "web.slice.d/50.conf"
    assert planned(machine, {path: most(50)}) == [("web.slice", "live")]
    machine.deploy({path: most(50)})
    limited(machine, "web.slice", "50")
    assert show(machine, "web.slice", "TasksMax", "DropInPaths", "FragmentPath", "LoadState") == {
        "TasksMax": "50",
        "DropInPaths": path,
        "FragmentPath": "",
        "LoadState": "loaded",
    }
    assert machine.unit("web.slice")["active_state"] == "active"
    assert path in machine.gitproc("status", "web.slice").out
    assert "TasksMax=50" in machine.gitproc("cat", "web.slice").out
    machine.deploy({path: most(60), "slice.d/60.conf": "[Slice]\nMemoryMax=500M\n"})
    limited(machine, "web.slice", "60")
    for name in ("web.slice", "web-shop.slice", "-.slice"):
        assert show(machine, name, "MemoryMax") == {"MemoryMax": str(500 << 20)}
    machine.kill_manager()
    assert planned(machine, {path: None}) == [("web.slice", "live")]
    machine.deploy({path: None, "slice.d/60.conf": None})
    limited(machine, "web.slice", "max")
    assert processes(machine) == pids
    machine.deploy({"a.service": None, "b.service": service()})
    until(lambda: machine.gitproc("is-active", "web.slice").out == "inactive\n", "it is down")


def test_drop_ins_of_the_slices_of_instances_that_somebody_starts(machine):
    """They are in no commit: neither the instance nor its slice is named by any unit."""
    path = "t-.slice.d/50.conf"
    template = service(settings="Slice=t-%i.slice").partition("[Install]")[0]
    machine.deploy({"t@.service": template, path: most(50), "b.service": service()})
    assert machine.gitproc("start", "t@1", "t@2").status == 0
    pids = processes(machine)
    for name in ("t-1.slice", "t-2.slice"):
        limited(machine, name, "50")
    machine.deploy({path: most(60), "t-2.slice.d/60.conf": most(70)})
    limited(machine, "t-1.slice", "60")
    limited(machine, "t-2.slice", "70")
    machine.kill_manager()
    machine.deploy({path: None})
    limited(machine, "t-1.slice", "max")
    limited(machine, "t-2.slice", "70")
    assert processes(machine) == pids


def test_a_slice_that_somebody_starts_and_stops(machine):
    machine.deploy({"s.slice.d/50.conf": most(50), "b.service": service()})
    assert machine.gitproc("is-active", "s.slice").out == "inactive\n"
    assert machine.gitproc("start", "s.slice").status == 0
    limited(machine, "s.slice", "50")
    machine.deploy({"s.slice.d/50.conf": most(60)})
    limited(machine, "s.slice", "60")
    assert machine.gitproc("stop", "s.slice").status == 0
    assert machine.gitproc("is-active", "s.slice").out == "inactive\n"
    assert machine.gitproc("start", "no--slice.slice").status == 5
