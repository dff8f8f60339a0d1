"""Steps of a child's set-up: standard input, output and error (StandardInput= and its kin of systemd.exec(5)).

Descriptors that the shim has are placed first; files, terminals and data are opened here, in the child, as
the manager's user: an open that blocks (a FIFO) holds up nobody else. A link on the way to a file is followed
only if nobody but us could have put it there.
"""

from __future__ import annotations

import _socket
import errno
import fcntl
import os
import stat
import time

from gitproc.shim import directories, process

TYPE_CHECKING = False  # `typing` and `collections` stay out of this process
if TYPE_CHECKING:
    from typing import Any

    from gitproc.shim.setup import Call, Setup, Spec

_HOW = {
    "read": os.O_RDONLY,
    "both": os.O_RDWR | os.O_CREAT,
    "write": os.O_WRONLY | os.O_CREAT,
    "append": os.O_WRONLY | os.O_CREAT | os.O_APPEND,
    "truncate": os.O_WRONLY | os.O_CREAT | os.O_TRUNC,
}
_TIOCSCTTY = 0x540E
_F_ADD_SEALS, _SEALS = 1033, 0xF  # no sealing any more, no shrinking, growing, writing
_TERMINAL_PAUSE = 0.5  # seconds between attempts to get a terminal that somebody else has


def place(setup: Setup) -> list[Call]:
    """Descriptors at 0, 1, 2 ...; the pipe for reports above them."""
    if min(setup.report, *setup.fds) < len(setup.fds):
        return [(_make_room, (setup,))]
    return [(os.dup2, (fd, target)) for target, fd in enumerate(setup.fds)]


def _make_room(setup: Setup) -> None:
    count = len(setup.fds)
    fds = [_above(fd, count) for fd in setup.fds]
    setup.report = _above(setup.report, count)
    for target, fd in enumerate(fds):
        os.dup2(fd, target)


def has_input(spec: Spec) -> bool:
    """Whether something is to be done for standard input once its descriptor is in its place."""
    return isinstance(spec.get("stdin"), dict)


def has_output(spec: Spec) -> bool:
    """Likewise, for standard output."""
    return _is_special(spec.get("output"))


def has_error(spec: Spec) -> bool:
    """Likewise, for standard error, which without a word of its own is as the output."""
    return _is_special(spec["error"] if "error" in spec else spec.get("output"))


def _is_special(wanted: Any) -> bool:
    return wanted == "stdin" or (isinstance(wanted, dict) and "log" not in wanted)


def open_input(setup: Setup) -> None:
    """StandardInput= where it is a file, data or a terminal."""
    wanted = setup.spec.get("stdin")
    _wait_for(wanted, 0)
    if made_by_child(wanted):
        _put(_open(wanted, setup), 0)


def open_output(setup: Setup) -> None:
    """StandardOutput= where it is a file, a terminal, or as the input."""
    wanted = setup.spec.get("output")
    _wait_for(wanted, 1)
    if wanted == "stdin":
        os.dup2(0, 1)
    elif made_by_child(wanted):
        _put(_open(wanted, setup), 1)


def open_error(setup: Setup) -> None:
    """StandardError= likewise; without it, as the output."""
    if "error" not in setup.spec:
        output = setup.spec.get("output")
        if output == "stdin" or made_by_child(output):
            os.dup2(1, 2)
        return
    wanted = setup.spec["error"]
    _wait_for(wanted, 2)
    if wanted == "stdin":
        os.dup2(0, 2)
    elif made_by_child(wanted):
        _put(_open(wanted, setup), 2)


def own_terminal(setup: Setup) -> None:
    """The terminal on standard input becomes its user's."""
    uid = setup.spec.get("uid", -1)
    if uid >= 0 and isinstance(setup.spec.get("stdin"), dict) and "tty" in setup.spec["stdin"]:
        os.fchmod(0, 0o620)
        os.fchown(0, uid, -1)


def made_by_child(wanted: Any) -> bool:
    """Whether a stream is opened in the child, rather than by the shim before it."""
    return isinstance(wanted, dict) and ("file" in wanted or "tty" in wanted or "data" in wanted)


def _wait_for(wanted: Any, target: int) -> None:
    """A descriptor that was handed over does not answer EAGAIN: what reads a standard stream does not expect it."""
    if isinstance(wanted, dict) and "fd" in wanted:
        os.set_blocking(target, True)


def _open(wanted: Any, setup: Setup) -> int:
    if "data" in wanted:
        return _data(wanted["data"])
    if "tty" in wanted:
        return _terminal(wanted["tty"], wanted.get("acquire", ""))
    before = os.umask(setup.spec.get("umask", 0o022))
    try:
        return _file(wanted["file"], wanted["how"])
    finally:
        os.umask(before)


def _file(path: str, how: str) -> int:
    flags = _HOW[how] | os.O_NOCTTY | os.O_CLOEXEC
    try:
        return directories.open_below(path, flags, 0o666)
    except OSError as error:
        if error.errno != errno.ENXIO:
            raise
    # A socket cannot be opened, but connected to: to this one, whatever takes its place meanwhile.
    node = directories.open_below(path, os.O_PATH | os.O_CLOEXEC, 0)
    try:
        if not stat.S_ISSOCK(os.fstat(node).st_mode):
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
        sock = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
        try:
            sock.connect(f"/proc/self/fd/{node}")
        except BaseException:
            sock.close()
            raise
    finally:
        os.close(node)
    if how != "both":
        sock.shutdown(_socket.SHUT_WR if how == "read" else _socket.SHUT_RD)
    return sock.detach()


def _data(content: bytes) -> int:
    memfd = os.memfd_create("data-fd", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        view = memoryview(content)
        while view:
            view = view[os.write(memfd, view) :]
        fcntl.fcntl(memfd, _F_ADD_SEALS, _SEALS)
        return os.open(f"/proc/self/fd/{memfd}", os.O_RDONLY | os.O_CLOEXEC)
    finally:
        os.close(memfd)


def _terminal(path: str, acquire: str) -> int:
    """A terminal, made the controlling one where `acquire` says how: wait, force, or fail."""
    fd = directories.open_below(path, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC, 0)
    if not os.isatty(fd):
        raise OSError(errno.ENOTTY, os.strerror(errno.ENOTTY), path)
    while acquire:
        try:
            fcntl.ioctl(fd, _TIOCSCTTY, int(acquire == "force"))
            break
        except PermissionError:
            if acquire != "wait":
                raise
            time.sleep(_TERMINAL_PAUSE)
    return fd


def _put(fd: int, target: int) -> None:
    os.dup2(fd, target)
    if fd > 2:
        os.close(fd)


def _above(fd: int, count: int) -> int:
    return process.duplicate_above(fd, count) if fd < count else fd
