"""Limits of disks, measured: bytes that the kernel counted over the time they took."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from gitproc.errors import HostError
from gitproc.kernel.disks import disk_of
from tests.kernel.parts import bench_with, on_disk, unit, until

pytestmark = pytest.mark.root

MIB = 1 << 20
READ = """
import mmap, os, sys
page = mmap.mmap(-1, 1 << 16)
file = os.open(sys.argv[1], os.O_RDONLY | os.O_DIRECT)
print("ready", flush=True)
while True:
    if os.readv(file, [page]) <= 0: os.lseek(file, 0, os.SEEK_SET)
"""


@pytest.fixture
def made():
    with bench_with("io") as found:
        yield found


@pytest.fixture
def file(tmp_path):
    return on_disk(tmp_path / "file", 4 * MIB)


def test_paths_mean_disks(file):
    assert disk_of(str(file)) == disk_of(str(file.parent))
    assert Path(f"/sys/dev/block/{disk_of(str(file))}").exists()
    with pytest.raises(HostError, match="no disk"):
        disk_of("/proc")
    with pytest.raises(HostError, match="No such file"):
        disk_of("/dev/no-such-disk")


def test_reads_are_slowed_and_let_go(made, file):
    name = "test.service"
    limited = unit(f"IOReadBandwidthMax={file} 2M")
    problems = made.controller.create(limited)
    assert problems == []
    child = made.start(name, [sys.executable, "-I", "-S", "-c", READ, str(file)])
    assert child.stdout.readline() == "ready\n"

    def count():
        return made.controller.details(name).io_read or 0

    def rate(least):
        began, before = time.monotonic(), count()
        until(lambda: count() - before > least and time.monotonic() - began > 2, "it reads")
        return (count() - before) / (time.monotonic() - began)

    rates = []

    def now(fits):
        rates.append(rate(MIB))
        return fits(rates[-1])

    until(lambda: now(lambda x: 0.8e6 < x < 3.2e6), "it is slowed", 25)
    slow = rates[-1]
    print(f"IOReadBandwidthMax=2M: {slow / 1e6:.2f} MB/s")
    assert made.controller.differing_limits(limited) == []
    assert made.controller.set_limits(unit("")) == []
    until(lambda: now(lambda x: x > 2 * slow), "it is let go", 25)
    print(f"without: {rates[-1] / 1e6:.2f} MB/s")


#: Does a number of equal steps again and again, and says each time how many seconds they took.
STEPS = """
import mmap, os, sys, time
what, path, count, size = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
page = mmap.mmap(-1, size)
file = os.open(path, os.O_RDWR | os.O_DIRECT)
do = os.preadv if what == "read" else os.pwritev
while True:
    began = time.monotonic()
    for number in range(count): do(file, [page], number * size)
    print(f"{time.monotonic() - began:.3f}", flush=True)
"""


@pytest.mark.parametrize(
    ("limit", "what", "size"),
    [
        ("IOReadBandwidthMax={} 1M", "read", 1 << 16),
        ("IOWriteBandwidthMax={} 1M", "write", 1 << 16),
        ("IOReadIOPSMax={} 20", "read", 1 << 12),
        ("IOWriteIOPSMax={} 20", "write", 1 << 12),
    ],
)
def test_what_takes_seconds_with_a_limit_is_done_at_once_without(made, file, limit, what, size):
    """30 steps: two megabytes, or as many operations as take a second and a half at 20 a second."""
    name = "test.service"
    assert made.controller.create(unit(limit.format(file))) == []
    argv = [sys.executable, "-I", "-S", "-c", STEPS, what, str(file), "30", str(size)]
    child = made.start(name, argv)
    slow = float(child.stdout.readline())
    assert made.controller.set_limits(unit("")) == []
    took = [slow]

    def let_go():
        took.append(float(child.stdout.readline()))
        return took[-1] < slow / 4

    until(let_go, "it is let go")
    print(f"{limit}: {slow} s, without {took[-1]} s")
    assert slow > 1


def test_what_the_kernel_lacks_is_said(made, file):
    problems = made.controller.create(unit(f"IODeviceLatencyTargetSec={file} 10ms\nIOWeight=50"))
    lacking = [x for x in problems if "not enforced" in x]
    assert lacking == problems
    for text in problems:
        assert text.startswith(("IODeviceLatencyTargetSec=", "IOWeight="))
