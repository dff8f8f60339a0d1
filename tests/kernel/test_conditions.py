"""Conditions tested for real: files of a folder, and what the kernel says of this machine."""

from __future__ import annotations

import os
import platform

import pytest

from gitproc.kernel import machine
from gitproc.kernel.conditions import check, mounts_missing
from gitproc.kernel.host import read_host
from gitproc.kernel.pressure import share
from gitproc.units.conditions import KINDS, parse_condition

HOST = read_host()


def holds(kind: str, value: str) -> bool:
    (found,) = check(parse_condition("Condition", kind, value), HOST)
    assert found.problem == "", found
    return found.met


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "full").write_text("x")
    (tmp_path / "empty").touch()
    (tmp_path / "program").write_text("#!/bin/sh\n")
    (tmp_path / "program").chmod(0o755)
    (tmp_path / "bare").mkdir()
    (tmp_path / "link").symlink_to("full")
    (tmp_path / "dangling").symlink_to("nothing")
    return tmp_path


@pytest.mark.parametrize(
    ("kind", "yes", "no"),
    [
        ("PathExists", "full empty bare link", "nothing dangling"),
        ("PathExistsGlob", "f* {nothing,full} b?re", "z* {x,y}"),
        ("PathIsDirectory", "bare .", "full nothing link"),
        ("PathIsSymbolicLink", "link dangling", "full bare nothing"),
        ("PathIsReadWrite", "full .", ""),
        ("DirectoryNotEmpty", ".", "bare nothing"),
        ("FileNotEmpty", "full link", "empty bare nothing"),
        ("FileIsExecutable", "program", "full bare nothing"),
        ("PathIsMountPoint", "", "full . nothing"),
        ("NeedsUpdate", ".", ""),
    ],
)
def test_paths(folder, kind, yes, no):
    for name in yes.split():
        assert holds(kind, f"{folder}/{name}"), name
        assert not holds(kind, f"!{folder}/{name}"), name
    for name in no.split():
        assert not holds(kind, f"{folder}/{name}"), name
        assert holds(kind, f"!{folder}/{name}"), name


def test_mount_points():
    assert holds("PathIsMountPoint", "/proc")
    assert holds("PathIsMountPoint", "/")
    assert not holds("PathIsMountPoint", "/proc/1")


def test_mounts_on_the_way_to_a_path(tmp_path):
    fstab = tmp_path / "fstab"
    fstab.write_text(
        "# comment\nproc /proc proc defaults 0 0\nx /srv/not\\040there ext4 defaults 0 2\n"
        "y /srv/later ext4 noauto,nofail 0 2\nz none swap sw 0 0\n\nbroken\n"
    )
    missing = {
        "/proc/x": [],
        "/srv/not there": ["/srv/not\\040there"],
        "/srv/not there/data": ["/srv/not\\040there"],
        "/srv/not therefore": [],
        "/srv/later/data": [],
        "/": [],
    }
    assert {path: mounts_missing(path, str(fstab)) for path in missing} == missing
    assert mounts_missing("/srv", str(tmp_path / "none")) == []


def test_an_update_that_was_made_need_not_be_made(folder):
    stamp = folder / ".updated"
    stamp.touch()
    assert holds("NeedsUpdate", str(folder)) is (
        os.lstat("/usr").st_mtime_ns > stamp.lstat().st_mtime_ns
    )
    os.utime(stamp, (0, 0))
    assert holds("NeedsUpdate", str(folder))


MEMORY = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
CPUS = len(os.sched_getaffinity(0))


