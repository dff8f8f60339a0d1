"""The place under which all our groups are made, and the controllers that reach it.

Inside a delegated unit of systemd everything is ours: the processes that live in it directly are moved to
a leaf, since a group that passes controllers on may hold none. The root is written only where no systemd
owns it; there the same is done when the shim is the container's first process.
"""

from __future__ import annotations

import os

from gitproc.errors import HostError
from gitproc.kernel import cgroup_v2
from gitproc.kernel.cgroup_layout import Layout

#: The controllers that every group has, and those that groups get with the first unit that asks.
WANTED = frozenset({"cpu", "memory", "pids"})
ON_DEMAND = frozenset({"cpuset", "io"})
_LEAF = "shim"


def check_name(name: str) -> str:
    """`name` if it can be our base group's name: one path component. HostError if not."""
    if not name or "/" in name or "\n" in name or name[0] in "._" or name.startswith("cgroup."):
        raise HostError(f"not a name for a cgroup: {name!r}")
    return name


def v2_base(layout: Layout, name: str) -> str:
    """The absolute path of our base in the unified tree ("" without one)."""
    if not layout.v2_mount:
        return ""
    return f"{(layout.v2_mount + layout.v2_parent).rstrip('/')}/{check_name(name)}"


def v1_bases(layout: Layout, name: str) -> dict[str, str]:
    """The absolute path of our base in each v1 hierarchy, by controller."""
    return {
        controller: f"{(mount + layout.v1_parent.get(controller, '/')).rstrip('/')}/{check_name(name)}"
        for controller, mount in layout.v1.items()
    }


def prepare(
    layout: Layout, name: str, shim_pid: int, controllers: frozenset[str] = WANTED
) -> frozenset[str]:
    """Make our base in the unified tree; returns those of `controllers` that its groups will have.

    HostError if it cannot be made.
    """
    base = v2_base(layout, name)
    parent = os.path.dirname(base)
    try:
        os.makedirs(base, 0o755, exist_ok=True)
        wanted = controllers & cgroup_v2.controllers(parent)
        if not wanted:
            return frozenset()
        if layout.delegated:
            cgroup_v2.evacuate(parent, _LEAF)
            cgroup_v2.enable(parent, wanted)
        elif not os.path.isdir("/run/systemd/system"):
            # A container's root is no real one: with processes in it, some controllers are refused and
            # others turn the whole tree into a threaded one, in which no service could live.
            inner = os.path.exists(f"{parent}/cgroup.type")
            if inner and shim_pid == 1:
                cgroup_v2.evacuate(parent, f"{name}.{_LEAF}")
            if not inner or not cgroup_v2.read(parent, "cgroup.procs"):
                cgroup_v2.enable(parent, wanted)
        return cgroup_v2.enable(base, wanted)
    except OSError as error:
        raise HostError(f"cannot make cgroup {base}: {error.strerror}") from error
