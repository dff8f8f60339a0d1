"""What settings mean in the kernel's words."""

from __future__ import annotations

import pytest

from gitproc.errors import HostError
from gitproc.kernel.knobs import plain, ranges, wishes_of
from gitproc.kernel.limits import host_memory
from gitproc.units.diagnostics import Location
from gitproc.units.specifiers import Host
from gitproc.units.unit import Setting, Unit
from tests.kernel.parts import unit

DISKS = {"/dev/vda": "8:0", "/srv": "8:0", "/dev/vdb": "8:16"}


def disk_of(path):
    if path not in DISKS:
        raise HostError(f"{path} lies on no disk of its own")
    return DISKS[path]


def budget(text, name="a.slice"):
    settings = []
    for line in text.splitlines():
        key, _, value = line.partition("=")
        settings.append(Setting(f"Slice.{key}", value, *Location(name, 1)))
    return Unit(name, name, settings, Host())


def asked(text, *above):
    """`file text` of what is asked for."""
    found = wishes_of(unit(text), above, disk_of)
    lines = []
    for knob in found.asked:
        lines += [f"{knob.file} {knob.text}".strip()] if knob.text else []
        lines += [f"{knob.file} {disk} {line}" for disk, line in sorted(knob.by_disk.items())]
    return [*lines, *found.problems]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("MemoryMin=1M\nMemoryLow=2M", ["memory.min 1048576", "memory.low 2097152"]),
        ("MemoryHigh=infinity\nMemoryMax=1M", ["memory.high max", "memory.max 1048576"]),
        ("MemoryLimit=1M", ["memory.max 1048576"]),
        ("MemorySwapMax=0\nMemoryZSwapMax=0", ["memory.swap.max 0", "memory.zswap.max 0"]),
        ("MemoryZSwapWriteback=no", ["memory.zswap.writeback 0"]),
        ("MemoryZSwapWriteback=yes", []),
        ("OOMPolicy=kill", ["memory.oom.group 1"]),
        ("CPUWeight=20", ["cpu.weight 20"]),
        ("CPUWeight=idle", ["cpu.idle 1"]),
        ("CPUShares=512", ["cpu.weight 50"]),
        ("CPUShares=512\nCPUWeight=7", ["cpu.weight 7"]),
        ("CPUQuota=20%", ["cpu.max 20000 100000"]),
        ("CPUQuota=20%\nCPUQuotaPeriodSec=10ms", ["cpu.max 2000 10000"]),
        ("CPUQuotaPeriodSec=10ms", []),
        ("AllowedCPUs=0-2 5\nAllowedMemoryNodes=0", ["cpuset.cpus 0-2,5", "cpuset.mems 0"]),
        ("TasksMax=5", ["pids.max 5"]),
        ("IOWeight=7\nIODeviceWeight=/dev/vdb 9", ["io.weight 7", "io.weight 8:16 9"]),
        ("BlockIOWeight=1000", ["io.weight 200"]),
        ("BlockIODeviceWeight=/dev/vdb 1000", ["io.weight 100", "io.weight 8:16 200"]),
        (
            "IOWriteBandwidthMax=/dev/vdb 2M",
            ["io.max 8:16 rbps=max wbps=2000000 riops=max wiops=max"],
        ),
        (
            "BlockIOReadBandwidth=/dev/vdb 1M",
            ["io.max 8:16 rbps=1000000 wbps=max riops=max wiops=max"],
        ),
        (
            "BlockIOWriteBandwidth=/dev/vdb 2M",
            ["io.max 8:16 rbps=max wbps=2000000 riops=max wiops=max"],
        ),
        (
            "IOReadBandwidthMax=/dev/vda 1M\nIOWriteIOPSMax=/srv 5\nIOReadIOPSMax=/dev/vdb 6",
            [
                "io.max 8:0 rbps=1000000 wbps=max riops=max wiops=5",
                "io.max 8:16 rbps=max wbps=max riops=6 wiops=max",
            ],
        ),
        ("IOReadBandwidthMax=/dev/vda 1M\nIOReadBandwidthMax=/dev/vda infinity", []),
        ("IODeviceLatencyTargetSec=/dev/vda 5ms", ["io.latency 8:0 target=5000"]),
        (
            "IOReadBandwidthMax=/proc 1M",
            ["IOReadBandwidthMax= is not enforced: /proc lies on no disk of its own"],
        ),
    ],
)
def test_knobs(text, expected):
    assert asked(text) == expected


def test_a_knob_is_called_what_the_unit_calls_it():
    """What cannot be had is told by the names that stand in the unit."""
    found = wishes_of(unit("BlockIOWeight=1000\nIODeviceWeight=/srv 9"), (), disk_of)
    assert [x.directive for x in found.asked] == ["BlockIOWeight=, IODeviceWeight"]


def test_percentages_are_of_the_machine():
    assert asked("MemoryHigh=50%") == [f"memory.high {host_memory() // 2}"]


def test_slices_give_their_units_what_these_do_not_set():
    outer, inner = budget("DefaultMemoryLow=1M\nDefaultMemoryMin=1M"), budget("DefaultMemoryMin=2M")
    assert asked("", inner, outer) == ["memory.min 2097152", "memory.low 1048576"]
    assert asked("MemoryLow=0", inner, outer) == ["memory.min 2097152", "memory.low 0"]
    assert not plain(unit(""), (inner,))
    assert plain(unit(""), (budget("MemoryMax=1M"),))
    assert [x.file for x in wishes_of(budget("MemoryMax=1M"), (), disk_of).asked] == ["memory.max"]


def test_a_plain_unit_is_known_for_one():
    assert plain(unit("Restart=always"), ())
    assert not plain(unit("IOAccounting=yes"), ())


@pytest.mark.parametrize(
    ("numbers", "text"), [((), ""), ((3,), "3"), ((0, 1, 2, 5, 7, 6), "0-2,5-7")]
)
def test_ranges(numbers, text):
    assert ranges(numbers) == text
