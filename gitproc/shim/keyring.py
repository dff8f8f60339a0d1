"""A step of a child's set-up: the kernel's session keyring (KeyringMode= of systemd.exec(5))."""

from __future__ import annotations

import errno
import os

from gitproc.shim import process

TYPE_CHECKING = False  # `typing` and `collections` stay out of this process
if TYPE_CHECKING:
    from gitproc.shim.setup import Call, Setup

_JOIN_SESSION_KEYRING, _LINK = 1, 8
_SESSION, _USER = -3, -4
_JOIN = process.keyctl(_JOIN_SESSION_KEYRING, 0)
_LINK_USERS = process.keyctl(_LINK, _USER, _SESSION)
#: Containers forbid it, kernels leave it out, users have a quota: none of these has stopped a service yet.
_TOLERATED = (errno.ENOSYS, errno.EPERM, errno.EACCES, errno.EDQUOT)


def join(setup: Setup) -> list[Call]:
    """A new session keyring, the user's own; `shared`: with the user's keyring linked into it."""
    mode = setup.spec.get("keyring")
    if not mode:
        return []
    uid, gid = setup.spec.get("uid", -1), setup.spec.get("gid", -1)
    if os.geteuid() == 0 and (uid > 0 or gid > 0):
        return [(_join_as, (mode, uid, gid))]
    return [(_join, (mode,))]


def _join_as(mode: str, uid: int, gid: int) -> None:
    """A keyring belongs to the real user of who makes it."""
    saved_uid, saved_gid = os.getuid(), os.getgid()
    os.setregid(gid, -1)
    os.setreuid(uid, -1)
    try:
        _join(mode)
    finally:
        os.setreuid(saved_uid, -1)
        os.setregid(saved_gid, -1)


def _join(mode: str) -> None:
    try:
        process.make(_JOIN)
        if mode == "shared":
            process.make(_LINK_USERS)
    except OSError as error:
        if error.errno not in _TOLERATED:
            raise
