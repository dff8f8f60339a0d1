"""A step of a child's set-up: the kernel's session keyring (KeyringMode= of systemd.exec(5))."""

from __future__ import annotations

import errno
import os

from gitproc.shim import process

TYPE_CHECKING = False  # `typing` and `collections` stay out of this process
if TYPE_CHECKING:
    from gitproc.shim.setup import Setup

_JOIN_SESSION_KEYRING, _LINK = 1, 8
_SESSION, _USER = -3, -4
#: Containers forbid it, kernels leave it out, users have a quota: none of these has stopped a service yet.
_TOLERATED = (errno.ENOSYS, errno.EPERM, errno.EACCES, errno.EDQUOT)


def join(setup: Setup) -> None:
    """A new session keyring, the user's own; `shared`: with the user's keyring linked into it."""
    mode = setup.spec.get("keyring")
    if not mode:
        return
    uid, gid = setup.spec.get("uid", -1), setup.spec.get("gid", -1)
    changes = os.geteuid() == 0 and (uid > 0 or gid > 0)
    saved_uid, saved_gid = os.getuid(), os.getgid()
    if changes:  # a keyring belongs to the real user of who makes it
        os.setregid(gid, -1)
        os.setreuid(uid, -1)
    try:
        process.keyctl(_JOIN_SESSION_KEYRING, 0)
        if mode == "shared":
            process.keyctl(_LINK, _USER, _SESSION)
    except OSError as error:
        if error.errno not in _TOLERATED:
            raise
    finally:
        if changes:
            os.setreuid(saved_uid, -1)
            os.setregid(saved_gid, -1)
