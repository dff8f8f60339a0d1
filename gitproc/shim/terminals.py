"""Making a terminal fit for the next who uses it: TTYReset= and its kin of systemd.exec(5).

Done by the child before it opens its terminal, and by the manager when the unit has ended. Every opening is
non-blocking: a line that is flow-controlled holds nobody up.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import struct

TYPE_CHECKING = False  # `typing` and `collections` stay out of this process
if TYPE_CHECKING:
    from gitproc.shim.setup import Setup

_TIOCNXCL, _TIOCVHANGUP, _TIOCGWINSZ, _TIOCSWINSZ = 0x540D, 0x5437, 0x5413, 0x5414
_KDSETMODE, _KD_TEXT, _KDSKBMODE, _K_UNICODE, _VT_DISALLOCATE = 0x4B3A, 0, 0x4B45, 3, 0x5608
_IUTF8, _ECHOCTL, _ECHOKE = 0o40000, 0o1000, 0o4000  # `termios` has no names for these
_WINDOW = struct.Struct("4H")
_OPEN = os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC
_SCREEN = b"\x1b[r\x1b[H\x1b[2J"  # all lines scroll, home, clear
_SCREEN_AND_PAST = b"\x1b[r\x1b[H\x1b[3J\x1bc"


def before(setup: Setup) -> None:
    """What the unit asks for, before it opens the terminal; what cannot be had is said, as it is no reason to fail."""
    if "terminal" in setup.spec:
        for text in make_fit(*setup.spec["terminal"]):
            setup.warn(text)


def make_fit(
    path: str, hangup: bool, reset: bool, rows: int | None, columns: int | None, disallocate: bool
) -> list[str]:
    """Disconnect who has it open, bring it to its usual settings and size (None: as it is), clear it away.

    Returns what could not be done, one sentence each.
    """
    problems: list[str] = []
    steps = (
        ("hung up", hangup, _hang_up),
        ("reset", reset, _reset),
        ("sized", (rows, columns) != (None, None), lambda fd: _resize(fd, rows, columns)),
    )
    for what, wanted, perform in steps:
        if wanted:
            _try(problems, path, what, perform)
    if disallocate:
        number = virtual(path)
        if not number or not _try([], "/dev/tty0", "", lambda fd: _deallocate(fd, number)):
            clear = _SCREEN_AND_PAST if number else _SCREEN
            _try(problems, path, "cleared", lambda fd: os.write(fd, clear))
    return problems


def virtual(path: str) -> int:
    """The number of a virtual terminal of the machine's console; 0 for any other path."""
    number = path.removeprefix("/dev/tty")
    return int(number) if number != path and number.isascii() and number.isdigit() else 0


def _try(problems: list[str], path: str, what: str, perform: object) -> bool:
    fd = -1
    try:
        fd = open_terminal(path)
        perform(fd)  # type: ignore[operator]
    except OSError as error:
        problems.append(f"terminal {path} cannot be {what}: {error.strerror}")
        return False
    finally:
        if fd >= 0:
            os.close(fd)
    return True


def open_terminal(path: str) -> int:
    """The terminal at `path`, not to be this process's own; OSError if there is none."""
    if not stat.S_ISCHR(os.stat(path).st_mode):
        raise OSError(errno.ENOTTY, os.strerror(errno.ENOTTY), path)
    fd = os.open(path, _OPEN)
    if os.isatty(fd):
        return fd
    os.close(fd)
    raise OSError(errno.ENOTTY, os.strerror(errno.ENOTTY), path)


def _hang_up(fd: int) -> None:
    fcntl.ioctl(fd, _TIOCVHANGUP)


def _reset(fd: int) -> None:
    import termios as t

    fcntl.ioctl(fd, _TIOCNXCL)
    for request, value in ((_KDSETMODE, _KD_TEXT), (_KDSKBMODE, _K_UNICODE)):
        try:
            fcntl.ioctl(fd, request, value)
        except OSError:
            continue  # not a virtual terminal
    flags = t.tcgetattr(fd)
    flags[0] &= ~(t.IGNBRK | t.BRKINT | t.ISTRIP | t.INLCR | t.IGNCR)
    flags[0] |= t.ICRNL | t.IMAXBEL | _IUTF8
    flags[1] |= t.OPOST | t.ONLCR
    flags[2] |= t.CREAD
    flags[3] = t.ISIG | t.ICANON | t.IEXTEN | t.ECHO | t.ECHOE | t.ECHOK | _ECHOCTL | _ECHOKE
    keys = flags[6]
    for key, byte in (
        (t.VINTR, 3), (t.VQUIT, 28), (t.VERASE, 127), (t.VKILL, 21), (t.VEOF, 4), (t.VSTART, 17),
        (t.VSTOP, 19), (t.VSUSP, 26), (t.VLNEXT, 22), (t.VWERASE, 23), (t.VREPRINT, 18),
        (t.VEOL, 0), (t.VEOL2, 0), (t.VTIME, 0), (t.VMIN, 1),
    ):  # fmt: skip
        keys[key] = bytes((byte,))
    t.tcsetattr(fd, t.TCSANOW, flags)
    t.tcflush(fd, t.TCIOFLUSH)


def _resize(fd: int, rows: int | None, columns: int | None) -> None:
    now = _WINDOW.unpack(fcntl.ioctl(fd, _TIOCGWINSZ, bytes(_WINDOW.size)))
    size = (now[0] if rows is None else rows, now[1] if columns is None else columns)
    fcntl.ioctl(fd, _TIOCSWINSZ, _WINDOW.pack(*size, *now[2:]))


def _deallocate(fd: int, number: int) -> None:
    fcntl.ioctl(fd, _VT_DISALLOCATE, number)
