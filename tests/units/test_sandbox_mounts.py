"""The mounts that settings ask for, in order and without what changes nothing."""

from __future__ import annotations

from typing import Any

import pytest

from gitproc.shim.mount_order import points
from gitproc.units.diagnostics import Location
from gitproc.units.sandbox_mounts import Surroundings, entries_of
from gitproc.units.sandbox_rules import has_own_mounts
from gitproc.units.specifiers import Host
from gitproc.units.unit import Setting, Unit

AROUND = Surroundings(("/var/lib/x",), "/tmp/p/tmp", "/var/tmp/p/tmp", ("/run/gitproc/notify",))


def made(settings):
    lines = ["ExecStart=/bin/true", *settings.splitlines()]
    pairs = [line.partition("=")[::2] for line in lines]
    said = [Setting(f"Service.{key}", text, *Location("x.service", 1)) for key, text in pairs]
    problems: list[Any] = []
    unit = Unit("x.service", "x.service", said, Host(), diagnostics=problems)
    assert problems == []
    return unit


def tree(settings, **options):
    found = points([tuple(entry) for entry in entries_of(made(settings), AROUND, **options)])
    return [repr(point) for point in found if point.path != "/" or point.read_only or point.content]


@pytest.mark.parametrize(
    ("settings", "wanted"),
    [
        ("", []),
        ("PrivateMounts=yes", []),
        ("PrivateTmp=yes", ["/tmp bind rw", "/var/tmp bind rw"]),
        ("PrivateTmp=disconnected", ["/tmp tmpfs rw", "/var/tmp tmpfs rw"]),
        ("ProtectSystem=full", [
            "/bin - ro", "/boot - ro", "/efi - ro", "/etc - ro", "/lib - ro", "/lib64 - ro",
            "/sbin - ro", "/usr - ro",
        ]),
        ("ProtectSystem=strict", [
            "/ - ro", "/dev - rw", "/home - rw", "/proc - rw", "/root - rw", "/run/user - rw",
            "/sys - rw", "/var/lib/x - rw",
        ]),
        ("ProtectSystem=strict\nProtectHome=yes\nPrivateDevices=yes\nReadWritePaths=/var /dev", [
            "/ - ro", "/dev dev rw", "/home hide ro", "/proc - rw", "/root hide ro",
            "/run/user hide ro", "/sys - rw", "/var - rw",
        ]),
        ("ProtectHome=tmpfs\nBindPaths=/home/a", [
            "/home tmpfs ro", "/home/a bind rw", "/root tmpfs ro", "/run/user tmpfs ro",
        ]),
        ("TemporaryFileSystem=/var /run:ro,size=1M", [
            "/run tmpfs ro", "/run/gitproc/notify bind-ro ro", "/var tmpfs rw", "/var/lib/x bind rw",
        ]),
        ("InaccessiblePaths=/var\nReadOnlyPaths=/var/x\nBindPaths=/a:/var/y", ["/var hide ro"]),
        ("ProtectControlGroups=yes", ["/sys/fs/cgroup - ro"]),
        ("ProtectControlGroups=strict", ["/sys/fs/cgroup cgroup ro"]),
        ("ProcSubset=pid\nProtectProc=invisible", ["/proc proc rw"]),
        ("RootDirectory=/srv/r\nMountAPIVFS=no\nReadOnlyPaths=/srv/r/a /b +/c", [
            "/a - ro", "/c - ro", "/run/gitproc/notify bind-ro ro", "/var/lib/x bind rw",
        ]),
        ("RootDirectory=/srv/r\nPrivateDevices=yes\nProtectKernelLogs=yes\nTemporaryFileSystem=/run:ro", [
            "/dev dev rw", "/dev/kmsg hide ro", "/proc proc rw", "/proc/kmsg hide ro", "/run tmpfs ro",
            "/run/gitproc/notify bind-ro ro", "/sys bind-bare rw", "/var/lib/x bind rw",
        ]),
        ("PrivateNetwork=yes\nProtectSystem=strict", [
            "/ - ro", "/dev - rw", "/home - rw", "/proc - rw", "/root - rw", "/run/user - rw",
            "/sys sysfs rw", "/var/lib/x - rw",
        ]),
        ("NetworkNamespacePath=/run/netns/x\nReadOnlyPaths=/", ["/ - ro", "/sys sysfs ro", "/var/lib/x - rw"]),
        ("PrivateNetwork=yes\nTemporaryFileSystem=/sys", ["/sys sysfs rw"]),
        ("RootDirectory=/srv/r\nTemporaryFileSystem=/dev /sys /proc /run", [
            "/dev bind-bare rw", "/proc proc rw", "/run tmpfs rw", "/run/gitproc/notify bind-ro ro",
            "/sys bind-bare rw", "/var/lib/x bind rw",
        ]),
        ("RootDirectory=/srv/r\nMountAPIVFS=no\nProtectControlGroups=yes\nPrivateNetwork=yes", [
            "/dev bind-bare rw", "/proc proc rw", "/run tmpfs-bare rw", "/run/gitproc/notify bind-ro ro",
            "/sys sysfs rw", "/sys/fs/cgroup - ro", "/var/lib/x bind rw",
        ]),
        ("TemporaryFileSystem=/\nProtectProc=invisible", [
            "/ tmpfs rw", "/dev bind-bare rw", "/proc proc rw", "/run tmpfs-bare rw", "/run/gitproc/notify bind-ro ro",
            "/sys bind-bare rw", "/var/lib/x bind rw",
        ]),
        ("PrivateTmp=yes\nBindPaths=/a:/tmp:norbind", ["/tmp bind-flat rw", "/var/tmp bind rw"]),
        ("ProtectHostname=yes", ["/proc/sys/kernel/domainname - ro", "/proc/sys/kernel/hostname - ro"]),
        ("ProtectHostname=private", []),
        ("RootDirectory=/", []),
    ],
)  # fmt: skip
def test_settings_and_their_mounts(settings, wanted):
    assert tree(settings) == wanted


def test_a_privileged_command_is_shown_all_and_denied_nothing():
    settings = "ProtectSystem=strict\nPrivateTmp=yes\nInaccessiblePaths=/x\nBindReadOnlyPaths=/a:/b"
    assert tree(settings, confined=False) == ["/b bind-ro ro"]


@pytest.mark.parametrize(
    ("settings", "own"),
    [
        ("PrivateNetwork=yes", True),
        ("NetworkNamespacePath=/run/netns/x", True),
        ("PrivateNetwork=yes\nPrivateMounts=no", False),
        ("PrivateNetwork=yes\nPrivateMounts=no\nPrivateTmp=yes", True),
        ("ProtectHostname=yes", False),
        ("", False),
    ],
)
def test_another_network_comes_with_mounts_of_its_own_unless_these_are_off(settings, own):
    assert has_own_mounts(made(settings).values) is own


def test_of_two_contents_of_one_place_the_first_counts():
    """Also before what other settings put there."""
    settings = "PrivateTmp=yes\nBindPaths=/a:/tmp /b:/tmp"
    placed = points([tuple(entry) for entry in entries_of(made(settings), AROUND)])
    [found] = [point.content for point in placed if point.path == "/tmp"]
    assert found is not None and found[3] == "/a"
