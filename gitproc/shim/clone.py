"""How a process is made: clone3(2) straight into its cgroup, with a pidfd, on every kernel that has it.

CLONE_INTO_CGROUP is worth the raw system call: a write to cgroup.procs after idle waits for a grace period
of the kernel (milliseconds), and a process that was never outside cannot escape being counted. Where
clone3 is blocked (container profiles answer ENOSYS), clone(2) still gives namespaces and the pidfd, and
the child joins its cgroup itself; on an unknown machine os.fork does.

ctypes.PyDLL keeps the interpreter lock across the call, and the PyOS hooks do what os.fork does around it. A
child that is about to exec does without them: in a process of one thread they put right what is not wrong, and
touch some forty pages that are then copied.
"""

from __future__ import annotations

import ctypes
import errno
import os

TYPE_CHECKING = False  # `typing` and `collections` stay out of this process
if TYPE_CHECKING:
    from collections.abc import Callable

CLONE_NEWNS = 0x00020000
CLONE_NEWPID = 0x20000000
CLEAR_HANDLERS = 0x100000000
"""CLONE_CLEAR_SIGHAND: signals that are handled get their default action in the child; clone3 alone has it."""
_CLONE_PIDFD = 0x1000
_CLONE_INTO_CGROUP = 0x200000000
_SIGCHLD = 17
_NR_CLONE3 = 435
_NR_CLONE = {"x86_64": 56, "aarch64": 220}

_libc = ctypes.PyDLL(None, use_errno=True)
_before: Callable[[], None] = ctypes.pythonapi.PyOS_BeforeFork
_after_parent: Callable[[], None] = ctypes.pythonapi.PyOS_AfterFork_Parent
_after_child: Callable[[], None] = ctypes.pythonapi.PyOS_AfterFork_Child

_args = (ctypes.c_uint64 * 11)()  # struct clone_args, version 2
_CALL = (
    ctypes.c_long(_NR_CLONE3), ctypes.c_void_p(ctypes.addressof(_args)), ctypes.c_size_t(88),
)  # fmt: skip
_pidfd = ctypes.c_int(-1)
_legacy_flags: list[int] = []  # not empty: clone3 is not to be had here


class CgroupRefused(OSError):
    """The cgroup does not take the process (errno says why)."""


_WHY = {
    errno.EBUSY: "it hands controllers on to groups below",
    errno.EOPNOTSUPP: "it is in threaded mode, or beside a group that is",
}


def have_clone3() -> bool:
    """Whether clone3 has not (yet) been found blocked."""
    return not _legacy_flags


def clone(flags: int, cgroup: int = -1, *, brief: bool = False) -> tuple[int, int, bool]:
    """Fork with namespace `flags`; (pid, pidfd, by clone3?) in the parent, (0, -1, ...) in the child.

    `cgroup` is a descriptor of a v2 directory, or -1; without clone3 the child is not in it yet. `brief`: the
    child makes a few calls and then execs. OSError as clone3(2).
    """
    if not _legacy_flags:
        into = _CLONE_INTO_CGROUP if cgroup >= 0 else 0
        _args[0] = flags | _CLONE_PIDFD | into
        _args[1] = ctypes.addressof(_pidfd)
        _args[4] = _SIGCHLD
        _args[10] = max(cgroup, 0)
        if not brief:
            _before()
        pid = _libc.syscall(*_CALL)
        if pid == 0:
            if not brief:
                _after_child()
            return 0, -1, True
        code = ctypes.get_errno()
        if not brief:
            _after_parent()
        if pid > 0:
            return pid, _pidfd.value, True
        if code != errno.ENOSYS:
            if into and code in (errno.EBUSY, errno.EOPNOTSUPP, errno.ENODEV, errno.EBADF):
                why = _WHY.get(code, os.strerror(code))
                raise CgroupRefused(code, f"the cgroup takes no process: {why}")
            raise OSError(code, os.strerror(code))
        _legacy_flags.append(flags)
    return _clone_legacy(flags & ~CLEAR_HANDLERS)


def _clone_legacy(flags: int) -> tuple[int, int, bool]:
    number = _NR_CLONE.get(os.uname().machine)
    if number is None:
        if flags:
            raise OSError(errno.ENOSYS, "clone3 is not available")
        pid = os.fork()
        return pid, os.pidfd_open(pid) if pid else -1, False
    _before()
    pid = _libc.syscall(
        ctypes.c_long(number),
        ctypes.c_ulong(flags | _CLONE_PIDFD | _SIGCHLD),
        ctypes.c_void_p(None),
        ctypes.c_void_p(ctypes.addressof(_pidfd)),
        ctypes.c_void_p(None),
        ctypes.c_void_p(None),
    )
    code = ctypes.get_errno()
    if pid == 0:
        _after_child()
        return 0, -1, False
    _after_parent()
    if pid < 0:
        raise OSError(code, os.strerror(code))
    return pid, _pidfd.value, False
