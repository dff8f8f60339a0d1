"""Which namespaces this host lets us make. The door to pyroute2, once units get networks of their own."""

from __future__ import annotations

import os

_CAP_SYS_ADMIN = 21


def pid_namespace_problem() -> str:
    """Why a service cannot have a PID namespace here; "" if it can.

    Told from what the kernel says of itself: a trial would have to fork, which only the shim does.
    """
    if not os.path.exists("/proc/self/ns/pid_for_children"):
        return "the kernel has no PID namespaces"
    if not has_capability(_CAP_SYS_ADMIN):
        return "CAP_SYS_ADMIN is missing (the manager is not root, or in a restricted container)"
    try:
        with open("/proc/sys/user/max_pid_namespaces", encoding="ascii") as file:
            if int(file.read()) == 0:
                return "PID namespaces are switched off (user.max_pid_namespaces is 0)"
    except (OSError, ValueError):
        pass
    return ""


def has_capability(number: int) -> bool:
    """Whether this process has a capability in force."""
    try:
        with open("/proc/self/status", encoding="ascii", errors="replace") as file:
            for line in file:
                if line.startswith("CapEff:"):
                    return bool(int(line.split()[1], 16) >> number & 1)
    except OSError:
        pass
    return False
