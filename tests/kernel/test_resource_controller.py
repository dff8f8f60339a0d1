"""Real groups on this machine, in every layout it can show."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import sys
from pathlib import Path

import pytest

from gitproc.errors import HostError
from gitproc.kernel import processes
from gitproc.kernel.cgroup_layout import Kind, Layout
from gitproc.kernel.resource_controller import ResourceController
from gitproc.kernel.tree_watch import FileWatch
from tests.kernel.parts import ESCAPE, SLEEP, bench, layouts, soon, state_of, unit, until

pytestmark = pytest.mark.root

LAYOUTS = layouts()
LIMITING = {
    name: layout
    for name, layout in LAYOUTS.items()
    if layout.kind in (Kind.HYBRID, Kind.V1) or name == "v2"
}
NAME = "test.service"
HOG = [
    sys.executable,
    "-I",
    "-S",
    "-c",
    "held = [bytearray(1 << 20) for _ in range(256)]",  # ends by itself where nothing holds it
]


@pytest.fixture(params=LAYOUTS.values(), ids=list(LAYOUTS))
def any_bench(request):
    with bench(request.param) as made:
        yield made


@pytest.fixture(params=LIMITING.values(), ids=list(LIMITING))
def limiting_bench(request):
    with bench(request.param) as made:
        yield made


def test_limits_can_be_read_back_from_the_kernel(limiting_bench):
    made = limiting_bench
    assert made.controller.create(unit("MemoryMax=64M\nCPUQuota=150%\nTasksMax=20")) == []
    child = made.start(NAME, SLEEP)
    assert made.text(NAME, "memory.max", "memory", "memory.limit_in_bytes") == str(64 << 20)
    assert made.text(NAME, "cpu.max", "cpu", "cpu.cfs_quota_us") in ("150000 100000", "150000")
    assert made.text(NAME, "pids.max", "pids", "pids.max") == "20"
    assert made.controller.pids(NAME) == [child.pid]
    usage = made.controller.usage(NAME)
    assert usage.memory_max == 64 << 20
    assert usage.tasks_max == 20
    assert usage.tasks == 1


def test_limits_change_while_the_unit_runs(limiting_bench):
    made = limiting_bench
    made.controller.create(unit("MemoryMax=64M"))
    child = made.start(NAME, SLEEP)
    assert made.controller.set_limits(unit("MemoryMax=32M\nTasksMax=9\nCPUQuota=20%")) == []
    assert made.text(NAME, "memory.max", "memory", "memory.limit_in_bytes") == str(32 << 20)
    assert made.text(NAME, "cpu.max", "cpu", "cpu.cfs_quota_us") in ("20000 100000", "20000")
    assert made.text(NAME, "pids.max", "pids", "pids.max") == "9"
    for path in made.controller.paths(NAME).procs:
        assert Path(path).read_text().split() == [str(child.pid)], path
    assert made.controller.set_limits(unit("")) == []
    assert made.controller.usage(NAME).memory_max is None
    assert made.controller.usage(NAME).tasks_max is None
    assert made.text(NAME, "cpu.max", "cpu", "cpu.cfs_quota_us") in ("max 100000", "-1")
    assert child.poll() is None


def test_a_hog_is_killed_and_counted(limiting_bench):
    made = limiting_bench
    struck = []

    async def scenario():
        made.controller.create(unit("MemoryMax=24M"))
        made.controller.oom.watch(NAME, lambda: struck.append(NAME))
        child = made.start(NAME, HOG)
        await soon(lambda: child.poll() is not None, "the hog is killed")
        assert child.returncode == -signal.SIGKILL
        await soon(lambda: struck, "the callback comes")
        assert made.controller.oom.kills(NAME) == 1
        assert made.controller.oom.news(NAME) == 1
        assert made.controller.oom.news(NAME) == 0
        again = made.another()
        assert again.oom.news(NAME) == 0, "an old story for a new manager"
        made.controller.remove(NAME)
        made.controller.close()

    asyncio.run(scenario())


def test_a_limit_set_later_makes_oom_kills_known(limiting_bench):
    made = limiting_bench
    struck = []

    async def scenario():
        made.controller.create(unit(""))
        made.controller.oom.watch(NAME, lambda: struck.append(NAME))
        assert made.controller.set_limits(unit("MemoryMax=24M")) == []
        child = made.start(NAME, HOG)
        await soon(lambda: child.poll() is not None and struck, "the kill is told")
        made.controller.remove(NAME)
        made.controller.close()

    asyncio.run(scenario())


def test_the_tasks_limit_stops_forks(limiting_bench):
    made = limiting_bench
    made.controller.create(unit("TasksMax=3"))
    code = (
        "import os, time\n"
        "made = 0\n"
        "try:\n"
        "    while made < 20:\n"
        "        if not os.fork(): time.sleep(1000)\n"
        "        made += 1\n"
        "except OSError: pass\n"
        "print(made, flush=True)\n"
        "time.sleep(1000)\n"
    )
    child = made.start(NAME, [sys.executable, "-I", "-S", "-c", code])
    assert child.stdout.readline().strip() == "2"
    made.controller.kill(NAME, signal.SIGKILL)


def test_a_percentage_is_of_the_machine(limiting_bench):
    made = limiting_bench
    made.controller.create(unit("MemoryMax=10%"))
    page = os.sysconf("SC_PAGE_SIZE")
    expected = os.sysconf("SC_PHYS_PAGES") * page // 10
    assert abs(made.controller.usage(NAME).memory_max - expected) <= expected // 100


def test_a_limit_without_its_controller_is_told():
    for name in ("v2 without controllers", "none"):
        if name not in LAYOUTS:
            continue
        with bench(LAYOUTS[name]) as made:
            problems = made.controller.create(unit("MemoryMax=64M\nTasksMax=5"))
            assert len(problems) == 2
            assert "MemoryMax" in problems[0]
            assert made.controller.describe()


def test_a_unit_without_limits_joins_no_v1_hierarchy():
    if "hybrid" not in LAYOUTS:
        pytest.skip("no hybrid layout")
    with bench(LAYOUTS["hybrid"]) as made:
        made.controller.create(unit(""))
        assert made.controller.paths(NAME).procs == ()
        assert made.controller.describe() == []


def test_sigkill_takes_the_whole_tree_with_escapers(any_bench):
    made = any_bench
    made.controller.create(unit(""))
    child = made.start(NAME, ESCAPE, invocation="e" * 32)
    escaper = int(child.stdout.readline())
    child.wait()
    other = made.start(NAME, SLEEP, invocation="e" * 32)
    both = sorted([escaper, other.pid])
    until(lambda: sorted(made.controller.pids(NAME)) == both, "who is between them has gone")
    assert made.controller.unit_of(escaper) == NAME
    made.controller.kill(NAME, signal.SIGKILL)
    until(lambda: not processes.is_alive(escaper), "the escaper is gone")
    other.wait()
    until(lambda: made.controller.is_empty(NAME), "the unit is empty")


def test_other_signals_spare_whom_they_should_and_wake_the_stopped(any_bench):
    made = any_bench
    made.controller.create(unit(""))
    first, second = made.start(NAME, SLEEP), made.start(NAME, SLEEP)
    first.send_signal(signal.SIGSTOP)
    until(lambda: state_of(first.pid) == "T", "it is stopped")
    made.controller.kill(NAME, signal.SIGTERM, spare=(second.pid,))
    assert first.wait() == -signal.SIGTERM
    assert second.poll() is None
    made.controller.kill(NAME, signal.SIGKILL, spare=(second.pid,))
    assert second.poll() is None
    assert made.controller.pids(NAME) == [second.pid]


def test_sigstop_is_not_undone(any_bench):
    made = any_bench
    made.controller.create(unit(""))
    child = made.start(NAME, SLEEP)
    made.controller.kill(NAME, signal.SIGSTOP)
    until(lambda: state_of(child.pid) == "T", "it is stopped")
    made.controller.kill(NAME, signal.SIGKILL)


def test_emptiness_is_told_once_the_last_process_is_gone(any_bench):
    made = any_bench

    async def scenario():
        told = []
        made.controller.create(unit(""))
        first, second = made.start(NAME, SLEEP), made.start(NAME, SLEEP)
        made.controller.watch_empty(NAME, lambda: told.append(1))
        first.kill()
        first.wait()
        await asyncio.sleep(0.05)
        assert told == []
        second.kill()
        second.wait()
        await soon(lambda: told, "told")
        await asyncio.sleep(0.05)
        assert told == [1]
        made.controller.watch_empty(NAME, lambda: told.append(2))
        assert told == [1]
        await soon(lambda: told == [1, 2], "an empty unit is told as well")
        made.controller.remove(NAME)
        made.controller.close()

    asyncio.run(scenario())


def test_emptiness_is_told_without_inotify(any_bench, monkeypatch):
    made = any_bench

    def used_up(*_):
        raise OSError(errno.ENOSPC, "no watches left")

    async def scenario():
        told = []
        monkeypatch.setattr(FileWatch, "add", used_up)
        made.controller.create(unit("MemoryMax=64M") if made.layout.v1 else unit(""))
        made.controller.oom.watch(NAME, lambda: None)
        child = made.start(NAME, SLEEP)
        made.controller.watch_empty(NAME, lambda: told.append(1))
        await asyncio.sleep(0.02)
        assert told == []
        child.kill()
        child.wait()
        await soon(lambda: told == [1], "told")
        made.controller.remove(NAME)
        made.controller.close()

    asyncio.run(scenario())


def test_where_no_base_can_be_made_there_are_no_cgroups(tmp_path):
    (tmp_path / "file").touch()
    layout = Layout(Kind.V2, v2_mount=str(tmp_path / "file"))
    controller = ResourceController(layout, os.getpid(), "gitproc-test")
    controller.prepare()
    assert "cannot make cgroup" in controller.describe()[0]
    assert controller.create(unit("")) == []
    assert controller.paths(NAME).directory == ""
    assert controller.is_empty(NAME)


def test_no_news_of_emptiness_after_the_watch_was_taken_back(any_bench):
    made = any_bench

    async def scenario():
        told = []
        made.controller.create(unit(""))
        child = made.start(NAME, SLEEP)
        made.controller.watch_empty(NAME, lambda: told.append(1))
        made.controller.unwatch_empty(NAME)
        child.kill()
        child.wait()
        await asyncio.sleep(0.1)
        assert told == []
        made.controller.close()

    asyncio.run(scenario())


def test_a_process_forked_late_holds_the_watch(any_bench):
    made = any_bench
    code = (
        "import os, signal, time\n"
        "signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])\n"
        "print('ready', flush=True)\n"
        "signal.sigwait([signal.SIGUSR1])\n"
        "if os.fork(): os._exit(0)\n"
        "print(os.getpid(), flush=True)\n"
        "time.sleep(1000)\n"
    )

    async def scenario():
        told = []
        made.controller.create(unit(""))
        child = made.start(NAME, [sys.executable, "-I", "-S", "-c", code])
        assert await asyncio.to_thread(child.stdout.readline) == "ready\n"
        made.controller.watch_empty(NAME, lambda: told.append(1))
        await asyncio.sleep(0)
        child.send_signal(signal.SIGUSR1)
        late = int(await asyncio.to_thread(child.stdout.readline))
        child.wait()
        await asyncio.sleep(0.1)
        assert told == []
        os.kill(late, signal.SIGKILL)
        await soon(lambda: told, "told")
        made.controller.remove(NAME)
        made.controller.close()

    asyncio.run(scenario())


def test_a_busy_group_is_removed_a_moment_later():
    layout = next(iter(LAYOUTS.values()))
    if layout.kind is Kind.NONE:
        pytest.skip("no cgroups")

    async def scenario(made):
        child = made.start(NAME, SLEEP)
        made.controller.remove(NAME)
        assert made.controller.existing() == [NAME]
        await asyncio.sleep(0.2)  # a busy host buries its dead late
        child.kill()
        child.wait()
        await soon(lambda: made.controller.existing() == [], "it is removed")
        assert made.controller.paths(NAME).procs == ()
        made.controller.close()

    with bench(layout) as made:
        made.controller.create(unit("MemoryMax=64M"))
        Path(made.controller.paths(NAME).directory, "inner/deep").mkdir(parents=True)
        asyncio.run(scenario(made))


def test_who_begins_anew_keeps_the_group_however_often_it_was_to_go():
    layout = next(iter(LAYOUTS.values()))
    if layout.kind is Kind.NONE:
        pytest.skip("no cgroups")

    async def scenario(made):
        faults = []
        asyncio.get_running_loop().set_exception_handler(lambda _, what: faults.append(what))
        child = made.start(NAME, SLEEP)
        made.controller.remove(NAME)
        made.controller.remove(NAME)
        child.kill()
        child.wait()
        until(lambda: made.controller.is_empty(NAME), "it is empty")
        made.controller.create(unit(""))  # for a process that is about to be made
        due = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_later(0.2, due.set_result, None)  # after what waited
        await due
        assert made.controller.existing() == [NAME]
        assert faults == []
        made.controller.remove(NAME)
        await soon(lambda: made.controller.existing() == [], "it is removed")
        made.controller.close()

    with bench(layout) as made:
        made.controller.create(unit(""))
        asyncio.run(scenario(made))


def test_a_new_manager_finds_the_groups_as_they_are(any_bench):
    made = any_bench
    if made.layout.kind is Kind.NONE:
        pytest.skip("nothing outlives the manager without cgroups")
    made.controller.create(unit("MemoryMax=64M" if "memory" in made.layout.v1 else ""))
    child = made.start(NAME, SLEEP)
    again = made.another()
    assert again.existing() == [NAME]
    assert again.pids(NAME) == [child.pid]
    assert again.unit_of(child.pid) == NAME
    assert again.paths(NAME) == made.controller.paths(NAME)
    assert not again.is_empty(NAME)
    assert again.create(unit("")) == []
    assert child.poll() is None


def test_processes_elsewhere_are_no_units(any_bench):
    made = any_bench
    assert made.controller.unit_of(os.getpid()) is None
    assert made.controller.unit_of(2**22 + 1) is None


def test_usage_grows_with_what_is_used(any_bench):
    made = any_bench
    made.controller.create(unit(""))
    code = "held = bytearray(30 << 20)\nprint(1, flush=True)\nwhile True: pass"
    child = made.start(NAME, [sys.executable, "-I", "-S", "-c", code])
    child.stdout.readline()
    until(lambda: made.controller.usage(NAME).cpu_seconds > 0.02, "CPU time is counted")
    usage = made.controller.usage(NAME)
    assert 30 << 20 < usage.memory < 100 << 20
    assert usage.tasks == 1
    assert usage.memory_max is None


@pytest.mark.parametrize(
    "name",
    [
        "cgroup.procs.service",
        "memory.max.service",
        "tasks.service",
        "_under.service",
        "daemon.service",
        "a.target.service",
        r"a\x2db@c:d.service",
    ],
)
def test_odd_names_get_groups_of_their_own(any_bench, name):
    made = any_bench
    made.controller.create(unit("", name))
    child = made.start(name, SLEEP)
    assert made.controller.pids(name) == [child.pid]
    assert made.controller.unit_of(child.pid) == name
    assert made.controller.existing() == [name]


@pytest.mark.parametrize(
    "name", ["../evil.service", "a/b.service", "..", ".", "", "a\nb.service", "a\0.service"]
)
def test_hostile_names_touch_nothing(any_bench, name):
    made = any_bench
    if made.layout.kind is Kind.NONE:
        pytest.skip("no paths are made")
    for act in (
        made.controller.pids,
        made.controller.remove,
        made.controller.paths,
        lambda name: made.controller.kill(name, signal.SIGKILL),
    ):
        with pytest.raises(HostError, match="not a unit name"):
            act(name)


@pytest.mark.parametrize("name", ["", "..", "a/b", "cgroup.x", "_x"])
def test_the_base_has_a_plain_name(name):
    with pytest.raises(HostError, match="not a name"):
        ResourceController(next(iter(LAYOUTS.values())), os.getpid(), name)