@pytest.mark.parametrize(
    ("kind", "yes", "no"),
    [
        ("User", [str(os.getuid())], ["12345", "nosuchuser"]),
        ("Group", [str(os.getgid())], ["12345", "nosuchgroup"]),
        ("Host", [os.uname().nodename.upper(), os.uname().nodename[:1] + "*"], ["nosuchhost"]),
        ("KernelVersion", [os.uname().release, ">=2.6", "> 2.6", ">2.6 <99", "*"], ["<3", "9999*"]),
        ("Version", [">=2.6", "kernel >=2.6", "glibc >2"], ["kernel <2", "glibc <2"]),
        ("Architecture", ["native", HOST.architecture], ["vax"]),
        ("Memory", [">=1M", "1M", f"={MEMORY}", f"<={MEMORY}"], ["<1M", f"!={MEMORY}"]),
        ("CPUs", ["1", f"={CPUS}", f">= {CPUS}"], [">100000", f"<{CPUS}"]),
        ("Environment", ["PATH", f"PATH={os.environ['PATH']}"], ["NO_SUCH_VARIABLE", "PATH=/x"]),
        ("Capability", ["CAP_KILL", "kill"] if os.geteuid() == 0 else [], []),
        ("OSRelease", [f"ID={HOST.os_id}", f"ID!=x VERSION_ID={HOST.os_version_id}"], ["ID=x"]),
        ("KernelModuleLoaded", [], ["no_such_module"]),
        ("KernelCommandLine", [], ["no_such_option", "no_such=1"]),
        ("Credential", [], ["no-such-credential"]),
        ("CPUFeature", [], ["no-such-feature"]),
        ("ControlGroupController", [], ["no-such-controller"]),
        ("MemoryPressure", ["100%"], []),
        ("CPUPressure", ["100%/10s"], []),
        ("IOPressure", ["no-such.slice:0%/1min", "100%"], []),
        ("FirstBoot", ["no"], ["yes"]),
    ],
)
def test_facts(kind, yes, no):
    for value in yes:
        assert holds(kind, value), value
    for value in no:
        assert not holds(kind, value), value


@pytest.mark.parametrize("kind", ["ACPower", "Virtualization"])
def test_one_of_yes_and_no_holds(kind):
    assert holds(kind, "yes") is not holds(kind, "no")


def test_the_kernel_says_the_same_of_itself():
    word = machine.command_line()[0]
    assert holds("KernelCommandLine", word)
    assert holds("KernelCommandLine", word.partition("=")[0])
    if platform.machine() == "x86_64":
        assert holds("CPUFeature", "fpu")
    assert holds("ControlGroupController", "v1") is not holds("ControlGroupController", "v2")


@pytest.mark.parametrize("word", ["selinux", "apparmor", "smack", "tomoyo", "ima", "audit",
                                  "uefi-secureboot", "tpm2", "cvm", "measured-uki"])  # fmt: skip
def test_every_kind_of_security_can_be_told(word):
    assert holds("Security", word) is not holds("Security", f"!{word}")


@pytest.mark.parametrize("word", ["uefi", "device-tree", "device-tree-compatible(x)",
                                  "smbios-field(bios_vendor = x)"])  # fmt: skip
def test_every_kind_of_firmware_can_be_told(word):
    assert holds("Firmware", word) is not holds("Firmware", f"!{word}")


def test_what_cannot_be_found_out_does_not_hold_either_way():
    for value in ("nosuchmodule", "!nosuchmodule"):
        (found,) = check(parse_condition("Condition", "Security", value), HOST)
        assert not found.met
        assert "not known" in found.problem
    (found,) = check(parse_condition("Condition", "PathIsEncrypted", "/no/such/path"), HOST)
    assert not found.met


def test_no_kind_is_without_a_test():
    values = {"CPUs": "1", "Memory": "1", "OSRelease": "ID=x", "ACPower": "yes", "FirstBoot": "yes"}
    for kind in KINDS:
        value = values.get(kind, "1%" if kind.endswith("Pressure") else "/x")
        assert len(check(parse_condition("Assert", kind, value), HOST)) == 1


def test_pressure_is_read_by_window():
    text = (
        "some avg10=50.00 avg60=1.00 avg300=2.00 total=1\n"
        "full avg10=12.50 avg60=3.00 avg300=0.10 total=1\n"
    )
    assert share(text, 10.0) == 0.125
    assert share(text.splitlines()[0], 60.0) == 0.01
    with pytest.raises(ValueError, match="pressure"):
        share("", 10.0)


def test_power(tmp_path):
    def supply(name: str, **values: str) -> None:
        (tmp_path / name).mkdir(exist_ok=True)
        for key, value in values.items():
            (tmp_path / name / key).write_text(value + "\n")

    assert machine.mains_power(str(tmp_path))
    supply("BAT0", type="Battery", status="Discharging")
    assert not machine.mains_power(str(tmp_path))
    supply("AC", type="Mains", online="1")
    assert machine.mains_power(str(tmp_path))
    supply("AC", online="0")
    assert not machine.mains_power(str(tmp_path))


def test_versions_and_patterns():
    assert machine.compare("$=", "12.5", "12*")
    assert machine.compare("!$=", "12.5", "13*")
    assert machine.compare("<", "9", "12")
    assert not machine.compare("=", "12", "12.0")
