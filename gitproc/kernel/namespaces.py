"""Which namespaces this host lets us make; the door to pyroute2, which stays shut in the manager (decision 16)."""

from __future__ import annotations

import os

_CAP_SYS_ADMIN = 21
_UP = 1  # IFF_UP


KINDS = ("mnt", "net", "ipc", "uts", "user", "cgroup", "pid")


def missing_namespaces() -> dict[str, str]:
    """The kinds of namespace that a service cannot have here, and why.

    Told from what the kernel says of itself: a trial would have to fork, which only the shim does.
    """
    problems = {kind: _problem(kind) for kind in KINDS}
    return {kind: problem for kind, problem in problems.items() if problem}


def try_network() -> str:
    """Make a network as PrivateNetwork= has it, and look at it by netlink: what is wrong with it, "" if nothing.

    The first call takes half a second and 22 MiB: nothing for the manager.
    """
    from pyroute2 import NetlinkError, NetNS

    from gitproc.kernel.shared_namespaces import make

    try:
        network = make("net")
    except OSError as error:
        return f"cannot be made: {error.strerror}"
    try:
        with NetNS(f"/proc/{os.getpid()}/fd/{network}", flags=0) as inside:
            links = {x.get_attr("IFLA_IFNAME"): x["flags"] & _UP for x in inside.get_links()}
            addresses = {x.get_attr("IFA_ADDRESS") for x in inside.get_addr()}
    except (OSError, NetlinkError) as error:
        return f"cannot be looked at: {error}"
    finally:
        os.close(network)
    if not links.get("lo"):
        return "the loopback stays down"
    return "" if "127.0.0.1" in addresses else "the loopback has no address"


def _problem(kind: str) -> str:
    if not os.path.exists(f"/proc/self/ns/{kind}"):
        return f"the kernel has no {kind} namespaces"
    if not has_capability(_CAP_SYS_ADMIN):
        return "CAP_SYS_ADMIN is missing (the manager is not root, or in a restricted container)"
    try:
        with open(f"/proc/sys/user/max_{kind}_namespaces", encoding="ascii") as file:
            if int(file.read()) == 0:
                return f"they are switched off (user.max_{kind}_namespaces is 0)"
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
