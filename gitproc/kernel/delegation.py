"""A group that is handed over: Delegate= (systemd.resource-control(5), "Delegation" in cgroups(7)).

Its new owner may make groups in it and move its own processes about there, and nothing else: the limits of the
group itself stay root's. How deep it may nest is limited, so that every group below has a path that can be
named, and a tree that can be killed; and an ordinary user how many it makes, since the manager goes through all.
"""

from __future__ import annotations

import os
from contextlib import suppress

from gitproc.core.events import Slot
from gitproc.kernel import cgroup_v2
from gitproc.units import directives as d
from gitproc.units import directives_resources as r
from gitproc.units.unit import Unit
from gitproc.units.values import ExecCommand

CONTROL = ".control"
_FILES = ("cgroup.procs", "cgroup.subtree_control", "cgroup.threads")
_DEPTH = 14  # of groups with the longest names, whose path the kernel still takes
_MOST = 4096  # groups of an ordinary user: less than half a second to go through


def hand_over(directory: str, uid: int, gid: int) -> None:
    """Give the group to its owner (-1: stays root's) and mark it as systemd does. OSError."""
    with suppress(OSError):
        cgroup_v2.write(directory, "cgroup.max.depth", str(_DEPTH))
    with suppress(OSError):
        os.setxattr(directory, "trusted.delegate", b"1")
    if uid < 0:
        return
    if uid > 0:
        with suppress(OSError):
            cgroup_v2.write(directory, "cgroup.max.descendants", str(_MOST))
    os.chown(directory, uid, gid)
    for name in _FILES:
        os.chown(f"{directory}/{name}", uid, gid)


def leaf_of(unit: Unit, slot: Slot, command: ExecCommand) -> str:
    """The group below the unit's in which a command runs; "" for the unit's own.

    Control commands stay out of the way of a service that has handed its own group on to groups below.
    """
    if unit[r.DELEGATE] is None:
        return ""
    control = (d.EXEC_RELOAD, d.EXEC_STOP, d.EXEC_STOP_POST, d.EXEC_START_POST)
    if slot is Slot.HEALTH or (slot is Slot.CONTROL and any(command in unit[x] for x in control)):
        return CONTROL
    return unit[r.DELEGATE_SUBGROUP]
