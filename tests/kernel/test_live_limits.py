"""Knobs as they are against knobs as they should be: what differs by more than the kernel's rounding."""

from __future__ import annotations

import pytest

from gitproc.kernel.enforcement import readings
from gitproc.kernel.knobs import Knob
from gitproc.kernel.live_limits import difference, parse

MIB = 1 << 20
RATES = "rbps=1000 wbps=max riops=max wiops=max"
OTHER = "IOWeight is 100, 8:0 50, and 100 in the commit"
RATED = f"8:0 {RATES} in the commit"


def knob(directive: str, file: str, text: str, **by_disk: str) -> Knob:
    lines = {disk.replace("_", ":")[1:]: line for disk, line in by_disk.items()}
    return Knob(directive, file.partition(".")[0], file, text, True, lines)


@pytest.mark.parametrize(
    ("wanted", "now", "said"),
    [
        (knob("MemoryMax", "memory.max", "max"), "max\n", ""),
        (knob("MemoryMax", "memory.max", f"{64 * MIB + 5}"), f"{64 * MIB}\n", ""),
        (knob("MemoryMax", "memory.max", f"{64 * MIB}"), f"{32 * MIB}\n", "MemoryMax is 32M, and 64M in the commit"),
        (knob("MemoryHigh", "memory.high", f"{3 << 30}"), "max\n", "MemoryHigh is infinity, and 3G in the commit"),
        (knob("MemoryMax", "memory.max", "max"), "4097\n", "MemoryMax is 4097, and infinity in the commit"),
        (knob("CPUQuota", "cpu.max", "33300 100000"), "33300 100000\n", ""),
        (knob("CPUQuota", "cpu.max", "150000 100000"), "20000 100000\n", "CPUQuota is 20%, and 150% in the commit"),
        (knob("CPUQuota", "cpu.max", "max 100000"), "max 50000\n", ""),
        (knob("CPUWeight", "cpu.weight", "20"), "100\n", "CPUWeight is 100, and 20 in the commit"),
        (knob("TasksMax", "pids.max", "6"), "5\n", "TasksMax is 5, and 6 in the commit"),
        (knob("AllowedCPUs", "cpuset.cpus", ""), "0-1\n", "AllowedCPUs is 0-1, and not set in the commit"),
        (knob("IOReadBandwidthMax", "io.max", "", _8_0=RATES), f"8:0 {RATES}\n", ""),
        (knob("IOReadBandwidthMax", "io.max", ""), "8:0 rbps=max wbps=max riops=max wiops=max\n", ""),
        (knob("IOReadBandwidthMax", "io.max", "", _8_0=RATES), "", f"IOReadBandwidthMax is not set, and {RATED}"),
        (knob("IOWeight", "io.weight", "100"), "default 100\n8:0 50\n", OTHER),
        (knob("IOWeight", "io.weight", "100", _8_0="50"), "default 100\n8:0 50\n", ""),
        (knob("IODeviceLatencyTargetSec", "io.latency", ""), "8:0 target=0\n", ""),
    ],
)  # fmt: skip
def test_differences(wanted, now, said):
    assert difference(wanted, parse(wanted.file, now)) == said


def test_only_what_the_group_has_is_read(tmp_path):
    for name, text in (("memory.max", "1048576"), ("cpu.max", "50000 100000"), ("pids.max", "max")):
        (tmp_path / name).write_text(text + "\n")
    knobs = (
        knob("MemoryMax", "memory.max", "max"),
        knob("MemoryHigh", "memory.high", "max"),
        knob("CPUQuota", "cpu.max", "max 100000"),
        knob("TasksMax", "pids.max", "max"),
    )
    every = frozenset({"memory", "cpu", "pids"})
    found = readings(str(tmp_path), knobs, every, None, "x")
    assert [(x.directive, now.text) for x, now in found] == [
        ("MemoryMax", "1048576"),
        ("CPUQuota", "50000 100000"),
        ("TasksMax", "max"),
    ]
    assert len(readings(str(tmp_path), knobs, frozenset({"cpu"}), None, "x")) == 1
