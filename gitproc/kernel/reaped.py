"""Where a process was that is gone: whoever says something and ends at once is heard all the same.

Since Linux 6.16 a message can bring a pidfd of its sender even when nobody knows its pid any more, and that
tells the cgroup it was in (PIDFD_GET_INFO, pidfd_open(2)). A cgroup's id is a file handle of its folder.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import signal
import struct

_GET_INFO = 0xC040FF0B  # _IOWR(0xff, 11, 64 bytes)
_CGROUP_ID, _EXIT = 1 << 2, 1 << 3
_INFO = struct.Struct("QQ48x")  # mask, cgroup id
_KERNFS = 0xFE  # FILEID_KERNFS
_libc = ctypes.CDLL(None, use_errno=True)


class _Handle(ctypes.Structure):
    _fields_ = (("size", ctypes.c_uint), ("kind", ctypes.c_int), ("id", ctypes.c_ulonglong))


def is_gone(pidfd: int) -> bool:
    """Whether the process of a pidfd is gone for good, so that its pid may be another's.

    -1 for no pidfd tells nothing; other numbers below 0 are errors: before Linux 6.16 nobody was found any more.
    """
    if pidfd < 0:
        return pidfd != -1
    try:
        signal.pidfd_send_signal(pidfd, 0)
    except ProcessLookupError:
        return True
    except OSError:
        pass  # it is there, and not ours
    return False


def group_below(base: str, pidfd: int) -> str:
    """The path below `base` (a folder of the v2 hierarchy) of the cgroup that a process is or was in.

    "" if it is not below, the kernel cannot tell, we may not ask, or the group is gone.
    """
    info = bytearray(_INFO.pack(_CGROUP_ID | _EXIT, 0))
    try:
        fcntl.ioctl(pidfd, _GET_INFO, info)
    except OSError:
        return ""
    mask, number = _INFO.unpack(info)
    found = _folder(number, base) if mask & _CGROUP_ID else ""
    return found.removeprefix(f"{base}/") if found.startswith(f"{base}/") else ""


def _folder(number: int, mount: str) -> str:
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
    try:
        at = os.open(mount, flags)
    except OSError:
        return ""
    try:
        found = _libc.open_by_handle_at(at, ctypes.byref(_Handle(8, _KERNFS, number)), flags)
    finally:
        os.close(at)
    if found < 0:
        return ""
    try:
        return os.readlink(f"/proc/self/fd/{found}")
    except OSError:
        return ""
    finally:
        os.close(found)
