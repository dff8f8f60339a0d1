"""Limits and slices with a whole daemon: enforced by the kernel, changed live, found again after a crash."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest

from gitproc.errors import HostError
from gitproc.kernel.disks import disk_of
from tests.e2e.harness import service, until
from tests.e2e.test_processes import PYTHON
from tests.kernel.parts import state_of

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
    assert machine.pids() == {name: pids[name] for name in ("a", "b")}, "live"
    assert "/other.slice/a\n" in Path(f"/proc/{pids['a']}/cgroup").read_text()
    until(lambda: not group.exists(), "the slice's groups are gone")


def test_a_unit_is_moved_with_everybody_in_it_whatever_happens_to_the_manager(machine):
    """From slice to slice and back, the manager killed at any moment: nobody stays behind, stopped or frozen."""
    command = "/bin/sh -c '/bin/sleep 1000 & /bin/sleep 1000 & wait'"
    place = {"p.slice": "p.slice/a", "q-r.slice": "q.slice/q-r.slice/a", "-.slice": "a"}
    files = {
        "p.slice": slice_file("TasksMax=40"),
        "q.slice": slice_file("TasksMax=30\nMemoryMax=300M"),
        "a.service": service(command, "Slice=p.slice"),
    }
    machine.deploy(files)
    main = machine.pids()["a"]
    until(lambda: len(members(machine, "a")) == 3, "all have started")
    everybody = members(machine, "a")
    for number, name in enumerate([*place, *place, *place]):
        files["a.service"] = service(command, f"Slice={name}\nTasksMax=2{number}")
        sha = machine.commit(files)
        if number % 3:
            if number % 3 == 2:
                until(lambda name=name: group_is(machine, place[name]), "its group is made")
            machine.kill_manager()
        machine.verdict(sha)
        assert machine.pids()["a"] == main
        until(lambda: len(tracked(machine, "a")) == 1, "the former group is gone")
        assert members(machine, "a") == everybody
        for pid in everybody:
            lines = Path(f"/proc/{pid}/cgroup").read_text().splitlines()
            ours = {x.partition(f"/{machine.group}/")[2] for x in lines if machine.group in x}
            assert ours == {place[name]}, lines
            until(lambda pid=pid: state_of(pid) == "S", "it sleeps as before")
        frozen = tracked(machine, "a")[0] / "cgroup.events"
        assert not frozen.exists() or "frozen 0" in frozen.read_text()
        assert knob(machine, "a", "pids.max", "pids", "pids.max") == f"2{number}"
        assert "limit" not in machine.gitproc("diff").out
    assert "Slice" in machine.events("unit.limits-changed", "a.service")[-1]["message"]


def group_is(machine, place):
    return any(str(x).endswith(f"/{machine.group}/{place}") for x in machine.groups())


def tracked(machine, unit):
    """The groups of a unit in the tree by which it is known."""
    known = machine.group_of(unit).parts[4]
    return [x for x in machine.groups() if x.name == unit and x.parts[4] == known]


def members(machine, unit):
    return sorted(map(int, (machine.group_of(unit) / "cgroup.procs").read_text().split()))


def test_what_is_handed_over_is_not_moved(machine):
    """Delegate= is handed over live; from then on the place is its owner's to know, and another is a restart."""
    if "cgroup2" not in Path("/proc/self/mountinfo").read_text():
        pytest.skip("no unified tree")
    machine.deploy({"a.service": service()})
    before = machine.pids()["a"]

    def planned(settings):
        machine.repository.git("branch", "-f", "next")
        machine.repository.git("checkout", "-q", "next")
        machine.repository.commit({"a.service": service(settings=settings)})
        machine.repository.git("checkout", "-q", machine.repository.branch)
        entries = json.loads(machine.gitproc("--json", "plan", "next").out)
        return [x["action"] for x in entries["actions"] if x["unit"] == "a.service"]

    given = "Delegate=yes\nDelegateSubgroup=own"
    assert planned(given) == ["live"]
    machine.deploy({"a.service": service(settings=given)})
    assert machine.pids()["a"] == before
    assert Path(f"/proc/{before}/cgroup").read_text().splitlines()[-1].endswith("/a/own")
    assert planned("Delegate=cpu\nDelegateSubgroup=own") == ["live"]
    assert planned(f"{given}\nSlice=s.slice") == ["restart"]
    assert planned("Delegate=yes\nDelegateSubgroup=other") == ["restart"]
    assert planned("") == ["restart"]
    machine.deploy({"a.service": service(settings=f"{given}\nSlice=s.slice")})
    after = machine.pids()["a"]
    assert after != before
    assert Path(f"/proc/{after}/cgroup").read_text().splitlines()[-1].endswith("/s.slice/a/own")


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


