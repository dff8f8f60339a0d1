"""The end of a process that is not our child: what can be learnt of it through its pidfd.

Such a process outlived a former shim, and another process reaps it. Until then /proc tells how it ended, and
after that, since Linux 6.15, its pidfd (PIDFD_GET_INFO, pidfd_open(2)); on older kernels the race for it may
be lost, and the manager counts that as a failure.
"""

from __future__ import annotations

import fcntl
import os
import struct

from gitproc.shim import process
from gitproc.shim.mini_init import decode_status

_PIDFD_GET_INFO = 0xC048FF0B  # _IOWR(0xff, 11, 72 bytes)
_INFO_EXIT = 1 << 3
_SIZE, _EXIT_CODE = 72, 60  # bytes; offset of the wait status
_STAT_EXIT_CODE = 49  # of the fields after the name (proc_pid_stat(5): 52, of all)
_LOST = (0, 0)


def is_our_child(pidfd: int) -> bool:
    """Whether we are the one who reaps it."""
    try:
        os.waitid(os.P_PIDFD, pidfd, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        return True
    except ChildProcessError:
        return False


def exit_of(pid: int, pidfd: int) -> tuple[int, int]:
    """(CLD_ code, status) of a process that has ended; (0, 0) where the kernel does not tell."""
    found = _of_zombie(pid)  # it may be reaped in this moment: then its pidfd tells
    return _of_reaped(pidfd) if found == _LOST else found


def _of_zombie(pid: int) -> tuple[int, int]:
    try:
        fields = process.read_small(f"/proc/{pid}/stat").rpartition(b")")[2].split()
        if fields[0] in (b"Z", b"X"):
            return decode_status(int(fields[_STAT_EXIT_CODE]))
    except (OSError, ValueError, IndexError):
        pass
    return _LOST


def _of_reaped(pidfd: int) -> tuple[int, int]:
    info = bytearray(_SIZE)
    struct.pack_into("<Q", info, 0, _INFO_EXIT)
    try:
        fcntl.ioctl(pidfd, _PIDFD_GET_INFO, info)
    except OSError:
        return _LOST
    if not struct.unpack_from("<Q", info)[0] & _INFO_EXIT:
        return _LOST
    return decode_status(struct.unpack_from("<i", info, _EXIT_CODE)[0])
