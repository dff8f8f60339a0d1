"""What a notification says, in the manager's terms: its own process ids, its own clock.

A service in a PID namespace names processes as it sees them, and sd_notify(3) counts in CLOCK_MONOTONIC
where the manager lives by CLOCK_BOOTTIME. Numbers that mean nothing here are left out.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection

Fields = tuple[tuple[str, str], ...]


def translate(
    fields: Fields,
    sender: int,
    belongs: Callable[[int], bool],
    members: Callable[[], Collection[int]],
) -> tuple[Fields, str]:
    """The fields as the manager means them, and a sentence about what was left out ("" if nothing).

    `belongs` tells whether a process is the unit's, `members` lists the unit's processes.
    """
    found: list[tuple[str, str]] = []
    problem = ""
    identity = next((value for name, value in fields if name == "MAINPIDFDID"), "")
    for name, value in fields:
        if name == "MAINPID":
            pid = _main_pid(value, sender, members)
            if not pid or not belongs(pid) or (identity and identity != _identity(pid)):
                problem = "a MAINPID= that is none of its processes was ignored"
                continue
            found.append((name, str(pid)))
        elif name == "MONOTONIC_USEC":
            if value.isascii() and value.isdecimal() and len(value) <= 20:
                found.append((name, str(int(value) + _asleep())))
        else:
            found.append((name, value))
    return tuple(found), problem


def _main_pid(value: str, sender: int, members: Callable[[], Collection[int]]) -> int:
    """Our number of the process that `sender` calls `value`; 0 if there is none."""
    if not (value.isascii() and value.isdecimal() and len(value) <= 10):
        return 0
    pid = int(value)
    home = _namespace(sender)
    if home in ("", _namespace(os.getpid())):
        return pid
    for member in members():
        if _namespace(member) == home and _innermost_pid(member) == pid:
            return member
    return 0


def _identity(pid: int) -> str:
    """The inode of a process's pidfd, which no other process ever has (since Linux 6.9); "" if it is gone."""
    try:
        pidfd = os.pidfd_open(pid)
    except OSError:
        return ""
    try:
        return str(os.fstat(pidfd).st_ino)
    finally:
        os.close(pidfd)


def _namespace(pid: int) -> str:
    """The PID namespace of a process; "" if it is gone."""
    try:
        return os.readlink(f"/proc/{pid}/ns/pid")
    except OSError:
        return ""


def _innermost_pid(pid: int) -> int:
    """The number of a process in its own PID namespace; 0 if it is gone."""
    try:
        with open(f"/proc/{pid}/status", encoding="utf-8", errors="replace") as file:
            for line in file:
                if line.startswith("NSpid:"):
                    return int(line.split()[-1])
    except OSError:
        pass
    return 0


def _asleep() -> int:
    """Microseconds by which CLOCK_BOOTTIME is ahead of CLOCK_MONOTONIC.

    Whoever gets no processor between the two finds more, never less: a reload is not taken for one of before.
    """
    monotonic = time.clock_gettime(time.CLOCK_MONOTONIC)
    return max(0, round((time.clock_gettime(time.CLOCK_BOOTTIME) - monotonic) * 1e6))
