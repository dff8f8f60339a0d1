"""Slices as groups around groups, on this machine's hierarchies."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from gitproc.kernel import processes
from gitproc.kernel.cgroup_layout import Kind
from gitproc.kernel.resource_controller import ResourceController
from gitproc.units.unit import Unit
from tests.kernel.parts import SLEEP, SPIN, bench, layouts, on_disk, unit, until
from tests.kernel.test_knobs import budget

pytestmark = pytest.mark.root

LAYOUTS = {name: x for name, x in layouts().items() if x.kind is not Kind.NONE}
LIMITING = {name: x for name, x in LAYOUTS.items() if name != "v2 without controllers"}
#: Reads a file once, around the cache.
READ = [sys.executable, "-I", "-S", "-c", """
import mmap, os, sys
file = os.open(sys.argv[1], os.O_RDONLY | os.O_DIRECT)
os.preadv(file, [mmap.mmap(-1, 1 << 16)], 0)
"""]  # fmt: skip


@pytest.fixture(params=LIMITING.values(), ids=list(LIMITING))
def pair(request):
    with bench(request.param) as found:
        slices: dict[str, Unit] = {}
        found.controller = ResourceController(found.layout, os.getpid(), found.name, slices.get)
        found.controller.prepare()
        yield found, slices


@pytest.fixture
def made(pair):
    return pair[0]


@pytest.fixture
def slices(pair):
    return pair[1]


@pytest.fixture
def up(made, slices):
    def bring(text, name):
        slices[name] = budget(text, name)
        return made.controller.set_limits(slices[name])

    return bring


def value(made, name, v2, v1_controller, v1):
    """A control file of a slice."""
    path = made.controller._places.path(name)
    if made.controller._limits.base and (Path(made.controller._limits.base, path, v2)).exists():
        return Path(made.controller._limits.base, path, v2).read_text().split()[0]
    return Path(made.controller._v1.path(v1_controller, path), v1).read_text().split()[0]


def test_limits_of_a_slice_bind_its_units_and_change_live(made, slices, up):
    assert up("TasksMax=3", "a.slice") == []
    assert value(made, "a.slice", "pids.max", "pids", "pids.max") == "3"
    made.controller.create(unit("Slice=a-b.slice", "x.service"))
    child = made.start("x.service", SLEEP)
    assert made.controller.unit_of(child.pid) == "x.service"
    assert made.controller.pids("a.slice") == [child.pid]
    assert up("TasksMax=7\nMemoryMax=64M", "a.slice") == []
    assert value(made, "a.slice", "pids.max", "pids", "pids.max") == "7"
    assert value(made, "a.slice", "memory.max", "memory", "memory.limit_in_bytes") == str(64 << 20)
    member = Path(f"/proc/{child.pid}/cgroup").read_text()
    assert f"/{made.name}/a.slice/a-b.slice/x\n" in member
    if made.controller._v1 is not None:
        assert f":memory:/{made.name}/a.slice/a-b.slice/x\n" in member, "it has joined"
    assert made.controller.differing_limits(slices["a.slice"]) == []
    assert made.controller.usage("a.slice").tasks == 1
    assert up("", "a.slice") == []
    assert value(made, "a.slice", "pids.max", "pids", "pids.max") == "max"
    assert child.poll() is None


def test_what_is_found_after_a_crash(made, slices, up):
    up("TasksMax=9", "a.slice")
    made.controller.create(unit("Slice=a.slice", "x.service"))
    child = made.start("x.service", SLEEP)
    again = ResourceController(made.layout, os.getpid(), made.name, slices.get)
    again.prepare()
    assert again.existing() == ["x.service"]
    assert again.pids("x.service") == [child.pid]
    assert again.unit_of(child.pid) == "x.service"
    assert again.paths("x.service") == made.controller.paths("x.service")


def test_groups_go_with_their_last_unit_and_slices_with_their_definition(made, slices, up):
    up("TasksMax=9", "a.slice")
    made.controller.create(unit("Slice=a-b.slice", "x.service"))
    base = made.controller._limits.base or made.controller._v1.path(made.controller._tracker, "")
    made.controller.remove("x.service")
    assert not Path(base, "a.slice/a-b.slice").exists()
    if made.controller._limits.base:
        assert Path(base, "a.slice").is_dir()
    old = slices.pop("a.slice")
    assert made.controller.release_slice(old) == []
    assert not Path(base, "a.slice").exists()


def test_a_controller_that_a_slice_disables_does_not_reach_its_units(made, slices, up):
    """DisableControllers=: where there is a unified tree with controllers, and not above the slice."""
    base = made.controller._limits.base
    if not base or "pids" not in Path(base, "cgroup.controllers").read_text().split():
        pytest.skip("no unified tree with controllers")

    def controllers(path):
        return Path(base, path, "cgroup.controllers").read_text().split()

    assert up("TasksMax=9\nDisableControllers=pids", "a.slice") == []
    made.controller.create(unit("Slice=a-b.slice\nMemoryMax=50M", "x.service"))
    made.controller.create(unit("MemoryMax=50M", "y.service"))
    assert "pids" in controllers("a.slice") and "pids" in controllers("y")
    assert "pids" not in controllers("a.slice/a-b.slice/x") and "memory" in controllers(
        "a.slice/a-b.slice"
    )
    assert up("TasksMax=9", "a.slice") == []
    assert "pids" in controllers("a.slice/a-b.slice"), "given back"


def test_slices_share_the_processor_as_weighted(made, slices, up):
    """Both on one processor, so that they compete whatever else runs."""
    up("CPUWeight=100", "a.slice")
    up("CPUWeight=300", "b.slice")
    children = {}
    for name in ("a", "b"):
        made.controller.create(unit(f"Slice={name}.slice", f"{name}.service"))
        children[name] = made.start(f"{name}.service", SPIN)
        os.sched_setaffinity(children[name].pid, {0})

    def used():
        return [processes.cpu_seconds([child.pid]) for child in children.values()]

    def times():
        """How much more b runs than a, while both have some of a second."""
        before = used()
        until(lambda: sum(used()) - sum(before) > 0.6, "they run", 40)
        few, many = (now - then for now, then in zip(used(), before, strict=True))
        print(f"CPUWeight=100 and 300: {few:.2f} and {many:.2f} s")
        return many / max(few, 0.01)

    until(lambda: 1.8 < times() < 4.8, "shared as weighted", 40)


def test_a_slice_counts_what_its_units_read(made, slices, up, tmp_path):
    if not made.controller._limits.has("io"):
        pytest.skip("no io controller")
    file = on_disk(tmp_path / "file", 1 << 16)
    assert up("IOAccounting=yes", "a.slice") == []
    made.controller.create(unit("Slice=a.slice", "x.service"))
    made.start("x.service", [*READ, str(file)]).wait()
    for name in ("a.slice", "x.service"):
        assert (made.controller.details(name).io_read or 0) >= 1 << 16


def test_what_changes_by_hand_is_noticed(made, slices, up):
    up("CPUWeight=200\nAllowedCPUs=0", "a.slice")
    made.controller.create(unit("Slice=a.slice\nCPUWeight=50\nTasksMax=9", "x.service"))
    made.start("x.service", SLEEP)
    mine = unit("Slice=a.slice\nCPUWeight=50\nTasksMax=9", "x.service")
    assert made.controller.differing_limits(mine) == []
    assert made.controller.differing_limits(slices["a.slice"]) == []
    assert made.controller.differing_limits(unit("Slice=a.slice\nTasksMax=5", "x.service")) == [
        "CPUWeight is 50, and 100 in the commit",
        "TasksMax is 9, and 5 in the commit",
    ]


def test_a_slice_that_has_less_than_those_in_it_ask_for_cuts_them_in_v1_and_gives_it_back(
    made, slices, up
):
    """In the unified tree the kernel does that; a v1 hierarchy refuses to be told so."""
    if made.controller._v1 is None or not made.controller._v1.has("cpuset"):
        pytest.skip("no v1 hierarchies")
    some = ",".join(map(str, sorted(os.sched_getaffinity(0))[:2]))
    one = some.partition(",")[0]
    mine = unit(f"Slice=a-b.slice\nCPUQuota=120%\nAllowedCPUs={some}", "x.service")

    def found():
        names = ("a.slice", "a-b.slice", "x.service")
        paths = [made.controller._places.path(name) for name in names]
        files = [("cpu", "cpu.cfs_quota_us"), ("cpuset", "cpuset.cpus")]
        v1 = made.controller._v1
        return [
            [Path(v1.path(c, at), name).read_text().strip() for at in paths] for c, name in files
        ]

    def again():
        """As the daemon does it, from the outside inwards."""
        return [made.controller.set_limits(each) for each in (slices["a-b.slice"], mine)]

    up(f"CPUQuota=200%\nAllowedCPUs={some}", "a.slice")
    up("CPUQuota=150%", "a-b.slice")
    assert made.controller.create(mine) == []
    child = made.start("x.service", SLEEP)
    whole = found()
    assert whole[0] == ["200000", "150000", "120000"]
    assert up(f"CPUQuota=50%\nCPUQuotaPeriodSec=50ms\nAllowedCPUs={one}", "a.slice") == []
    cut = [["25000", "-1", "-1"], [one] * 3]
    assert found() == cut
    assert os.sched_getaffinity(child.pid) == {int(one)}
    assert again() == [[], []]
    assert found() == cut, "what they ask for is no way around it"
    for each in (*slices.values(), mine):
        assert made.controller.differing_limits(each) == []
    assert up(f"CPUQuota=200%\nAllowedCPUs={some}", "a.slice") == []
    assert again() == [[], []]
    assert found() == whole


def test_a_limit_that_v1_cannot_have_as_more_is_in_use_is_said_and_stays_as_it_was(
    made, slices, up
):
    if made.controller._v1 is None or not made.controller._v1.has("memory"):
        pytest.skip("no v1 hierarchies")
    assert up("MemoryMax=100M", "a.slice") == []
    assert made.controller.create(unit("Slice=a.slice", "x.service")) == []
    eat = "x = bytearray(40 << 20); print(flush=True); import time; time.sleep(1000)"
    made.start("x.service", [sys.executable, "-I", "-S", "-c", eat])
    until(lambda: (made.controller.usage("a.slice").memory or 0) > 40 << 20, "it has eaten")
    assert up("MemoryMax=10M", "a.slice") == [
        "MemoryMax= is not enforced: more than that is in use, and v1 kills nobody for it"
    ]
    assert made.controller.differing_limits(slices["a.slice"]) == [
        "MemoryMax is 100M, and 10M in the commit"
    ]
