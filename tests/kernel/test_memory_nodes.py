"""Where a program's memory may lie, on machines with more than one node of it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.kernel.parts import bench_with, unit

pytestmark = pytest.mark.root

NODES = [int(x.name[4:]) for x in Path("/sys/devices/system/node").glob("node[0-9]*")]
#: Says where its memory may lie, and for each node that it is given whether the kernel takes the wish to have it there
#: (set_mempolicy(2), MPOL_BIND).
ASKS = """
import ctypes, sys
libc = ctypes.CDLL(None, use_errno=True)
status = dict(line.split(":") for line in open("/proc/self/status"))
said = [status["Mems_allowed_list"].strip()]
for node in map(int, sys.argv[1:]):
    mask = ctypes.c_ulong(1 << node)
    done = libc.syscall(238, 2, ctypes.byref(mask), ctypes.c_ulong(64))
    said.append("taken" if done == 0 else str(ctypes.get_errno()))
print(*said)
"""


@pytest.fixture
def made():
    with bench_with("cpuset") as found:
        yield found


@pytest.mark.skipif(len(NODES) < 2, reason="all memory is one node")
def test_a_node_that_is_not_allowed_is_refused(made):
    first, second = sorted(NODES)[:2]
    argv = [sys.executable, "-I", "-S", "-c", ASKS, str(first), str(second)]
    said = {}
    for name, text in {"a.service": f"AllowedMemoryNodes={first}", "b.service": ""}.items():
        assert made.controller.create(unit(text, name)) == []
        said[name] = made.start(name, argv).stdout.read().split()
    assert said["a.service"] == [str(first), "taken", "22"]
    assert said["b.service"][1:] == ["taken", "taken"]
