"""What this machine is: the facts behind unit files' specifiers, and the kernel features that are there."""

from __future__ import annotations

import ctypes
import errno
import grp
import os
from collections.abc import Mapping

from gitproc.kernel import processes
from gitproc.kernel.accounts import own_account
from gitproc.kernel.namespaces import missing_namespaces
from gitproc.units.environment import parse_environment_file
from gitproc.units.specifiers import Host

#: uname's machine -> systemd's word (systemd.unit(5), ConditionArchitecture=).
_ARCHITECTURES = {
    "x86_64": "x86-64",
    "i386": "x86",
    "i486": "x86",
    "i586": "x86",
    "i686": "x86",
    "aarch64": "arm64",
    "aarch64_be": "arm64-be",
    "armv6l": "arm",
    "armv7l": "arm",
    "armv8l": "arm",
    "ppc64le": "ppc64-le",
    "riscv64": "riscv64",
    "s390x": "s390x",
    "loongarch64": "loongarch64",
}
_CLONE3 = 435


def read_host(environment: Mapping[str, str] | None = None, *, user_mode: bool = False) -> Host:
    """The machine as unit files see it. `user_mode`: with the directories of `systemd --user`."""
    env = os.environ if environment is None else environment
    os_release = _assignments("/etc/os-release") or _assignments("/usr/lib/os-release")
    hostname = os.uname().nodename
    account = own_account()
    try:
        group = grp.getgrgid(os.getgid()).gr_name
    except KeyError:
        group = str(os.getgid())
    home = (env.get("HOME") if user_mode else "") or account.home or "/"
    directories = _user_directories(env, home) if user_mode else {}
    return Host(
        hostname=hostname,
        pretty_hostname=_assignments("/etc/machine-info").get("PRETTY_HOSTNAME", ""),
        machine_id=_line("/etc/machine-id"),
        boot_id=processes.boot_id().replace("-", ""),
        kernel_release=os.uname().release,
        architecture=_ARCHITECTURES.get(os.uname().machine, os.uname().machine),
        os_id=os_release.get("ID", ""),
        os_version_id=os_release.get("VERSION_ID", ""),
        os_build_id=os_release.get("BUILD_ID", ""),
        os_variant_id=os_release.get("VARIANT_ID", ""),
        os_image_id=os_release.get("IMAGE_ID", ""),
        os_image_version=os_release.get("IMAGE_VERSION", ""),
        tmp=_temporary(env, "/tmp"),
        var_tmp=_temporary(env, "/var/tmp"),
        user_name=account.user or str(os.getuid()),
        uid=os.getuid(),
        group_name=group,
        gid=os.getgid(),
        home=home,
        shell=account.shell or "/bin/sh",
        **directories,
    )


def features(cgroup_base: str = "") -> dict[str, bool]:
    """Kernel features that GitProc uses where they are, by name. `cgroup_base`: a group of the v2 tree."""
    return {
        "clone3": _has_clone3(),
        "pidfd": _has_pidfd(),
        "cgroup.freeze": bool(cgroup_base) and os.path.exists(f"{cgroup_base}/cgroup.freeze"),
        "cgroup pressure": bool(cgroup_base) and os.path.exists(f"{cgroup_base}/memory.pressure"),
        "pid namespaces": "pid" not in missing_namespaces(),
        "seccomp": os.path.exists("/proc/sys/kernel/seccomp"),
    }


def _user_directories(env: Mapping[str, str], home: str) -> dict[str, str]:
    """$XDG_RUNTIME_DIR and its kin with their defaults (file-hierarchy(7))."""
    state = env.get("XDG_STATE_HOME") or f"{home}/.local/state"
    return {
        "run": env.get("XDG_RUNTIME_DIR") or f"/run/user/{os.getuid()}",
        "state": state,
        "cache": env.get("XDG_CACHE_HOME") or f"{home}/.cache",
        "logs": f"{state}/log",
        "config": env.get("XDG_CONFIG_HOME") or f"{home}/.config",
        "data": env.get("XDG_DATA_HOME") or f"{home}/.local/share",
    }


def _temporary(env: Mapping[str, str], default: str) -> str:
    for name in ("TMPDIR", "TEMP", "TMP"):
        if env.get(name, "").startswith("/"):
            return env[name]
    return default


def _line(path: str) -> str:
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            return file.readline().strip()
    except OSError:
        return ""


def _assignments(path: str) -> dict[str, str]:
    """Shell-like assignments of os-release(5) and machine-info(5)."""
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            return dict(parse_environment_file(file.read()))
    except (OSError, ValueError):
        return {}


def _has_clone3() -> bool:
    """EINVAL for a structure of size 0, ENOSYS where the call is missing or filtered away."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall(ctypes.c_long(_CLONE3), None, ctypes.c_size_t(0))
    return ctypes.get_errno() != errno.ENOSYS


def _has_pidfd() -> bool:
    try:
        os.close(os.pidfd_open(os.getpid()))
    except OSError:
        return False
    return True