def test_a_smaller_budget_of_a_slice_holds_for_all_in_it_and_a_larger_one_gives_theirs_back(
    machine,
):
    """Live, at any depth, over a crash; with v1 hierarchies, which refuse a group more than is around it, as well."""
    inner = {
        "a-b.slice": slice_file("CPUQuota=150%"),
        "x.service": service(settings="Slice=a-b-c.slice\nCPUQuota=120%"),
    }

    def quotas():
        groups = [machine.group_of(name, "cpu") for name in ("a.slice", "a-b.slice", "x")]
        old, new = "cpu.cfs_quota_us", "cpu.max"
        return [(x / (old if (x / old).exists() else new)).read_text().split()[0] for x in groups]

    machine.deploy({"a.slice": slice_file("CPUQuota=200%"), **inner})
    pids = machine.pids()
    whole = ["200000", "150000", "120000"]
    assert quotas() == whole
    machine.deploy({"a.slice": slice_file("CPUQuota=50%")})
    outer, *below = quotas()
    assert outer == "50000" and below in (["-1", "-1"], whole[1:])
    assert "as the commit says" in machine.gitproc("diff").out
    machine.kill_manager()
    machine.deploy({"a.slice": slice_file("TasksMax=50")})
    assert quotas()[1:] == whole[1:]
    assert "as the commit says" in machine.gitproc("diff").out
    assert machine.pids()["x"] == pids["x"]


GUARDED = """
import os, signal, socket, sys, time
def look():
    said = []
    try:
        open("/dev/full").close()
        said.append("device")
    except OSError:
        pass
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as it:
        for address in ("127.0.0.1", "127.9.9.9"):
            try:
                it.sendto(b"x", (address, 9))
                said.append(address)
            except PermissionError:
                pass
            except OSError:
                said.append(address)
    print(*said, "looked", flush=True)
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
while True:
    look()
    signal.sigwait([signal.SIGUSR1])
"""


def test_guards_hold_change_live_and_survive_the_manager(machine):
    machine.repository.write({"guarded.py": GUARDED})
    command = f"{PYTHON} ${{GITPROC_TREE}}/guarded.py"
    strict = "DevicePolicy=strict\nDeviceAllow=/dev/null rw\nDeviceAllow=/dev/urandom r"
    closed = f"{strict}\nIPAddressDeny=any\nIPAddressAllow=127.0.0.1"
    machine.deploy({"a.service": service(command, closed)})
    pid = machine.pids()["a"]

    until(lambda: "looked" in machine.log("a"), "it takes signals")

    def look():
        lines = machine.log("a").count("looked")
        os.kill(pid, signal.SIGUSR1)
        until(lambda: machine.log("a").count("looked") > lines, "it has looked")
        return machine.log("a").splitlines()[-1].split()[:-1]

    assert look()[-1] == "127.0.0.1"
    assert "device" not in look()
    machine.kill_manager()
    assert "127.9.9.9" not in look()
    plan = {"a.service": service(command, f"{closed} 127.9.9.9\nDeviceAllow=/dev/full rw")}
    machine.deploy(plan)
    assert {"device", "127.0.0.1", "127.9.9.9"} <= set(look())
    machine.deploy(
        {
            "a.service": service(command, "Slice=s.slice\nDevicePolicy=closed"),
            "s.slice": slice_file("IPAddressDeny=127.9.0.0/16"),
        }
    )
    assert machine.pids()["a"] == pid, "live"
    assert "127.9.9.9" not in look()
    machine.deploy({"s.slice": slice_file("TasksMax=50")})
    assert "127.9.9.9" in look()
    assert machine.pids()["a"] == pid


