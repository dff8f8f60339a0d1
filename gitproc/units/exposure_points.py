"""The dangers that `exposure.py` weighs, and their weights: facts of `systemd-analyze security`."""

from __future__ import annotations

from typing import Any

from gitproc.units import directives_sandbox as sandbox
from gitproc.units.directive import Directive

BOOLEANS: tuple[tuple[Directive[Any], int, str], ...] = (
    (sandbox.PRIVATE_DEVICES, 1000, "may have access to hardware"),
    (sandbox.PRIVATE_NETWORK, 2500, "is on the host's network"),
    (sandbox.PRIVATE_TMP, 1000, "shares temporary files with others"),
    (sandbox.PRIVATE_USERS, 1000, "sees the host's users"),
    (sandbox.PROTECT_CONTROL_GROUPS, 1000, "can write to the cgroup tree"),
    (sandbox.PROTECT_KERNEL_MODULES, 1000, "may load kernel modules"),
    (sandbox.PROTECT_KERNEL_TUNABLES, 1000, "may change kernel variables"),
    (sandbox.PROTECT_KERNEL_LOGS, 1000, "may read the kernel's log"),
    (sandbox.PROTECT_CLOCK, 1000, "may set the clocks"),
    (sandbox.PROTECT_HOSTNAME, 50, "may change the host's name"),
    (sandbox.LOCK_PERSONALITY, 100, "may change its personality"),
    (sandbox.MEMORY_DENY_WRITE_EXECUTE, 100, "may write code and run it"),
    (sandbox.NO_NEW_PRIVILEGES, 1000, "may gain privileges"),
    (sandbox.RESTRICT_REALTIME, 500, "may take real-time scheduling"),
    (sandbox.RESTRICT_SUID_SGID, 1000, "may make set-user-id files"),
)
"""Settings that are on or off."""

_CAPS = (
    ("SYS_ADMIN", 1500, "administers the system"),
    ("SETUID SETGID SETPCAP", 1500, "takes other identities"),
    ("SYS_PTRACE", 1500, "debugs other processes"),
    ("SYS_TIME", 1000, "sets the clock"),
    ("NET_ADMIN", 1000, "configures the network"),
    ("SYS_RAWIO", 1000, "does raw I/O"),
    ("SYS_MODULE", 1000, "loads kernel modules"),
    ("AUDIT_CONTROL AUDIT_READ AUDIT_WRITE", 500, "reaches the audit log"),
    ("SYSLOG", 500, "reaches the kernel's log"),
    ("SYS_NICE SYS_RESOURCE", 500, "raises its limits and priorities"),
    ("MKNOD", 500, "makes device nodes"),
    ("CHOWN FSETID SETFCAP", 1000, "gives away any file"),
    ("DAC_OVERRIDE DAC_READ_SEARCH FOWNER IPC_OWNER", 1000, "passes by permissions"),
    ("KILL", 500, "signals any process"),
    ("NET_BIND_SERVICE NET_BROADCAST NET_RAW", 500, "uses low ports and raw packets"),
    ("SYS_BOOT", 100, "reboots the machine"),
    ("MAC_ADMIN MAC_OVERRIDE", 100, "changes mandatory access control"),
    ("LINUX_IMMUTABLE", 75, "marks files immutable"),
    ("IPC_LOCK", 50, "locks memory"),
    ("SYS_CHROOT", 50, "changes its root"),
    ("BLOCK_SUSPEND", 25, "keeps the machine awake"),
    ("WAKE_ALARM", 25, "wakes the machine"),
    ("LEASE", 25, "takes leases on files"),
    ("SYS_TTY_CONFIG", 25, "hangs up terminals"),
    ("SYS_PACCT", 25, "turns on process accounting"),
    ("BPF", 25, "loads kernel programs"),
)
CAPABILITIES = tuple(
    (frozenset(f"CAP_{name}" for name in names.split()), weight, text)
    for names, weight, text in _CAPS
)
"""Capabilities of which none should be left."""

KINDS = (
    ("user", 1500), ("mnt", 500), ("ipc", 500), ("pid", 500), ("cgroup", 500), ("net", 500),
    ("uts", 100),
)  # fmt: skip
"""Namespaces it should not be able to make."""

FAMILIES: tuple[tuple[tuple[str, ...], int, str], ...] = (
    (("AF_INET", "AF_INET6"), 1500, "opens Internet sockets"),
    (("AF_UNIX",), 25, "opens local sockets"),
    (("AF_NETLINK",), 200, "opens netlink sockets"),
    (("AF_PACKET",), 1000, "opens packet sockets"),
    ((), 1250, "opens exotic sockets"),
)
"""Kinds of socket; the last stands for all others."""

GROUPS = (
    ("swap", 1000), ("obsolete", 250), ("clock", 1000), ("cpu-emulation", 250), ("debug", 1000),
    ("mount", 1000), ("module", 1000), ("raw-io", 1000), ("reboot", 1000), ("privileged", 700),
    ("resources", 700),
)  # fmt: skip
"""Groups of system calls it should not be able to make."""
