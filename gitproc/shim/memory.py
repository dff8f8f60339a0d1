"""Steps of a child's set-up: which node its memory comes from, and what of it a core dump holds (systemd.exec(5))."""

from __future__ import annotations

import errno

from gitproc.shim import process

TYPE_CHECKING = False  # `typing` and `collections` stay out of this process
if TYPE_CHECKING:
    from gitproc.shim.setup import Setup


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
