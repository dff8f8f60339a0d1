"""Steps of a child's set-up: the groups and the user it becomes (User=, Group=, SupplementaryGroups=)."""

from __future__ import annotations

import os

TYPE_CHECKING = False  # `typing` and `collections` stay out of this process
if TYPE_CHECKING:
    from gitproc.shim.setup import Setup


def take_groups(setup: Setup) -> None:
    """Drop the manager's groups for those of the spec."""
    spec = setup.spec
    uid, gid, groups = spec.get("uid", -1), spec.get("gid", -1), spec.get("groups")
    if os.geteuid() == 0:  # an ordinary user's manager cannot drop groups; its uid is checked below
        if groups is not None:
            os.setgroups(groups)
        elif gid >= 0 or uid > 0:
            os.setgroups([])
    if gid >= 0 and (gid, gid, gid) != os.getresgid():
        os.setresgid(gid, gid, gid)


def take_user(setup: Setup) -> None:
    """Become the user, for good."""
    uid = setup.spec.get("uid", -1)
    if uid >= 0 and (uid, uid, uid) != os.getresuid():
        os.setresuid(uid, uid, uid)