DELEGATED = """
import os, sys, time
mine = [x for x in open("/proc/self/cgroup").read().split() if x.startswith("0::")][0][3:]
top = os.environ["TOP"] + mine
os.mkdir(f"{top}/own")
print("made", mine, flush=True)
for name, text in (("memory.max", "max"), ("pids.max", "max"), ("cgroup.freeze", "0")):
    try:
        open(f"{os.path.dirname(top)}/{name}", "w").write(text)
        print("wrote", name, flush=True)
    except OSError:
        pass
try:
    open(f"{os.path.dirname(os.path.dirname(top))}/cgroup.procs", "w").write("0")
    print("escaped", flush=True)
except OSError as error:
    print("held", flush=True)
try:
    for number in range(5000):
        os.mkdir(f"{top}/own/{number}")
    print("boundless", flush=True)
except OSError as error:
    print("bounded", flush=True)
time.sleep(1000)
"""
THREADED = """
import os, time
mine = [x for x in open("/proc/self/cgroup").read().split() if x.startswith("0::")][0][3:]
top = os.environ["TOP"] + mine
os.mkdir(f"{top}/threads")
open(f"{top}/threads/cgroup.type", "w").write("threaded")
print("made", flush=True)
time.sleep(1000)
"""


def test_a_group_that_is_handed_over(machine):
    machine.root.chmod(0o711)  # somebody else is to read the script
    mounts = Path("/proc/self/mountinfo").read_text().splitlines()
    top = next(x.split()[4] for x in mounts if " - cgroup2 " in x)
    machine.repository.write({"own.py": DELEGATED, "threaded.py": THREADED})
    settings = (
        "User=nobody\nDelegate=yes\nDelegateSubgroup=payload\n"
        f"Environment=TOP={top}\nExecReload=/bin/grep 0:: /proc/self/cgroup"
    )
    threaded = settings.replace("DelegateSubgroup=payload\n", "")
    machine.deploy(
        {
            "a.service": service(f"{PYTHON} ${{GITPROC_TREE}}/own.py", settings),
            "t.service": service(f"{PYTHON} ${{GITPROC_TREE}}/threaded.py", threaded),
        }
    )
    until(lambda: "bound" in machine.log("a"), "it has tried")
    said = machine.log("a")
    assert "boundless" not in said
    assert "/a/payload" in said
    assert "wrote" not in said
    assert "escaped" not in said
    assert machine.gitproc("reload", "a").status == 0
    until(lambda: "/a/.control" in machine.log("a"), "the command ran beside")
    pid = machine.pids()["a"]
    machine.kill_manager()
    assert machine.pids()["a"] == pid
    until(lambda: "made" in machine.log("t"), "it has a threaded group")
    reloaded = machine.gitproc("reload", "t")
    assert "the cgroup takes no process: it is in threaded mode" in reloaded.err
    assert machine.gitproc("stop", "a", "t").status == 0


def test_what_is_used_is_shown(machine):
    eat = f'{PYTHON} -c "x = bytearray(30 << 20); import time; print(1, flush=1); time.sleep(1000)"'
    machine.deploy(
        {
            "a.service": service(eat, "Slice=s.slice\nMemoryMax=200M\nTasksMax=50"),
            "b.service": service(settings="Slice=s-t.slice"),
            "c.service": service(),
            "s.slice": slice_file("MemoryMax=300M"),
        }
    )
    until(lambda: machine.log("a"), "it has eaten")
    assert int(machine.unit("a")["memory"]) > 30 << 20
    shown = dict(
        line.split("=", 1) for line in machine.gitproc("show", "a").out.splitlines() if "=" in line
    )
    assert 30 << 20 < int(shown["MemoryCurrent"]) <= int(shown["MemoryPeak"]) < 200 << 20
    assert int(shown["CPUUsageNSec"]) > 0
    assert (shown["TasksCurrent"], shown["Slice"], shown["OOMKills"]) == ("1", "s.slice", "0")
    assert shown["ControlGroup"].endswith("/s.slice/a")
    rows = {x["unit"]: x for x in machine.ask("top")["result"]["units"]}
    assert rows["s.slice"]["tasks"] == 2
    assert rows["s-t.slice"]["tasks"] == 1
    assert rows["-.slice"]["tasks"] == 3
    assert rows["-.slice"]["memory"] >= rows["s.slice"]["memory"] * 0.9  # counted otherwise
    assert rows["s.slice"]["memory"] >= rows["a.service"]["memory"] > 30 << 20
    assert rows["s-t.slice"]["slice"] == "s.slice"
    assert rows["-.slice"]["slice"] == ""
    lines = machine.gitproc("top", "-n", "2", "-d", "0.1", "--sort", "memory").out.splitlines()
    assert lines[0].split()[:3] == ["UNIT", "TASKS", "%CPU"]
    assert len([x for x in lines if "a.service" in x]) == 2
    first = [x.split()[0] for x in lines[1:4]]
    assert first.index("a.service") < 3
    assert "b.service" not in first
    assert machine.gitproc("top", "-n", "0").status == 2


