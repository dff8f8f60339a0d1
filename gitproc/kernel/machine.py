"""What this machine is and is made of, asked by conditions: names, sizes, versions, security, power."""

from __future__ import annotations

import grp
import operator
import os
import pwd
import re
import shlex
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from fnmatch import fnmatchcase

from gitproc.kernel.virtualization import matches as virtualization_matches
from gitproc.pattern import pattern
from gitproc.units.conditions import split_assignment, split_comparison
from gitproc.units.environment import parse_environment_file
from gitproc.units.scalars import parse_boolean
from gitproc.units.sizes import parse_size
from gitproc.units.specifiers import Host
from gitproc.units.versions import compare_versions

_ORDER: Mapping[str, Callable[[int, int], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    "=": operator.eq,
    "!=": operator.ne,
    ">=": operator.ge,
    ">": operator.gt,
}
_CAPABILITIES = (
    "chown dac_override dac_read_search fowner fsetid kill setgid setuid setpcap linux_immutable"
    " net_bind_service net_broadcast net_admin net_raw ipc_lock ipc_owner sys_module sys_rawio sys_chroot"
    " sys_ptrace sys_pacct sys_admin sys_boot sys_nice sys_resource sys_time sys_tty_config mknod lease"
    " audit_write audit_control setfcap mac_override mac_admin syslog wake_alarm block_suspend audit_read"
    " perfmon bpf checkpoint_restore"
)
_SYSTEM_UID_MAX = 999
_AUDIT = 9  # NETLINK_AUDIT
_EFI = "/sys/firmware/efi/efivars"
_LOADER = "4a67b082-0a4c-41cf-b6c7-440b29bb8c4f"
_SECURE_BOOT = f"{_EFI}/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"
_CREDENTIALS = ("/run/credentials/@system", "/run/credentials/@encrypted")
_PLAIN_NAME = pattern(r"[A-Za-z0-9_.:@-]+")


def line(path: str) -> str:
    """The first line of a small file; empty if it cannot be read."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.readline().strip().strip("\0")
    except OSError:
        return ""


def compare(sign: str, left: str, right: str) -> bool:
    """Versions by their order, `=` and `!=` as plain text, `$=` and `!$=` as a pattern."""
    match sign:
        case "$=" | "!$=":
            return fnmatchcase(left, right) is (sign == "$=")
        case "=" | "!=":
            return (left == right) is (sign == "=")
        case _:
            return _ORDER[sign](compare_versions(left, right), 0)


def _versions(actual: str, text: str) -> bool:
    """Every expression must hold: a comparison with an operator, or a pattern without."""
    words = shlex.split(text)
    if words and words[0].strip("<>=!$") == "" and len(words) > 1:
        words[:2] = [words[0] + words[1]]  # an operator may stand apart, in the first one alone
    for word in words:
        negated, rest = (True, word[2:]) if word.startswith("!$=") else (False, word)
        if negated or word.startswith("$="):
            good = compare("!$=" if negated else "$=", actual, word.partition("=")[2])
        else:
            sign, operand = split_comparison(rest, "$=")
            good = compare(sign, actual, operand)
        if not good:
            return False
    return True


def _kernel_version(text: str, _: Host) -> bool:
    return _versions(os.uname().release, text)


def _version(text: str, _: Host) -> bool:
    head, rest = (*text.split(" ", 1), "")[:2]
    match head:
        case "kernel":
            return _versions(os.uname().release, rest)
        case "glibc":
            return _versions((os.confstr("CS_GNU_LIBC_VERSION") or "").rpartition(" ")[2], rest)
        case "systemd":
            raise ValueError("the manager is not systemd and has none of its versions")
        case _:
            return _versions(os.uname().release, text)


def _host(text: str, host: Host) -> bool:
    plain = text.replace("-", "").lower()
    if re.fullmatch(r"[0-9a-f]{32}", plain):
        return plain in (host.machine_id, host.boot_id)
    return fnmatchcase(os.uname().nodename.lower(), text.lower())


def command_line() -> list[str]:
    """The options that the kernel was started with."""
    with open("/proc/cmdline", encoding="utf-8", errors="surrogateescape") as file:
        text = file.read()
    try:
        return shlex.split(text)
    except ValueError:
        return text.split()


def _kernel_command_line(text: str, _: Host) -> bool:
    words = command_line()
    return text in words if "=" in text else any(x.partition("=")[0] == text for x in words)


def _module(text: str, _: Host) -> bool:
    name = text.replace("-", "_")
    if not _PLAIN_NAME.fullmatch(name) or name in (".", ".."):
        raise ValueError(f"{text!r} is not the name of a module")
    folder = f"/sys/module/{name}"
    return os.path.isdir(folder) and line(f"{folder}/initstate") in ("", "live")


def _user(text: str, _: Host) -> bool:
    uid = os.getuid()
    if text == "@system":
        return uid <= _SYSTEM_UID_MAX or uid == 65534
    if text.isdecimal():
        return uid in (int(text), -1) or os.geteuid() == int(text)
    with suppress(KeyError):
        return pwd.getpwnam(text).pw_uid == uid
    return False


def _group(text: str, _: Host) -> bool:
    groups = {os.getgid(), os.getegid(), *os.getgroups()}
    if text.isdecimal():
        return int(text) in groups
    with suppress(KeyError):
        return grp.getgrnam(text).gr_gid in groups
    return False


def _environment(text: str, _: Host) -> bool:
    name, equals, value = text.partition("=")
    return os.environ.get(name) == value if equals else name in os.environ


def _memory(text: str, _: Host) -> bool:
    sign, size = split_comparison(text, ">=")
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return _ORDER[sign](total, parse_size(size))


def _cpus(text: str, _: Host) -> bool:
    sign, count = split_comparison(text, ">=")
    return _ORDER[sign](len(os.sched_getaffinity(0)), int(count))


def _cpu_feature(text: str, _: Host) -> bool:
    with open("/proc/cpuinfo", encoding="ascii", errors="replace") as file:
        for each in file:
            name, words = (*each.split(":", 1), "")[:2]
            if name.strip() in ("flags", "Features"):
                return text.lower() in words.split()
    return False


def _architecture(text: str, host: Host) -> bool:
    return text in (host.architecture, "native")


def _firmware(text: str, _: Host) -> bool:
    trees = ("/sys/firmware/devicetree/base", "/proc/device-tree")
    tree = next((x for x in trees if os.path.isdir(x)), "")
    if text == "uefi":
        return os.path.isdir("/sys/firmware/efi")
    if text == "device-tree":
        return bool(tree)
    if found := re.fullmatch(r"device-tree-compatible\((.*)\)", text):
        try:
            with open(f"{tree}/compatible", "rb") as file:
                return found[1].encode() in file.read().split(b"\0")
        except OSError:
            return False
    found = re.fullmatch(r"smbios-field\(\s*([a-z_]+)\s*(\$?=|!\$?=|[<>]=?)\s*(.*?)\s*\)", text)
    if found is None:
        raise ValueError(f"{text!r} is no kind of firmware")
    path = f"/sys/class/dmi/id/{found[1]}"
    return os.path.exists(path) and compare(found[2], line(path), found[3].strip("\"'"))


def _credential(text: str, _: Host) -> bool:
    if not _PLAIN_NAME.fullmatch(text) or text in (".", ".."):
        raise ValueError(f"{text!r} is not the name of a credential")
    variables = ("CREDENTIALS_DIRECTORY", "ENCRYPTED_CREDENTIALS_DIRECTORY")
    folders = [os.environ[x] for x in variables if x in os.environ]
    return any(os.path.exists(f"{folder}/{text}") for folder in (*folders, *_CREDENTIALS))


def _has_audit() -> bool:
    try:
        socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _AUDIT).close()
    except OSError:
        return False
    return True


def _secure_boot() -> bool:
    try:
        with open(_SECURE_BOOT, "rb") as file:
            return file.read()[-1:] == b"\1"
    except OSError:
        return False


_SECURITY: Mapping[str, Callable[[], bool]] = {
    "selinux": lambda: os.path.exists("/sys/fs/selinux/enforce"),
    "apparmor": lambda: line("/sys/module/apparmor/parameters/enabled") == "Y",
    "smack": lambda: os.path.isdir("/sys/fs/smackfs"),
    "tomoyo": lambda: os.path.exists("/sys/kernel/security/tomoyo/version"),
    "ima": lambda: os.path.isdir("/sys/kernel/security/ima"),
    "audit": _has_audit,
    "uefi-secureboot": _secure_boot,
    "tpm2": lambda: os.path.isdir("/sys/class/tpmrm") and bool(os.listdir("/sys/class/tpmrm")),
    "cvm": lambda: any(os.path.exists(f"/dev/{x}") for x in ("sev-guest", "tdx_guest")),
    "measured-uki": lambda: os.path.exists(f"{_EFI}/StubPcrKernelImage-{_LOADER}"),
}


def _security(text: str, _: Host) -> bool:
    if text not in _SECURITY:
        raise ValueError(f"{text!r} is not known")
    return _SECURITY[text]()


def _capability(text: str, _: Host) -> bool:
    number = _CAPABILITIES.split().index(text.lower().removeprefix("cap_"))
    with open("/proc/self/status", encoding="ascii", errors="replace") as file:
        bounds = next((x.split()[1] for x in file if x.startswith("CapBnd:")), "0")
    return bool(int(bounds, 16) >> number & 1)


def _ac_power(text: str, _: Host) -> bool:
    return mains_power("/sys/class/power_supply") is parse_boolean(text)


def mains_power(folder: str) -> bool:
    """Whether the machine is not known to run on a battery (systemd-ac-power(1))."""
    try:
        names = os.listdir(folder)
    except OSError:
        return True
    mains = discharging = False
    for name in names:
        if line(f"{folder}/{name}/scope") == "Device":
            continue
        kind = line(f"{folder}/{name}/type")
        if kind in ("Mains", "USB"):
            if line(f"{folder}/{name}/online") == "1":
                return True
            mains = mains or kind == "Mains"
        elif kind == "Battery" and line(f"{folder}/{name}/status") == "Discharging":
            discharging = True
    return not (mains or discharging)


def _controllers() -> set[str]:
    try:
        with open("/sys/fs/cgroup/cgroup.controllers", encoding="ascii") as file:
            return set(file.read().split())
    except OSError:
        with open("/proc/cgroups", encoding="ascii") as file:
            return {x.split()[0] for x in file if not x.startswith("#") and x.split()[3] == "1"}


def _cgroup_controller(text: str, _: Host) -> bool:
    if text in ("v1", "v2"):
        return os.path.exists("/sys/fs/cgroup/cgroup.controllers") is (text == "v2")
    return set(text.split()) <= _controllers()


def _os_release(text: str, _: Host) -> bool:
    fields: dict[str, str] = {}
    for path in ("/etc/os-release", "/usr/lib/os-release"):
        with suppress(OSError):
            with open(path, encoding="utf-8", errors="surrogateescape") as file:
                fields = dict(parse_environment_file(file.read()))
            break
    return all(
        compare(sign, fields.get(key, ""), value)
        for key, sign, value in map(split_assignment, shlex.split(text))
    )


def _first_boot(text: str, _: Host) -> bool:
    return os.path.exists("/run/systemd/first-boot") is parse_boolean(text)


TESTS: Mapping[str, Callable[[str, Host], bool]] = {
    "FirstBoot": _first_boot,
    "Architecture": _architecture,
    "Firmware": _firmware,
    "Virtualization": lambda text, _: virtualization_matches(text),
    "Host": _host,
    "KernelCommandLine": _kernel_command_line,
    "KernelVersion": _kernel_version,
    "Version": _version,
    "KernelModuleLoaded": _module,
    "Credential": _credential,
    "Security": _security,
    "Capability": _capability,
    "ACPower": _ac_power,
    "Memory": _memory,
    "CPUFeature": _cpu_feature,
    "CPUs": _cpus,
    "Environment": _environment,
    "User": _user,
    "Group": _group,
    "ControlGroupController": _cgroup_controller,
    "OSRelease": _os_release,
}
