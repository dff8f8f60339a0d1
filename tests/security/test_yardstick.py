"""Scores beside those of `systemd-analyze security`, which they are meant to agree with."""

from __future__ import annotations

import random
import re
import subprocess
from pathlib import Path

import pytest

from gitproc.units.exposure import expose
from gitproc.units.sandbox_rules import has_own_mounts
from tests.units.trees import tree

pytestmark = pytest.mark.debian

SYSTEM = Path("/lib/systemd/system")
OVERALL = re.compile(r"Overall exposure level for (\S+): (\S+)")
CHOICES = {
    "User": ("daemon", "nobody", "root"),
    "SupplementaryGroups": ("adm",),
    "DynamicUser": ("yes",),
    "PrivateTmp": ("yes",),
    "PrivateDevices": ("yes",),
    "PrivateNetwork": ("yes",),
    "PrivateUsers": ("yes",),
    "PrivateMounts": ("yes",),
    "ProtectSystem": ("yes", "full", "strict"),
    "ProtectHome": ("yes", "read-only", "tmpfs"),
    "ProtectKernelTunables": ("yes",),
    "ProtectKernelModules": ("yes",),
    "ProtectKernelLogs": ("yes",),
    "ProtectControlGroups": ("yes",),
    "ProtectClock": ("yes",),
    "ProtectHostname": ("yes",),
    "ProtectProc": ("noaccess", "invisible", "ptraceable"),
    "ProcSubset": ("pid",),
    "NoNewPrivileges": ("yes",),
    "LockPersonality": ("yes",),
    "MemoryDenyWriteExecute": ("yes",),
    "RestrictRealtime": ("yes",),
    "RestrictSUIDSGID": ("yes",),
    "RestrictNamespaces": ("yes", "~user", "mnt pid"),
    "RestrictAddressFamilies": ("AF_UNIX AF_INET", "none", "~AF_PACKET", "~AF_NETLINK AF_INET6"),
    "CapabilityBoundingSet": ("", "CAP_NET_BIND_SERVICE CAP_CHOWN", "~CAP_SYS_ADMIN CAP_KILL"),
    "AmbientCapabilities": ("CAP_NET_BIND_SERVICE",),
    "SystemCallArchitectures": ("native", "native x86"),
    "SystemCallFilter": ("@system-service", "~@mount @swap", "read write", "~@privileged:EPERM"),
    "UMask": ("0077", "0027", "0000", "0007"),
    "KeyringMode": ("shared", "inherit"),
    "NotifyAccess": ("all",),
    "RemoveIPC": ("yes",),
    "Delegate": ("yes",),
    "IPAddressDeny": ("any", "10.0.0.0/8"),
    "IPAddressAllow": ("localhost", "192.168.0.0/16"),
    "DevicePolicy": ("closed", "strict"),
    "DeviceAllow": ("/dev/null rw",),
    "RootDirectory": ("/srv",),
}


def made_up(seed: int) -> str:
    chance = random.Random(seed)
    share = chance.random()
    lines = [f"{name}={chance.choice(values)}"
             for name, values in CHOICES.items() if chance.random() < share]  # fmt: skip
    unit = "DefaultDependencies=no\n" if chance.random() < 0.1 else ""
    return f"[Unit]\n{unit}[Service]\nExecStart=/bin/true\n" + "\n".join(lines) + "\n"


def theirs(folder: Path, names: list[str]) -> dict[str, float]:
    """Scores as systemd gives them to unit files, all in one go."""
    paths = [str(folder / name) for name in names]
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--no-pager", *paths],
        capture_output=True, text=True, check=False,  # a high score is a failure to it
    )  # fmt: skip
    return {name: float(score) for name, score in OVERALL.findall(done.stdout)}


def compare(folder: Path, files: dict[str, str]) -> None:
    units = tree(files, "*").units
    for name, text in files.items():
        # Of files alone systemd does not see that a sandbox has mounts of its own; of loaded units it does.
        more = "\n[Service]\nPrivateMounts=yes\n" if has_own_mounts(units[name].values) else ""
        (folder / name).write_text(text + more)
    expected = theirs(folder, list(files))
    found = {name: expose(units[name], as_written=True).score for name in files}
    assert {name: score for name, score in found.items() if score != expected[name]} == {}


def test_made_up_units(tmp_path):
    compare(tmp_path, {f"u{seed}.service": made_up(seed) for seed in range(200)})


def test_the_units_of_this_machine(tmp_path):
    plain = [
        path
        for path in SYSTEM.glob("*.service")
        if not path.is_symlink() and "@." not in path.name and path.stat().st_size
    ]
    compare(tmp_path, {path.name: path.read_text() for path in plain})
