"""Whether two descriptors are one open file: then a duplicate of one that is kept need not be kept as well.

Linux 6.10 says so by fcntl(2); before that kcmp(2) does, which kernels may lack and sandboxes forbid. Where
neither answers, sockets are told by their inode, each of which has one open file, and others count as two.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import stat

_DUPFD_QUERY = 1024 + 3  # F_DUPFD_QUERY
_KCMP = {"x86_64": 312, "aarch64": 272, "riscv64": 272, "loongarch64": 272, "i686": 349,
         "armv7l": 378, "ppc64le": 354, "s390x": 343}  # fmt: skip
_KCMP_FILE = 0
_libc = ctypes.CDLL(None, use_errno=True)


def is_same(one: int, other: int) -> bool:
    """Whether writing to one moves the other on, too."""
    for ask in (_by_fcntl, _by_kcmp):
        known = ask(one, other)
        if known is not None:
            return known
    mine, theirs = os.fstat(one), os.fstat(other)
    same = (mine.st_dev, mine.st_ino) == (theirs.st_dev, theirs.st_ino)
    return same and stat.S_ISSOCK(mine.st_mode)


def _by_fcntl(one: int, other: int) -> bool | None:
    try:
        return fcntl.fcntl(one, _DUPFD_QUERY, other) == 1
    except OSError:
        return None


def _by_kcmp(one: int, other: int) -> bool | None:
    number, pid = _KCMP.get(os.uname().machine), os.getpid()
    if number is None:
        return None
    words = (number, pid, pid, _KCMP_FILE, one, other)
    result: int = _libc.syscall(*(ctypes.c_long(word) for word in words))
    return None if result < 0 else result == 0
