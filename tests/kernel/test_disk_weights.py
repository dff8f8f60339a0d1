"""Shares of a disk: how much of it each of two programs gets that read it as fast as they can."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gitproc.kernel.disk_weights import bfq_weight, hear, heard, tell, told
from gitproc.kernel.disks import disk_of
from gitproc.kernel.knobs import Knob
from gitproc.kernel.live_limits import Reading
from tests.kernel.parts import bench_with, layouts, unit, until

MIB = 1 << 20
READ = """
import mmap, os, sys
page = mmap.mmap(-1, 1 << 16)
file = os.open(sys.argv[1], os.O_RDONLY | os.O_DIRECT)
began = at = int(sys.argv[2]) << 20
print("ready", flush=True)
while True:
    os.preadv(file, [page], at)
    at = at + len(page) if at < began + (3 << 20) else began
"""


@pytest.mark.parametrize(
    ("weight", "bfq"), [(1, 1), (50, 50), (100, 100), (500, 136), (5000, 545), (10000, 1000)]
)
def test_weights_on_the_scale_of_bfq(weight, bfq):
    assert bfq_weight(weight) == bfq
    assert told(str(weight)) == str(bfq)
    assert heard(str(bfq), str(weight)) == str(weight)


def test_a_weight_of_bfqs_that_nobody_asked_for():
    assert (told("default"), told("")) == ("default", "")
    assert heard("136", "100") == "496"
    assert heard("50", "") == "50"


def test_whoever_shares_disks_out_is_told(tmp_path):
    knob = Knob("IOWeight", "io", "io.weight", "5000", True, {"8:0": "300"})
    with pytest.raises(FileNotFoundError):
        tell(str(tmp_path), knob)
    files = {"io.weight": "default 5000\n8:0 300\n", "io.bfq.weight": "default 545\n8:0 100\n"}
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    tell(str(tmp_path), knob)
    assert (tmp_path / "io.weight").read_text() == files["io.weight"], "as it was"
    assert (tmp_path / "io.bfq.weight").read_text().startswith("8:0 118"), "what was written last"
    assert hear(str(tmp_path), knob) == Reading("5000", {"8:0": "300"})
    (tmp_path / "io.weight").unlink()
    (tmp_path / "io.bfq.weight").write_text("default 545\n8:0 118\n")
    assert hear(str(tmp_path), knob) == Reading("5000", {"8:0": "300"})


@pytest.fixture
def made():
    with bench_with("io") as found:
        yield found


def by_bfq(device):
    """Has the BFQ scheduler share a disk out; what ends that."""
    queue = Path("/sys/block", Path(device).name, "queue")
    if "bfq" not in (queue / "scheduler").read_text():
        pytest.skip("no BFQ")
    # Weights are kept to whatever else would be quicker.
    for name, text in (
        ("scheduler", "bfq"),
        ("rotational", "1"),
        ("iosched/strict_guarantees", "1"),
        ("iosched/low_latency", "0"),
        ("iosched/slice_idle_us", "50000"),
    ):
        (queue / name).write_text(text)
    return lambda: None


def by_cost(device):
    """Has the kernel share a disk out, by what 4 MB a second cost; what ends that."""
    top = Path(layouts()["v2"].v2_mount) if "v2" in layouts() else Path("/nonexistent")
    if not (top / "io.cost.qos").exists():
        pytest.skip("the kernel does not share by cost here")
    at = disk_of(device)
    speed = " ".join(f"{x}bps=4000000 {x}seqiops=64 {x}randiops=64" for x in "rw")
    (top / "io.cost.model").write_text(f"{at} ctrl=user model=linear {speed}")
    (top / "io.cost.qos").write_text(f"{at} enable=1 ctrl=user min=100 max=100")
    return lambda: (top / "io.cost.qos").write_text(f"{at} enable=0")


@pytest.fixture(params=[by_bfq, by_cost])
def disk(tmp_path, request):
    """A loop device, read around the cache, that is shared out among groups."""
    image = tmp_path / "disk"
    image.write_bytes(os.urandom(8 * MIB))
    if shutil.which("modprobe"):
        subprocess.run(["modprobe", "-q", "-a", "loop", "bfq"], check=False)
    loop = ["losetup", "--find", "--show", "--direct-io=on", image]
    done = subprocess.run(loop, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"no loop device: {done.stderr}")
    device = done.stdout.strip()
    end = None
    try:
        end = request.param(device)
        yield device
    finally:
        if end is not None:
            end()
        subprocess.run(["losetup", "--detach", device], check=True)


@pytest.mark.root
@pytest.mark.timeout(200)
@pytest.mark.parametrize(
    ("directive", "light", "heavy"),
    [
        ("IOWeight={}", 20, 1000),
        ("BlockIOWeight={}", 100, 1000),
        ("IODeviceWeight={disk} {}", 20, 1000),
        ("BlockIODeviceWeight={disk} {}", 100, 1000),
    ],
)
def test_disks_are_shared_as_weighted(made, disk, directive, light, heavy):
    """Tenfold with the weights, and alike without them."""
    counted, asked = "IOAccounting=yes\n", {}
    for name, weight in (("a.service", light), ("b.service", heavy)):
        asked[name] = unit(counted + directive.format(weight, disk=disk), name)
        problems = made.controller.create(asked[name])
        if any("not enforced" in x for x in problems):
            pytest.skip(f"BFQ does not know groups: {problems}")
        assert problems == []
        assert made.controller.differing_limits(asked[name]) == []

    def read():
        return [made.controller.details(name).io_read or 0 for name in asked]

    def until_times(fits, what):
        """Until b reads so many times as much as a in a while."""
        children = []
        for place, name in enumerate(asked):
            argv = [sys.executable, "-I", "-S", "-c", READ, disk, str(place * 4)]
            children.append(made.start(name, argv))
            assert children[-1].stdout.readline() == "ready\n"

        def times():
            began, before = time.monotonic(), read()
            until(lambda: time.monotonic() - began > 1 and sum(read()) > sum(before), "they read")
            few, many = (now - then for now, then in zip(read(), before, strict=True))
            print(f"{directive}, {what}: {few / 1e6:.0f} and {many / 1e6:.0f} MB")
            return many / max(few, 1)

        until(lambda: fits(times()), what, 80)
        for child in children:
            child.kill()
            child.wait()

    until_times(lambda times: times > 3, f"{light} and {heavy}")
    for name in asked:
        assert made.controller.set_limits(unit(counted, name)) == []
    until_times(lambda times: 0.4 < times < 2.5, "without")
