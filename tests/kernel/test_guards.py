"""Devices and addresses, guarded by the kernel: tried by processes in real groups."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from gitproc.kernel import bpf, cgroup_v2, device_nodes, guards
from gitproc.kernel.bpf import Hook
from gitproc.units.device_access import DeviceRule
from tests.kernel.parts import bench, layouts, unit, until
from tests.kernel.test_knobs import budget

DEVICES = """Character devices:
  1 mem
  5 /dev/tty
136 pts
137 ptsx

Block devices:
  8 sd
 65 sd
"""
TRY_DEVICES = """
import os, stat, sys
for path, mode in (("/dev/null", "w"), ("/dev/zero", "r"), ("/dev/full", "r"), ("/dev/full", "w")):
    try:
        open(path, mode).close()
        print("can", path, mode)
    except OSError as error:
        print("cannot", path, mode)
try:
    os.mknod(sys.argv[1], stat.S_IFCHR | 0o600, os.makedev(1, 11))
    print("can mknod")
except OSError:
    print("cannot mknod")
"""
TRY_ADDRESSES = """
import socket, sys
for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET, "127.9.9.9"), (socket.AF_INET6, "::1")):
    with socket.socket(family, socket.SOCK_DGRAM) as it:
        try:
            it.sendto(b"x", (address, 9))
            print("can", address)
        except PermissionError:
            print("cannot", address)
        except OSError as error:
            print(error)
