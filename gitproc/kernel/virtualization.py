"""Which virtual machine or container this is, in systemd-detect-virt(1)'s words."""

from __future__ import annotations

import os
from functools import cache

from gitproc.units.scalars import parse_boolean

_DMI = ("product_name", "sys_vendor", "board_vendor", "bios_vendor", "product_version")
_VENDORS = (
    ("KVM", "kvm"),
    ("OpenStack", "kvm"),
    ("KubeVirt", "kvm"),
    ("Amazon EC2", "amazon"),
    ("QEMU", "qemu"),
    ("VMware", "vmware"),
    ("VMW", "vmware"),
    ("innotek GmbH", "oracle"),
    ("VirtualBox", "oracle"),
    ("Oracle Corporation", "oracle"),
    ("Xen", "xen"),
    ("Bochs", "bochs"),
    ("Parallels", "parallels"),
    ("BHYVE", "bhyve"),
    ("Hyper-V", "microsoft"),
    ("Apple Virtualization", "apple"),
    ("Google Compute Engine", "google"),
)
_CONTAINERS = frozenset(
    {
        "openvz", "lxc", "lxc-libvirt", "systemd-nspawn", "docker", "podman", "rkt", "wsl", "proot",
        "pouch", "container-other",
    }
)  # fmt: skip


def _read(path: str) -> str:
    try:
        with open(path, "rb") as file:
            return file.read(65536).decode(errors="replace")
    except OSError:
        return ""


@cache
def container() -> str:
    """The kind of container; empty outside of one."""
    if os.path.exists("/proc/vz") and not os.path.exists("/proc/bc"):
        return "openvz"
    if "Microsoft" in (release := os.uname().release) or "WSL" in release:
        return "wsl"
    told = _read("/run/host/container-manager").strip() or _read("/run/systemd/container").strip()
    for variable in _read("/proc/1/environ").split("\0"):
        name, _, value = variable.partition("=")
        if name == "container" and not told:
            told = value
    if told:
        return told if told in _CONTAINERS else "container-other"
    if os.path.exists("/run/.containerenv"):
        return "podman"
    return "docker" if os.path.exists("/.dockerenv") else ""


@cache
def virtual_machine() -> str:
    """The kind of virtual machine; empty on the bare metal."""
    if os.path.isdir("/proc/xen") or _read("/sys/hypervisor/type").startswith("xen"):
        return "" if "control_d" in _read("/proc/xen/capabilities") else "xen"
    cpu = _read("/proc/cpuinfo")
    if "User Mode Linux" in cpu:
        return "uml"
    for name in _DMI:
        text = _read(f"/sys/class/dmi/id/{name}")
        for vendor, word in _VENDORS:
            if text.startswith(vendor):
                return word
    return "vm-other" if " hypervisor" in cpu else ""


def _private_users() -> bool:
    """Whether this is a user namespace that is not the machine's own."""
    found = _read("/proc/self/uid_map").split()
    return bool(found) and found != ["0", "0", "4294967295"]


def matches(parameter: str) -> bool:
    """Whether ConditionVirtualization=PARAMETER holds: a boolean, vm, container, or one kind."""
    inner, outer = container(), virtual_machine()
    if parameter == "private-users":
        return _private_users()
    if parameter == "vm":
        return bool(outer) and not inner
    if parameter == "container":
        return bool(inner)
    try:
        return parse_boolean(parameter) is bool(inner or outer)
    except ValueError:
        return parameter == (inner or outer)
