"""Whom a unit's commands run as: names and numbers looked up the way systemd does, at each start.

A user or group that does not exist is fatal, numbers included: falling back to root has hurt before.
"""

from __future__ import annotations

import grp
import os
import pwd

from gitproc.immutable import immutable
from gitproc.kernel.dynamic_users import is_dynamic, name_of, owners_of, registry
from gitproc.kernel.launch import LaunchError
from gitproc.kernel.name_service import ask, groups_of
from gitproc.units import directives as d
from gitproc.units.directives_sandbox import DYNAMIC_USER
from gitproc.units.unit import Unit

_NOBODY = 65534
_NO_SHELLS = frozenset({"nologin", "false"})


@immutable
class Account:
    """The identity of a unit's processes; -1: unchanged. `home` and `shell` are empty where invalid.

    `user` is the name as configured, empty without User=.
    """

    user: str = ""
    uid: int = -1
    gid: int = -1
    groups: tuple[int, ...] = ()
    home: str = ""
    shell: str = ""


def account_of(unit: Unit, privileged: bool) -> Account:
    """The account of `User=`, `Group=` and `SupplementaryGroups=`.

    LaunchError (USER, GROUP) for one that does not exist, or that an ordinary user's manager cannot take.
    """
    if is_dynamic(unit):
        return _made_up(unit, privileged)
    user, group = unit[d.USER] or _static_name(unit), unit[d.GROUP]
    name, uid, gid, home, shell = user, -1, -1, "", ""
    if user:
        entry = user_entry(user)
        uid, gid = entry.pw_uid, entry.pw_gid
        name = user if not user.isdecimal() else entry.pw_name
        home = entry.pw_dir if entry.pw_dir.startswith("/") and entry.pw_dir != "/" else ""
        shell = entry.pw_shell if entry.pw_shell.startswith("/") else ""
        if os.path.basename(shell) in _NO_SHELLS:
            shell = ""
        if uid == _NOBODY:
            home = ""  # systemd makes this user up, without one
    if group:
        gid = group_id(group)
    wanted = [group_id(each) for each in unit[d.SUPPLEMENTARY_GROUPS]]
    if not privileged:
        _check_own(user, uid, gid, wanted)
        return Account(name, -1, -1, (), home, shell)
    groups = _groups_of(name, gid) if user and gid != 0 else []
    return Account(name, uid, gid, tuple(dict.fromkeys([*groups, *wanted])), home, shell)


def _static_name(unit: Unit) -> str:
    """With DynamicUser= a user that is there takes the place of the one that would be made up."""
    return name_of(unit) if unit[DYNAMIC_USER] else ""


def _made_up(unit: Unit, privileged: bool) -> Account:
    name, group = name_of(unit), unit[d.GROUP]
    if not privileged:
        raise LaunchError("USER", "cannot make up a user: the manager is not root")
    number = registry().take(name, owners_of(unit))
    gid = group_id(group) if group and group != name else number
    further = tuple(dict.fromkeys(group_id(each) for each in unit[d.SUPPLEMENTARY_GROUPS]))
    return Account(name, number, gid, further)


def own_account() -> Account:
    """The account the manager itself runs as."""
    try:
        entry = pwd.getpwuid(os.getuid())
    except KeyError:
        return Account(home=os.environ.get("HOME", ""), shell="/bin/sh")
    return Account(entry.pw_name, -1, -1, (), entry.pw_dir, entry.pw_shell or "/bin/sh")


def user_entry(name: str) -> pwd.struct_passwd:
    """The account of a user by name or number. LaunchError (USER)."""
    try:
        return ask(pwd.getpwuid, int(name)) if name.isdecimal() else ask(pwd.getpwnam, name)
    except (KeyError, OverflowError) as error:
        raise LaunchError("USER", f"user {name} does not exist") from error
    except OSError as error:
        raise LaunchError("USER", f"cannot look up user {name}: {error.strerror}") from error


def group_id(name: str) -> int:
    """The number of a group by name or number. LaunchError (GROUP)."""
    try:
        found = ask(grp.getgrgid, int(name)) if name.isdecimal() else ask(grp.getgrnam, name)
    except (KeyError, OverflowError) as error:
        raise LaunchError("GROUP", f"group {name} does not exist") from error
    except OSError as error:
        raise LaunchError("GROUP", f"cannot look up group {name}: {error.strerror}") from error
    return found.gr_gid


def _groups_of(name: str, gid: int) -> list[int]:
    try:
        return ask(groups_of, name, gid)
    except OSError as error:
        raise LaunchError("GROUP", f"{error}") from error


def _check_own(user: str, uid: int, gid: int, groups: list[int]) -> None:
    if user and uid != os.getuid():
        raise LaunchError("USER", f"cannot run as {user}: the manager is not root")
    have = {os.getgid(), *os.getgroups()}
    foreign = ({gid} if gid >= 0 and not (user and gid == os.getgid()) else set()) | set(groups)
    if foreign - have:
        raise LaunchError("GROUP", "cannot change groups: the manager is not root")
