"""Inside the machine: what a unit asks of resource control is what the kernel has for its group, or is a warning."""

import os
from pathlib import Path

import pytest

from tests.vm.inside.machine import CGROUPS, commit, group, pid, run, up, wait_for

#: A line of [Service], the file of its group, and what the kernel shows there: {disk} is the root's.
ASKED = [
    ("MemoryMin=2M", "memory.min", "2097152"),
    ("MemoryLow=3M", "memory.low", "3145728"),
    ("MemoryHigh=64M", "memory.high", "67108864"),
    ("MemoryMax=65M", "memory.max", "68157440"),
    ("MemorySwapMax=1M", "memory.swap.max", "1048576"),
    ("MemoryZSwapMax=1M", "memory.zswap.max", "1048576"),
    ("MemoryZSwapWriteback=no", "memory.zswap.writeback", "0"),
    ("CPUShares=512", "cpu.weight", "50"),
    ("CPUWeight=idle", "cpu.idle", "1"),
    ("CPUQuota=30%\nCPUQuotaPeriodSec=50ms", "cpu.max", "15000 50000"),
    ("AllowedCPUs=0", "cpuset.cpus", "0"),
    ("AllowedMemoryNodes=0", "cpuset.mems", "0"),
    ("TasksMax=9", "pids.max", "9"),
    ("IOWeight=50", "io.weight", "default 50"),
    ("BlockIOWeight=1000", "io.weight", "default 200"),
    ("IODeviceWeight=/ 60", "io.weight", "{disk} 60"),
    ("BlockIODeviceWeight=/ 1000", "io.weight", "{disk} 200"),
    ("IOReadBandwidthMax=/ 2M", "io.max", "{disk} rbps=2000000 wbps=max riops=max wiops=max"),
    ("IOWriteBandwidthMax=/ 2M", "io.max", "{disk} rbps=max wbps=2000000 riops=max wiops=max"),
    ("BlockIOReadBandwidth=/ 3M", "io.max", "{disk} rbps=3000000 wbps=max riops=max wiops=max"),
    ("BlockIOWriteBandwidth=/ 3M", "io.max", "{disk} rbps=max wbps=3000000 riops=max wiops=max"),
    ("IOReadIOPSMax=/ 7", "io.max", "{disk} rbps=max wbps=max riops=7 wiops=max"),
    ("IOWriteIOPSMax=/ 7", "io.max", "{disk} rbps=max wbps=max riops=max wiops=7"),
    ("IODeviceLatencyTargetSec=/ 5ms", "io.latency", "{disk} target=5000"),
    ("IOAccounting=yes", "io.stat", ""),
    ("Slice=k.slice\nCPUWeight=30", "memory.low", "5242880"),
]
SLICE = (
    "[Slice]\nDefaultMemoryLow=5M\nDefaultMemoryMin=1M\n"
    "BlockIOReadBandwidth=/ 5M\nBlockIOWriteBandwidth=/ 6M\n"
)


def test_what_is_asked_for_is_what_the_kernel_has():
    up()
    files = {
        f"k{number}.service": f"[Service]\n{text}\nExecStart=/usr/bin/sleep infinity\n"
        for number, (text, _, _) in enumerate(ASKED)
    }
    commit({"k.slice": SLICE}, wanted=False)
    commit(files)
    device = Path("/").stat().st_dev
    disk = f"{os.major(device)}:{os.minor(device)}"
    wrong, lacking = [], []
    for number, (text, file, wanted) in enumerate(ASKED):
        name = f"k{number}"
        at = group(wait_for(lambda name=name: pid(name), 60))
        if not (at / file).exists():
            asked = text.partition("=")[0]
            lacking.append(asked)
            if f"{asked}= is not enforced" not in run("gitproc", "status", name, check=False):
                wrong.append((text, "is not said to be lacking"))
            continue
        found = (at / file).read_text().splitlines()
        if wanted.format(disk=disk) not in found and wanted:
            wrong.append((text, found))
    print("not in this kernel:", *lacking)
    at = group(pid(f"k{len(ASKED) - 1}"))
    assert (at / "memory.min").read_text() == f"{1 << 20}\n"
    if (of_slice := at.parent / "io.max").exists():
        assert of_slice.read_text().split()[1:3] == ["rbps=5000000", "wbps=6000000"]
    commit(dict.fromkeys([*files, "k.slice"]))
    wait_for(lambda: not any(pid(x.removesuffix(".service")) for x in files), 60)
    assert wrong == []
    assert len(lacking) < len(ASKED) / 2


CLOSED = "[Slice]\nDisableControllers=cpu memory\n"
PASSES_ON = (
    "[Service]\nSlice={}\nDelegate=yes\nDelegateSubgroup=own\nCPUWeight=70\n"
    "ExecStart=/bin/sh -c 'echo +cpu >/sys/fs/cgroup$$(sed s/^0::// /proc/self/cgroup)/../cgroup.subtree_control; "
    "exec /usr/bin/sleep infinity'\n"
)


@pytest.mark.timeout(300)
def test_a_controller_that_a_slice_keeps_back_is_nobodys_below():
    """A unit that its group is handed over to tries to have it, in vain; beside the slice it has."""
    up()
    files = {
        "closed.slice": CLOSED,
        "within.service": PASSES_ON.format("closed.slice"),
        "beside.service": PASSES_ON.format("open.slice"),
    }
    for name, text in files.items():
        commit({name: text}, wanted=name.endswith(".service"))
    tops = {}
    for name in ("within", "beside"):
        there = wait_for(lambda name=name: pid(name), 60)
        wait_for(lambda there=there: b"sleep" in _command(there))
        tops[name] = group(there).parent
    assert (tops["beside"] / "cpu.weight").read_text() == "70\n"
    assert "cpu" in (tops["beside"] / "cgroup.subtree_control").read_text().split()
    for controller in ("cpu", "memory"):
        assert controller not in (tops["within"] / "cgroup.controllers").read_text().split()
    assert not (tops["within"] / "cpu.weight").exists()
    assert "cpu" not in (tops["within"] / "cgroup.subtree_control").read_text().split()
    assert "pids" in (tops["within"] / "cgroup.controllers").read_text().split()
    assert str(tops["within"]).startswith(str(CGROUPS))
    commit(dict.fromkeys(files))
    wait_for(lambda: not pid("within") and not pid("beside"), 60)


def _command(process):
    return Path(f"/proc/{process}/cmdline").read_bytes().split(b"\0")[0]


HOG = (
    "[Service]\nMemoryHigh=24M\nTimeoutStopSec=1s\n"
    "ExecStart=/usr/bin/python3 -c 'x = bytearray(60 << 20); input()'\n"
)


@pytest.mark.timeout(300)
def test_who_is_above_memory_high_is_slowed_down():
    up()
    commit({"hungry.service": HOG})
    at = group(wait_for(lambda: pid("hungry"), 60))

    def throttled():
        words = (at / "memory.events").read_text().split()
        return int(words[words.index("high") + 1])

    wait_for(lambda: throttled() > 0, 60)
    commit({"hungry.service": None})
    wait_for(lambda: not pid("hungry"), 60)
