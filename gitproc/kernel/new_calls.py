"""System calls that the kernel may have and the library has not heard of: what stands before a filter.

A distribution's libseccomp is older than the kernels that run under it, and what a filter does not know it lets
pass. Since Linux 5.1 a new call has one number on all architectures (but alpha and those of mips), so a few
instructions in front of the library's program answer for these calls, whichever architecture makes them.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable

_FIRST = 424
_NAMES = (
    "pidfd_send_signal io_uring_setup io_uring_enter io_uring_register open_tree move_mount fsopen "
    "fsconfig fsmount fspick pidfd_open clone3 close_range openat2 pidfd_getfd faccessat2 "
    "process_madvise epoll_pwait2 mount_setattr quotactl_fd landlock_create_ruleset "
    "landlock_add_rule landlock_restrict_self memfd_secret process_mrelease futex_waitv "
    "set_mempolicy_home_node cachestat fchmodat2 map_shadow_stack futex_wake futex_wait "
    "futex_requeue statmount listmount lsm_get_self_attr lsm_set_self_attr lsm_list_modules mseal "
    "setxattrat getxattrat listxattrat removexattrat open_tree_attr file_getattr file_setattr "
    "listns"
)  # fmt: skip
NUMBERS = {name: number for number, name in enumerate(_NAMES.split(), _FIRST)}
"""Name -> number, by the kernel's scripts/syscall.tbl."""

_X32_BIT = 0x40000000
_LOAD, _AND, _IF_EQUAL, _IF_AT_LEAST, _RETURN = 0x20, 0x54, 0x15, 0x35, 0x06


def answering(rules: Iterable[tuple[str, int]]) -> bytes:
    """Instructions that answer for calls with an action, to be followed by a filter for all the others."""
    answers = {NUMBERS[name]: action for name, action in rules}
    if not answers:
        return b""
    code = [(_LOAD, 0, 0, 0)]  # the number of the call
    if os.uname().machine == "x86_64":
        code.append((_AND, 0, 0, ~_X32_BIT & 0xFFFFFFFF))
    code.append((_IF_AT_LEAST, 0, 2 * len(answers), min(answers)))  # nearly every call is older
    for number, action in sorted(answers.items()):
        code += [(_IF_EQUAL, 0, 1, number), (_RETURN, 0, 0, action)]
    return b"".join(struct.pack("<HBBI", *each) for each in code)
