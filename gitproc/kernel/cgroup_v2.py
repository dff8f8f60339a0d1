"""One group of the unified cgroup tree: its files by name, its processes, its end.

Everything goes through plain reads and writes of the kernel's files; a group that is gone reads as empty.
"""

from __future__ import annotations

import errno
import os
import signal
from contextlib import suppress

from gitproc.kernel.processes import signal_members


def read(group: str, name: str) -> str | None:
    """The text of one control file; None where the group or the controller is not there."""
    try:
        return _text(group, name)
    except OSError:
        return None


def _text(group: str, name: str) -> str:
    fd = os.open(f"{group}/{name}", os.O_RDONLY | os.O_CLOEXEC)
    try:
        parts = []
        while part := os.read(fd, 65536):
            parts.append(part)
        return b"".join(parts).decode("ascii", "replace")
    finally:
        os.close(fd)


def read_number(group: str, name: str) -> int | None:
    """A control file that holds one number; None for `max` and for files that are not there."""
    text = (read(group, name) or "").strip()
    return int(text) if text.isdecimal() else None


def read_key(group: str, name: str, key: str) -> int | None:
    """One value of a flat keyed control file (`memory.events`, `cpu.stat`)."""
    for line in (read(group, name) or "").splitlines():
        found, _, value = line.partition(" ")
        if found == key and value.isdecimal():
            return int(value)
    return None


def write(group: str, name: str, text: str) -> None:
    """Write one control file; OSError as the kernel answers."""
    fd = os.open(f"{group}/{name}", os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, text.encode("ascii"))
    finally:
        os.close(fd)


def subgroups(group: str) -> list[str]:
    """`group` and every group below it, children before parents."""
    found = [group]
    for path in found:
        with suppress(OSError):
            # The kernel counts a group's children as links; a listing would name forty files as well.
            if os.stat(path).st_nlink > 2:
                with os.scandir(path) as entries:
                    found += [x.path for x in entries if x.is_dir(follow_symlinks=False)]
    return found[::-1]


def pids(group: str) -> list[int]:
    """Every process of the group and of those below it; processes of other PID namespaces are left out."""
    found: list[int] = []
    for each in subgroups(group):
        found.extend(
            int(line) for line in (read(each, "cgroup.procs") or "").split() if line != "0"
        )
    return found


def populated(group: str) -> bool:
    """Whether a living process is in the group or below it; False for a group that is gone.

    Where that cannot be found out for want of a descriptor there may be: better somebody is waited for in vain
    than left running as nobody's.
    """
    try:
        return "populated 1" in _text(group, "cgroup.events")
    except OSError as error:
        return error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOMEM)


def kill(
    group: str, signo: int, spare: tuple[int, ...] = (), known: tuple[int, int] = (0, -1)
) -> int:
    """Signal every process of the tree but those of `spare`; returns how many were reached.

    `known`: a pid, and a pidfd that is of it.

    SIGKILL goes in rounds over the members until a round finds nobody new; the tree is frozen meanwhile,
    so that nobody forks away. Not through `cgroup.kill`: since the fix of its race with fork(2) (Linux 6.14,
    and backports of it), whatever is later cloned into that group (CLONE_INTO_CGROUP) is killed at birth,
    and ExecStopPost= or the next instance may well be.
    """
    if signo != signal.SIGKILL:
        return signal_members(lambda: pids(group), signo, spare, known)
    freeze(group, True)
    try:
        return signal_members(lambda: pids(group), signo, spare)
    finally:
        freeze(group, False)


def freeze(group: str, frozen: bool) -> None:
    """Stop every process of the tree, or have them go on, where the kernel can."""
    with suppress(OSError):
        write(group, "cgroup.freeze", str(int(frozen)))


def remove(group: str) -> bool:
    """Remove the group and the empty groups below it; False if one is still busy."""
    try:
        os.rmdir(group)  # most have none below
        return True
    except FileNotFoundError:
        return True
    except OSError:
        done = True
    for each in subgroups(group):
        try:
            os.rmdir(each)
        except FileNotFoundError:
            continue
        except OSError:
            done = False
    return done


def controllers(group: str, name: str = "cgroup.controllers") -> frozenset[str]:
    """The controllers that `group` may use (or, by `cgroup.subtree_control`, passes on)."""
    return frozenset((read(group, name) or "").split())


def enable(group: str, wanted: frozenset[str]) -> frozenset[str]:
    """Pass `wanted` controllers on to the children of `group`, one by one; returns those now passed on."""
    have = controllers(group, "cgroup.subtree_control")
    for controller in sorted(wanted & controllers(group) - have):
        with suppress(OSError):
            write(group, "cgroup.subtree_control", f"+{controller}")
    return controllers(group, "cgroup.subtree_control") & wanted


def evacuate(group: str, leaf: str) -> None:
    """Move every process of `group` itself into its child `leaf`: inner groups may hold none.

    Repeated, since a process may fork while it is moved. OSError if the leaf cannot be made.
    """
    with suppress(FileExistsError):
        os.mkdir(f"{group}/{leaf}", 0o755)
    for _ in range(10):
        members = (read(group, "cgroup.procs") or "").split()
        if not members:
            return
        for pid in members:
            with suppress(OSError):
                write(f"{group}/{leaf}", "cgroup.procs", pid)
