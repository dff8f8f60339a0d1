"""The system calls of mounts that go by descriptor: fsopen(2), open_tree(2), move_mount(2), mount_setattr(2).

A mount is made apart from the tree and put in its place by two descriptors, so that nothing on the way can
be changed under our hands. They are there since Linux 5.12; before, OSError (ENOSYS).
"""

from __future__ import annotations

import ctypes
import errno
import os

_libc = ctypes.PyDLL(None, use_errno=True)
for _name in ("syscall", "unshare", "mount", "umount2"):
    getattr(_libc, _name)  # looked up now, and not by each child
_NR_OPEN_TREE, _NR_MOVE_MOUNT, _NR_FSOPEN, _NR_FSCONFIG, _NR_FSMOUNT = 428, 429, 430, 431, 432
_NR_OPENAT2, _NR_MOUNT_SETATTR = 437, 442  # since these, numbers are the same on all machines
_NR_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41, "riscv64": 41}
_AT_FDCWD, _AT_EMPTY_PATH, _AT_RECURSIVE, _AT_NO_AUTOMOUNT = -100, 0x1000, 0x8000, 0x800
_CLOEXEC = os.O_CLOEXEC
_FROM_FD, _TO_FD = 0x4, 0x40  # MOVE_MOUNT_{F,T}_EMPTY_PATH
_SET_FLAG, _SET_STRING, _CREATE = 0, 1, 6
_NO_XDEV, _NO_SYMLINKS = 0x01, 0x04
_MNT_DETACH = 2

RDONLY, NOSUID, NODEV, NOEXEC, STRICTATIME = 1, 2, 4, 8, 0x20
"""MOUNT_ATTR_* flags."""
_ATTRIBUTES = {
    "ro": RDONLY, "nosuid": NOSUID, "nodev": NODEV, "noexec": NOEXEC, "noatime": 0x10,
    "strictatime": STRICTATIME, "relatime": 0,
}  # fmt: skip
_ATTRIBUTES_OFF = {"rw": RDONLY, "suid": NOSUID, "dev": NODEV, "exec": NOEXEC}
CLONE_NEWNS, CLONE_NEWCGROUP, CLONE_NEWUTS = 0x00020000, 0x02000000, 0x04000000
CLONE_NEWIPC, CLONE_NEWUSER, CLONE_NEWNET = 0x08000000, 0x10000000, 0x40000000


class _Attributes(ctypes.Structure):
    _fields_ = tuple((name, ctypes.c_uint64) for name in ("set", "clear", "propagation", "userns"))


class _How(ctypes.Structure):
    _fields_ = tuple((name, ctypes.c_uint64) for name in ("flags", "mode", "resolve"))


def _call(number: int, *args: object) -> int:
    words = [ctypes.c_long(x) if isinstance(x, int) else x for x in args]
    result: int = _libc.syscall(ctypes.c_long(number), *words)
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result


def unshare(kinds: int) -> None:
    """New namespaces of these kinds for this process."""
    if _libc.unshare(ctypes.c_int(kinds)) < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def join(fd: int, kind: int) -> None:
    """Enter the namespace of this kind that `fd` is of."""
    if _libc.setns(ctypes.c_int(fd), ctypes.c_int(kind)) < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def copy_tree(fd: int, *, recursive: bool = True) -> int:
    """What is at `fd` as a mount of its own, attached nowhere, with what is mounted below it."""
    flags = _AT_EMPTY_PATH | _AT_NO_AUTOMOUNT | _CLOEXEC | 1
    return _call(_NR_OPEN_TREE, fd, b"", flags | (_AT_RECURSIVE if recursive else 0))


def attach(mount: int, place: int) -> None:
    """Put a mount that is attached nowhere over the file or folder `place`."""
    _call(_NR_MOVE_MOUNT, mount, b"", place, b"", _FROM_FD | _TO_FD)


def restrict(mount: int, attributes: int, *, recursive: bool = True) -> None:
    """Set attributes of the mount whose root `mount` is, and of those below it; none is ever taken away."""
    what = _Attributes(attributes, 0, 0, 0)
    flags = _AT_EMPTY_PATH | (_AT_RECURSIVE if recursive else 0)
    _call(_NR_MOUNT_SETATTR, mount, b"", flags, ctypes.byref(what), ctypes.sizeof(what))


def new_file_system(kind: str, options: str = "", attributes: int = 0) -> int:
    """A file system of its own, attached nowhere. `options` as of mount(8); OSError (EINVAL) for a wrong one."""
    context = _call(_NR_FSOPEN, kind.encode(), 1)
    try:
        for option in filter(None, options.split(",")):
            if option in _ATTRIBUTES:
                attributes |= _ATTRIBUTES[option]
                continue
            if option in _ATTRIBUTES_OFF:
                attributes &= ~_ATTRIBUTES_OFF[option]
                continue
            name, equals, value = option.partition("=")
            try:
                if equals:
                    _call(_NR_FSCONFIG, context, _SET_STRING, name.encode(), value.encode(), 0)
                else:
                    _call(_NR_FSCONFIG, context, _SET_FLAG, name.encode(), None, 0)
            except OSError as error:
                raise OSError(error.errno, os.strerror(error.errno or 0), option) from None
        _call(_NR_FSCONFIG, context, _CREATE, None, None, 0)
        return _call(_NR_FSMOUNT, context, 1, attributes)
    finally:
        os.close(context)


def open_plain(path: str, below: int = _AT_FDCWD, *, same_mount: bool = False) -> int:
    """An O_PATH descriptor of a path on which no link may be; OSError (ELOOP) where there is one.

    `below`: the folder that a relative path begins at; `same_mount`: nothing may be mounted on the way (EXDEV).
    """
    how = _How(os.O_PATH | _CLOEXEC, 0, _NO_SYMLINKS | (_NO_XDEV if same_mount else 0))
    try:
        return _call(_NR_OPENAT2, below, os.fsencode(path), ctypes.byref(how), ctypes.sizeof(how))
    except OSError as error:
        raise OSError(error.errno, os.strerror(error.errno or 0), path) from None


def is_mount_point(path: str) -> bool:
    """Whether something is mounted at an absolute path without links, which is there."""
    above, _, name = path.rpartition("/")
    if not name:
        return True
    folder = open_plain(above or "/")
    try:
        os.close(open_plain(name, folder, same_mount=True))
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        return True
    finally:
        os.close(folder)
    return False


def change_root(mount: int) -> None:
    """Make the attached mount `mount` the root of this process and of its namespace.

    No path leads to the old one any more, but its mounts can still be copied by descriptor, until `leave_old_root`.
    """
    number = _NR_PIVOT_ROOT.get(os.uname().machine)
    if number is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    os.fchdir(mount)
    _call(number, b".", b".")
    os.chdir("/")


def leave_old_root() -> None:
    """Take away the root before the last `change_root`: it lies over the new one."""
    os.chdir("/")
    if _libc.umount2(b".", ctypes.c_int(_MNT_DETACH)) < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def propagate(flag: int) -> None:
    """Set the propagation (MS_SLAVE, MS_SHARED, MS_PRIVATE) of all mounts there are."""
    if _libc.mount(None, b"/", None, ctypes.c_ulong(0x4000 | flag), None) < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), "/")
