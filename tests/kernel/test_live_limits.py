"""Limits as they are against limits as they should be: what differs by more than the kernel's rounding."""

from __future__ import annotations

import pytest

from gitproc.kernel.limits import Limits
from gitproc.kernel.live_limits import differences, read_limits

MIB = 1 << 20
NONE = {"MemoryMax": None, "CPUQuota": None, "TasksMax": None}


@pytest.mark.parametrize(
    ("live", "wanted", "said"),
    [
        (NONE, Limits(), []),
        ({**NONE, "MemoryMax": 64 * MIB}, Limits(64 * MIB + 5), []),
        ({**NONE, "MemoryMax": 32 * MIB}, Limits(64 * MIB), ["MemoryMax is 32M, and 64M in the commit"]),
        (NONE, Limits(3 << 30), ["MemoryMax is infinity, and 3G in the commit"]),
        ({**NONE, "MemoryMax": 4097}, Limits(), ["MemoryMax is 4097, and infinity in the commit"]),
        ({**NONE, "CPUQuota": 0.333}, Limits(cpu=0.333), []),
        ({**NONE, "CPUQuota": 0.2}, Limits(cpu=1.5), ["CPUQuota is 20%, and 150% in the commit"]),
        ({**NONE, "TasksMax": 5}, Limits(tasks=6), ["TasksMax is 5, and 6 in the commit"]),
        ({"CPUQuota": None}, Limits(64 * MIB, tasks=6), []),
    ],
)  # fmt: skip
def test_differences(live, wanted, said):
    assert differences(live, wanted) == said


def test_limits_of_the_unified_tree(tmp_path):
    for name, text in (("memory.max", "1048576"), ("cpu.max", "50000 100000"), ("pids.max", "max")):
        (tmp_path / name).write_text(text + "\n")
    every = frozenset({"memory", "cpu", "pids"})
    found = read_limits(str(tmp_path), every, None, "x")
    assert found == {"MemoryMax": MIB, "CPUQuota": 0.5, "TasksMax": None}
    assert read_limits(str(tmp_path), frozenset({"cpu"}), None, "x") == {"CPUQuota": 0.5}