HOG = """
import signal, time
def eat(*_):
    held = []
    while True:
        held.append(bytearray(1 << 20))
signal.signal(signal.SIGUSR1, eat)
print("ready", flush=True)
while True:
    signal.pause()
"""


def test_the_oom_killer_is_named_after_a_crash_of_the_manager_and_by_the_limit_of_a_slice(machine):
    machine.repository.write({"hog.py": HOG})
    command = f"{PYTHON} ${{GITPROC_TREE}}/hog.py"
    machine.deploy(
        {
            "own.service": service(command, "MemoryMax=40M"),
            "in.service": service(command, "Slice=s.slice"),
            "beside.service": service(settings="Slice=s.slice"),
            "s.slice": slice_file("MemoryMax=60M"),
        }
    )
    pids = machine.pids()
    for name in ("own", "in"):
        until(lambda name=name: "ready" in machine.log(name), "it is ready")
    machine.kill_manager()
    for name in ("own", "in"):
        os.kill(pids[name], signal.SIGUSR1)
        assert machine.wait(name, "failed")["result"] == "oom-kill"
    assert machine.pids()["beside"] == pids["beside"]


def test_a_slice_that_was_stopped_limits_its_units_again(machine):
    machine.deploy(
        {"s.slice": slice_file("TasksMax=40"), "a.service": service(settings="Slice=s.slice")}
    )
    pid = machine.pids()["a"]
    assert machine.gitproc("stop", "s.slice").status == 0
    assert machine.unit("a")["active_state"] == "inactive"
    assert machine.gitproc("start", "s.slice").status == 0
    machine.wait("a", "running")
    assert machine.pids()["a"] != pid
    assert of_slice(machine, "a", "pids.max", "pids", "pids.max") == "40"


READS = """
import mmap, os, sys, time
page, file = mmap.mmap(-1, 1 << 16), os.open(sys.argv[1], os.O_RDONLY | os.O_DIRECT)
while True:
    os.preadv(file, [page], 0)
    time.sleep(0.05)
"""


def test_what_is_read_from_disks_is_told_of_those_that_count_it(machine, tmp_path):
    file = tmp_path / "file"
    file.write_bytes(bytes(1 << 16))
    os.sync()
    try:
        disk_of(str(file))
        os.close(os.open(file, os.O_RDONLY | os.O_DIRECT))
    except (HostError, OSError) as error:
        pytest.skip(f"no disk: {error}")

    def told(prop):
        return machine.gitproc("show", "a", "-p", prop).out.strip().partition("=")[2]

    machine.repository.write({"reads.py": READS})
    command = f"{PYTHON} ${{GITPROC_TREE}}/reads.py {file}"
    machine.deploy({"a.service": service(command)})
    pids = machine.pids()
    assert told("IOReadBytes") == told("IOReadOperations") == "[not set]"
    assert "IO:" not in machine.gitproc("status", "a").out
    machine.deploy({"a.service": service(command, "IOAccounting=yes")})
    assert machine.pids() == pids, "live"
    until(lambda: int(told("IOReadBytes")) >= 3 << 16, "its reads are counted")
    assert int(told("IOReadOperations")) >= 3
    assert "IO:" in machine.gitproc("status", "a").out
