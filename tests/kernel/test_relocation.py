"""A unit that runs is taken to another slice, on this machine's hierarchies."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from gitproc.kernel import cgroup_v2
from gitproc.kernel.cgroup_layout import Kind
from gitproc.kernel.resource_controller import ResourceController
from gitproc.units.unit import Unit
from tests.kernel.parts import SLEEP, bench, layouts, soon, state_of, unit, until
from tests.kernel.test_knobs import budget

pytestmark = pytest.mark.root

LAYOUTS = {name: x for name, x in layouts().items() if x.kind is not Kind.NONE}
NAME = "x.service"
#: Forks away at once, and again, each parent ending: whoever is looked at is gone, and its child is not.
BREED = [sys.executable, "-I", "-S", "-c", "import os\nwhile True:\n    if os.fork(): os._exit(0)"]
#: Takes memory until it is killed, or has ten times what it may, once it is told to.
HOG = [sys.executable, "-I", "-S", "-c", """
import signal
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
print("ready", flush=True)
signal.sigwait([signal.SIGUSR1])
kept = []
while len(kept) < 256: kept.append(bytearray(1 << 20))
"""]  # fmt: skip


@pytest.fixture(params=LAYOUTS.values(), ids=list(LAYOUTS))
def parts(request):
    """A bench, the slices that are up, and the units that are being launched."""
    with bench(request.param) as found:
        slices: dict[str, Unit] = {}
        launching: list[str] = []
        found.controller = ResourceController(
            found.layout, os.getpid(), found.name, slices.get, launching.__contains__
        )
        found.controller.prepare()
        yield found, slices, launching


@pytest.fixture
def made(parts):
    return parts[0]


@pytest.fixture
def up(parts):
    def bring(text, name):
        parts[1][name] = budget(text, name)
        return parts[0].controller.set_limits(parts[1][name])

    return bring


def groups_of(made, pid):
    """The paths below our base in which a process is, by hierarchy."""
    lines = Path(f"/proc/{pid}/cgroup").read_text().splitlines()
    ours = (line.split(":", 2) for line in lines)
    return {
        controllers: path.partition(f"/{made.name}/")[2]
        for _, controllers, path in ours
        if f"/{made.name}/" in path
    }


def groups_left(made, path):
    """The groups that exist at a path below our base, in any hierarchy."""
    controller = made.controller
    places = [f"{controller._base}/{path}"] if controller._base else []
    if controller._v1 is not None:
        places += [controller._v1.path(x, path) for x in controller._v1._bases]
    return [x for x in places if Path(x).is_dir()]


def test_the_same_processes_go_to_another_slice_and_back(made, up):
    controller = made.controller
    up("", "a.slice"), up("", "b.slice")
    controller.create(unit("Slice=a.slice", NAME))
    children = [made.start(NAME, SLEEP) for _ in range(3)]
    at = {x.pid for x in children}
    for text, path in (
        ("Slice=b-c.slice", "b.slice/b-c.slice/x"),
        ("", "x"),
        ("Slice=a.slice", "a.slice/x"),
    ):
        before = controller._places.path(NAME)
        assert controller.set_limits(unit(text, NAME)) == []
        assert set(controller.pids(NAME)) == at
        assert groups_left(made, before) == []
        assert controller.unit_of(children[0].pid) == NAME
        assert all(set(groups_of(made, pid).values()) == {path} for pid in at)
        assert controller.existing() == [NAME]
    assert all(child.poll() is None for child in children)
    assert not controller._places.former


def test_the_budget_of_the_new_slice_holds_at_once_and_that_of_the_old_no_more(made, up):
    controller = made.controller
    if not controller._limits.has("pids"):
        pytest.skip("no pids controller")
    up("TasksMax=20", "a.slice"), up("TasksMax=5\nMemoryMax=64M", "b.slice")
    controller.create(unit("Slice=a.slice\nTasksMax=10", NAME))
    child = made.start(NAME, SLEEP)
    assert controller.set_limits(unit("Slice=b.slice\nTasksMax=9", NAME)) == []
    assert made.text(NAME, "pids.max", "pids", "pids.max") == "9"
    assert (controller.usage("a.slice").tasks or 0, controller.usage("b.slice").tasks) == (0, 1)
    assert controller.differing_limits(unit("Slice=b.slice\nTasksMax=9", NAME)) == []
    assert controller.set_limits(unit("", NAME)) == []
    assert made.text(NAME, "pids.max", "pids", "pids.max") in ("max", "")
    assert controller.usage("b.slice").tasks in (0, None)
    assert child.poll() is None


def test_nobody_is_left_behind_who_forks_meanwhile(made, up):
    controller = made.controller
    up("", "a.slice"), up("", "b.slice")
    controller.create(unit("Slice=a.slice", NAME))
    made.start(NAME, BREED)
    made.start(NAME, BREED)

    def gone(path):
        with suppress(ChildProcessError):  # those that have ended come to us, and there are many
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        controller._relocation.sweep(NAME)
        return groups_left(made, path) == []

    for _ in range(10):
        for name in ("b", "a"):
            before = controller._places.path(NAME)
            assert controller.set_limits(unit(f"Slice={name}.slice", NAME)) == []
            until(lambda: len(controller.pids(NAME)) >= 2, "both go on")
            until(lambda x=before: gone(x), "the former place is gone")


def test_groups_that_it_has_made_itself_are_its_own_no_more(made, up):
    """Without Delegate= they are nobody's: everybody comes along, into the unit's group."""
    controller = made.controller
    up("", "a.slice")
    controller.create(unit("", NAME))
    child = made.start(NAME, SLEEP)
    inner = f"{controller.tree}/x/inner"
    Path(inner).mkdir()
    cgroup_v2.write(inner, "cgroup.procs", str(child.pid))
    assert controller.set_limits(unit("Slice=a.slice", NAME)) == []
    assert set(groups_of(made, child.pid).values()) == {"a.slice/x"}
    assert groups_left(made, "x") == []


def test_a_launch_under_way_may_still_arrive_at_the_former_place(made, up, parts):
    controller = made.controller
    up("", "a.slice")
    limited = "TasksMax=50\n" if controller._limits.has("pids") else ""
    controller.create(unit(limited, NAME))
    first = made.start(NAME, SLEEP)
    paths = controller.paths(NAME)
    parts[2].append(NAME)
    assert controller.set_limits(unit(f"{limited}Slice=a.slice", NAME)) == []
    files = [*paths.procs, f"{paths.directory}/cgroup.procs" if paths.directory else ""]
    assert all(Path(x).exists() for x in files if x)
    late = made.start(NAME, SLEEP)
    for path in filter(None, files):
        Path(path).write_text(str(late.pid))
    between = made.start(
        NAME, SLEEP
    )  # moved while it was being set up: it joins the other hierarchies later
    for path in paths.procs:
        Path(path).write_text(str(between.pid))
    parts[2].clear()
    controller.attach(NAME, "0" * 32, late.pid)
    assert sorted(controller.pids(NAME)) == sorted([first.pid, late.pid, between.pid])
    for each in (late, between):
        assert set(groups_of(made, each.pid).values()) == {"a.slice/x"}
    assert groups_left(made, "x") == []


@pytest.mark.parametrize(("asked", "place"), [("Slice=a.slice", "a.slice/x"), ("", "x")])
def test_a_manager_that_ends_on_the_way_has_its_successor_finish(made, up, parts, asked, place):
    """Also where a commit has taken it back meanwhile: the former slice is asked for again."""
    controller = made.controller
    up("", "a.slice")
    controller.create(unit("", NAME))
    children = [made.start(NAME, SLEEP) for _ in range(2)]
    old, new = (f"{controller.tree}/{x}" for x in ("x", "a.slice/x"))
    Path(new).mkdir(parents=True)
    cgroup_v2.freeze(old, True)
    cgroup_v2.write(new, "cgroup.procs", str(children[0].pid))
    again = made.controller = ResourceController(made.layout, os.getpid(), made.name, parts[1].get)
    again.prepare()
    assert again.existing() == [NAME]
    assert again.settle(unit(asked, NAME)) == []
    assert sorted(again.pids(NAME)) == sorted(x.pid for x in children)
    for child in children:
        assert set(groups_of(made, child.pid).values()) == {place}
        until(lambda child=child: state_of(child.pid) == "S", "it goes on")
    assert groups_left(made, {"x": "a.slice/x", "a.slice/x": "x"}[place]) == []
    assert not cgroup_v2.read_key(f"{controller.tree}/{place}", "cgroup.events", "frozen")


def test_a_unit_that_cannot_be_moved_stays_where_it_was(made, up):
    """A group in a threaded tree takes no process."""
    controller = made.controller
    if not controller._base:
        pytest.skip("no unified tree")
    up("TasksMax=10" if controller._limits.has("pids") else "", "a.slice")
    controller.create(unit("Slice=a.slice", NAME))
    children = [made.start(NAME, SLEEP) for _ in range(2)]
    Path(f"{controller._base}/b.slice/threads").mkdir(parents=True)
    cgroup_v2.write(f"{controller._base}/b.slice/threads", "cgroup.type", "threaded")
    (problem,) = controller.set_limits(unit("Slice=b.slice", NAME))
    assert problem.startswith("Slice= takes effect with the next start only: ")
    assert "Slice= is not in force: its group is a.slice/x" in controller.differing_limits(
        unit("Slice=b.slice", NAME)
    )
    assert set(controller.pids(NAME)) == {x.pid for x in children}
    for child in children:
        assert set(groups_of(made, child.pid).values()) == {"a.slice/x"}
        until(lambda child=child: state_of(child.pid) == "S", "it goes on")
    assert groups_left(made, "b.slice/x") == []
    Path(f"{controller._base}/b.slice/threads").rmdir()
    assert controller._limits.base and groups_left(made, "a.slice/x")


def test_who_watches_it_watches_on(made, up):
    """Its emptiness and its OOM kills are told after the move as they were before."""
    controller, told = made.controller, []
    up("", "a.slice")
    limited = "MemoryMax=24M" if controller._limits.has("memory") else ""

    async def scenario():
        controller.create(unit(limited, NAME))
        child = made.start(NAME, HOG)
        assert child.stdout.readline() == "ready\n"
        controller.watch_empty(NAME, lambda: told.append("empty"))
        if limited:
            controller.oom.watch(NAME, lambda: told.append("struck"))
        assert controller.set_limits(unit(f"{limited}\nSlice=a.slice", NAME)) == []
        await asyncio.sleep(0)
        assert told == []
        if limited:
            child.send_signal(signal.SIGUSR1)
            await soon(lambda: "struck" in told, "the kill is told")
            assert controller.oom.news(NAME) == 1
        else:
            child.kill()
        child.wait()
        await soon(lambda: "empty" in told, "its end is told")
        controller.remove(NAME)
        controller.close()

    asyncio.run(scenario())


def test_a_unit_without_a_group_gets_none(made, up):
    """It waits for its restart: its next instance begins where it belongs."""
    up("", "a.slice")
    assert made.controller.set_limits(unit("Slice=a.slice", NAME)) == []
    assert groups_left(made, "a.slice/x") == []
    made.controller.create(unit("Slice=a.slice", NAME))
    assert groups_left(made, "a.slice/x")


def test_what_an_earlier_instance_left_elsewhere_is_found_by_the_next(made, up, parts):
    """Nobody knew of it but its group: who lives there is a stranger of this instance, and the group goes."""
    up("", "a.slice")
    made.controller.create(unit("", NAME))
    child = made.start(NAME, SLEEP)
    again = ResourceController(made.layout, os.getpid(), made.name, parts[1].get)
    again.prepare()
    again.create(unit("Slice=a.slice", NAME))
    assert not again.is_empty(NAME)
    assert again.pids(NAME) == [child.pid]
    assert groups_left(made, "x") == []
    made.controller = again


def test_a_running_unit_is_handed_its_group(made):
    """Delegate= is live: who runs is put into the group that is named for it; nobody else moves them later."""
    controller = made.controller
    if not controller._base:
        pytest.skip("no unified tree")
    controller.create(unit("User=nobody", NAME))
    child = made.start(NAME, SLEEP)
    assert (
        controller.set_limits(unit("User=nobody\nDelegate=yes\nDelegateSubgroup=own", NAME)) == []
    )
    group = Path(controller._base, "x")
    assert groups_of(made, child.pid)[""] == "x/own"
    assert {p.stat().st_uid for p in (group, group / "cgroup.procs", group / "own")} == {65534}
    (group / "mine").mkdir()
    cgroup_v2.write(str(group / "mine"), "cgroup.procs", str(child.pid))
    assert (
        controller.set_limits(unit("User=nobody\nDelegate=pids\nDelegateSubgroup=own", NAME)) == []
    )
    assert groups_of(made, child.pid)[""] == "x/mine"