"""


@pytest.mark.parametrize(
    ("wanted", "pattern", "majors"),
    [
        ("char", "pts", ["c 136:* rw"]),
        ("char", "pts*", ["c 136:* rw", "c 137:* rw"]),
        ("block", "sd", ["b 8:* rw", "b 65:* rw"]),
        ("block", "mem", []),
        ("char", "sd", []),
    ],
)
def test_groups_of_devices(wanted, pattern, majors):
    found = device_nodes.parse_devices(DEVICES, wanted, pattern, "rw")
    assert [str(node) for node in found] == majors


def test_what_policies_leave():
    rule = DeviceRule("/dev/full", "r")
    assert device_nodes.nodes_of("auto", ()) is None
    strict = device_nodes.nodes_of("strict", (rule,))
    assert strict is not None
    assert [str(x) for x in strict.allowed] == ["c 1:7 r"]
    for policy in ("auto", "closed"):
        found = device_nodes.nodes_of(policy, (rule,))
        assert found is not None
        assert {"c 1:3 rwm", "c 1:9 rwm", "c 1:7 r"} <= {str(x) for x in found.allowed}
    gone = device_nodes.nodes_of("strict", (DeviceRule("/dev/no-such", "r"),))
    assert gone is not None
    assert not gone.allowed
    assert "no such device" in gone.problems[0]


def test_lists_of_slices_add_up():
    outer = budget("IPAddressDeny=any")
    inner = unit("IPAddressAllow=localhost\nIPAddressDeny=10.0.0.0/8")
    found = guards.addresses_of(inner, (outer,))
    assert found is not None
    assert found.allow == ("127.0.0.0/8", "::1/128")
    assert found.deny == ("10.0.0.0/8", "0.0.0.0/0", "::/0")
    assert guards.addresses_of(unit("IPAddressAllow=localhost"), ()) is None


@pytest.mark.parametrize(("jump", "offset"), [(1, 0), (2, 1)])
def test_jumps_are_counted_from_the_next_instruction(jump, offset):
    it = bpf.Assembler()
    it.go("end")
    for _ in range(jump - 1):
        it.set(0, 1)
    it.label("end")
    it.end(0)
    assert int.from_bytes(it.code()[2:4], sys.byteorder) == offset
    it.go("nowhere")
    with pytest.raises(KeyError):
        it.code()


@pytest.fixture
def group():
    """A group of the unified tree."""
    mounts = Path("/proc/self/mountinfo").read_text().splitlines()
    top = next((x.split()[4] for x in mounts if " - cgroup2 " in x), None)
    if top is None:
        pytest.skip("no unified tree")
    path = Path(top, f"gitproc-test-{os.getpid()}")
    path.mkdir()
    yield path
    until(lambda: cgroup_v2.remove(str(path)), "it is removed")


def inside(group, code, *args):
    def join():
        (group / "cgroup.procs").write_text("0")

    command = [sys.executable, "-I", "-S", "-c", code, *args]
    done = subprocess.run(command, preexec_fn=join, capture_output=True, text=True, check=False)
    assert not done.stderr
    return done.stdout.splitlines()


@pytest.mark.root
def test_devices_are_guarded_and_the_guard_changes_under_a_process(group, tmp_path):
    node = str(tmp_path / "node")
    for text, refused in (
        ("DevicePolicy=closed", ["cannot mknod"]),
        ("DevicePolicy=strict\nDeviceAllow=/dev/null rwm\nDeviceAllow=/dev/full r",
         ["cannot /dev/zero r", "cannot /dev/full w", "cannot mknod"]),
        ("DevicePolicy=strict\nDeviceAllow=char-mem rw", ["cannot mknod"]),
        ("DeviceAllow=char-mem m", []),
        ("", []),
    ):  # fmt: skip
        wanted = unit(text)
        guards.apply(str(group), wanted, (), Hook)
        assert guards.differences(str(group), wanted, ()) == []
        said = inside(group, TRY_DEVICES, node)
        assert [x for x in said if x.startswith("cannot")] == refused, text
        Path(node).unlink(missing_ok=True)
    assert guards.differences(str(group), unit("DevicePolicy=closed"), ()) == [
        "DevicePolicy is not in force"
    ]


@pytest.mark.root
def test_addresses_are_guarded_and_a_group_below_does_not_escape(group):
    every = ["can 127.0.0.1", "can 127.9.9.9", "can ::1"]
    if not socket.has_ipv6 or inside(group, TRY_ADDRESSES) != every:
        pytest.skip("no loopback of both families")
    below = group / "below"
    below.mkdir()
    try:
        for text, refused in (
            ("IPAddressDeny=any", every),
            ("IPAddressDeny=any\nIPAddressAllow=127.0.0.1", every[1:]),
            ("IPAddressDeny=127.9.0.0/16 ::/0\nIPAddressAllow=::1", every[1:2]),
            ("IPAddressDeny=10.0.0.0/8", []),
        ):
            guards.apply(str(group), unit(text), (), Hook)
            expected = [x.replace("can", "cannot") if x in refused else x for x in every]
            for place in (group, below):
                assert inside(place, TRY_ADDRESSES) == expected, (text, place)
        guards.apply(str(below), unit("IPAddressAllow=any"), (), Hook)
        guards.apply(str(group), unit("IPAddressDeny=any"), (), Hook)
        assert inside(below, TRY_ADDRESSES) == [x.replace("can", "cannot") for x in every]
    finally:
        below.rmdir()


@pytest.mark.root
def test_programs_of_others_stay(group):
    handle = os.open(group, os.O_RDONLY)
    try:
        program = bpf.load(bpf.Kind.CGROUP_DEVICE, guards.device_program(()), "other")
        bpf.attach(handle, Hook.DEVICE, program)
        os.close(program)
        guards.apply(str(group), unit("DevicePolicy=closed"), (), Hook)
        assert len(bpf.attached(handle, Hook.DEVICE)) == 2
        guards.apply(str(group), unit(""), (), Hook)
        assert [*bpf.attached(handle, Hook.DEVICE).values()] == ["other"]
    finally:
        os.close(handle)


@pytest.mark.root
def test_without_a_unified_tree_the_devices_controller_guards_and_addresses_are_told_about(
    tmp_path,
):
    found = layouts()
    if "v1" not in found or "devices" not in found["v1"].v1:
        pytest.skip("no devices controller of version 1")
    code = TRY_DEVICES.replace("sys.argv[1]", repr(str(tmp_path / "node")))
    with bench(found["v1"]) as made:
        strict = unit("DevicePolicy=strict\nDeviceAllow=/dev/null rw\nIPAddressDeny=any")
        made.controller.create(strict)
        said = made.controller.restrict(strict, fresh=True)
        assert said.problems == ("IPAddressDeny= is not enforced: there is no unified cgroup tree",)
        command = [sys.executable, "-I", "-S", "-c", code]
        child = made.start("test.service", command)
        lines = child.communicate()[0].splitlines()
        assert "can /dev/null w" in lines
        assert "cannot /dev/zero r" in lines
        assert "cannot mknod" in lines
        assert made.controller.restrict(unit("")).problems == ()
        child = made.start("test.service", command)
        assert "cannot" not in child.communicate()[0]
