"""The end of a process that is not our child: what can be learnt of it through its pidfd.

Such a process outlived a former shim, and another process reaps it. Since Linux 6.15 its pidfd still tells
how it ended (PIDFD_GET_INFO, pidfd_open(2)); before, that is lost, and the manager counts it as a failure.
"""

from __future__ import annotations

import fcntl
import os
import struct

from gitproc.shim.mini_init import decode_status

_PIDFD_GET_INFO = 0xC048FF0B  # _IOWR(0xff, 11, 72 bytes)
_INFO_EXIT = 1 << 3
_SIZE, _EXIT_CODE = 72, 60  # bytes; offset of the wait status
_LOST = (0, 0)


def is_our_child(pidfd: int) -> bool:
    """Whether we are the one who reaps it."""
    try:
        os.waitid(os.P_PIDFD, pidfd, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        return True
    except ChildProcessError:
        return False


def exit_of(pidfd: int) -> tuple[int, int]:
    """(CLD_ code, status) of a process that has ended; (0, 0) where the kernel does not tell."""
    info = bytearray(_SIZE)
    struct.pack_into("<Q", info, 0, _INFO_EXIT)
    try:
        fcntl.ioctl(pidfd, _PIDFD_GET_INFO, info)
    except OSError:
        return _LOST
    if not struct.unpack_from("<Q", info)[0] & _INFO_EXIT:
        return _LOST
    return decode_status(struct.unpack_from("<i", info, _EXIT_CODE)[0])
