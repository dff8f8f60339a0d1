"""Steps of a child's set-up: where its memory comes from, what of it is dumped, and what is code (systemd.exec(5))."""

from __future__ import annotations

import errno

from gitproc.shim import process

TYPE_CHECKING = False  # `typing` and `collections` stay out of this process
if TYPE_CHECKING:
    from gitproc.shim.setup import Setup

_PR_SET_MDWE, _REFUSE_EXEC_GAIN = 65, 1


def dump_filter(setup: Setup) -> None:
    """CoredumpFilter=."""
    if "coredump_filter" in setup.spec:
        process.write_small("/proc/self/coredump_filter", hex(setup.spec["coredump_filter"]))


def nodes(setup: Setup) -> None:
    """NUMAPolicy= and NUMAMask=, where the kernel has such."""
    if "numa" in setup.spec:
        try:
            process.set_memory_policy(*setup.spec["numa"])
        except OSError as error:
            if error.errno not in (errno.ENOSYS, errno.EOPNOTSUPP):
                raise
            setup.warn("NUMAPolicy= is not supported by this kernel")


def no_new_code(_: Setup) -> None:
    """MemoryDenyWriteExecute=, by the kernel itself where it can (Linux 6.3).

    A filter of system calls does not see what personality(2) adds to a mapping (READ_IMPLIES_EXEC).
    """
    try:
        process.prctl(_PR_SET_MDWE, _REFUSE_EXEC_GAIN)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
