"""What the kernel knows of a process: identity, family, title, use of memory and CPU; and sure signals.

A process is its pid *and* its start time: pids come again, pairs do not. Signals therefore go through
pidfds that are checked after they were opened. psutil is imported where it is first needed: the manager
starts without it, and only machines without cgroups use it all the time.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from functools import cache

from gitproc.immutable import NamedTuple

#: Signals that a following SIGCONT would undo, or that need none.
_NOT_CONTINUED = frozenset(
    (signal.SIGKILL, signal.SIGCONT, signal.SIGSTOP, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU)
)
#: SIGKILL stops forking, so each round leaves at most what was being forked: this is more than enough.
_ROUNDS = 64
_PAGE = os.sysconf("SC_PAGE_SIZE")
_TICKS = os.sysconf("SC_CLK_TCK")
_EXITING = 4  # PF_EXITING of linux/sched.h


class Stat(NamedTuple):
    """The fields of /proc/PID/stat that matter here. Times in clock ticks."""

    state: str
    parent: int
    session: int
    flags: int
    cpu_ticks: int
    start_time: int


@cache
def boot_id() -> str:
    """The kernel's random id of this boot ("" where /proc does not say)."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return ""


def stat(pid: int) -> Stat | None:
    """/proc/PID/stat, parsed from the last parenthesis (a command name may hold anything)."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return None
    if len(fields) < 20:
        return None
    return Stat(
        fields[0].decode(),
        int(fields[1]),
        int(fields[3]),
        int(fields[6]),
        int(fields[11]) + int(fields[12]),
        int(fields[19]),
    )


def start_time(pid: int) -> int | None:
    """When the process started, in clock ticks since boot (field 22 of stat); None if there is none."""
    found = stat(pid)
    return None if found is None else found.start_time


def is_alive(pid: int, started: int = 0) -> bool:
    """Whether the process lives and is no zombie. `started`: its start time, 0 for whoever has the pid."""
    found = stat(pid)
    return (
        found is not None
        and found.state not in ("Z", "X", "x")
        and (not started or found.start_time == started)
    )


def is_leaving(pid: int) -> bool:
    """Whether the process ends by now, or has: it runs nothing of its own and makes no child any more."""
    found = stat(pid)
    return found is None or bool(found.flags & _EXITING)


def title(pid: int, limit: int = 256) -> str:
    """The command line for people, cut to `limit` characters; `[name]` where it has none, "" if gone."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            raw = file.read(4 * limit)
        if not raw.strip(b"\0 "):
            with open(f"/proc/{pid}/comm", "rb") as file:
                raw = b"[" + file.read().rstrip(b"\n") + b"]"
    except OSError:
        return ""
    text = raw.rstrip(b"\0").replace(b"\0", b" ").decode("utf-8", "replace")
    return "".join(char if char.isprintable() else "?" for char in text)[:limit]


def environment_value(pid: int, name: str) -> str | None:
    """One variable of the environment the process was started with; None if unset or not ours to read."""
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            raw = file.read()
    except OSError:
        return None
    prefix = name.encode() + b"="
    for entry in raw.split(b"\0"):
        if entry.startswith(prefix):
            return entry[len(prefix) :].decode("utf-8", "surrogateescape")
    return None


def all_pids() -> list[int]:
    """Every process of this PID namespace."""
    import psutil

    return psutil.pids()


def descendants(pid: int) -> list[int]:
    """Every process below `pid`, zombies left out."""
    import psutil

    try:
        below = psutil.Process(pid).children(recursive=True)
    except psutil.Error:
        return []
    return [each.pid for each in below if is_alive(each.pid)]


def memory_total() -> int:
    """The machine's RAM in bytes."""
    return os.sysconf("SC_PHYS_PAGES") * _PAGE


def resident_memory(pids: Iterable[int]) -> int:
    """Resident bytes of these processes, shared pages counted for each."""
    total = 0
    for pid in pids:
        with suppress(OSError, IndexError, ValueError), open(f"/proc/{pid}/statm", "rb") as file:
            total += int(file.read().split()[1]) * _PAGE
    return total


def cpu_seconds(pids: Iterable[int]) -> float:
    """CPU time of these processes so far, in seconds; that of those already gone is lost."""
    found = (stat(pid) for pid in pids)
    return sum(each.cpu_ticks for each in found if each is not None) / _TICKS


def thread_count(pids: Iterable[int]) -> int:
    """Threads of these processes: what TasksMax= counts."""
    total = 0
    for pid in pids:
        with suppress(OSError):
            total += len(os.listdir(f"/proc/{pid}/task"))
    return total


def signal_process(pid: int, started: int, signo: int) -> bool:
    """Signal one process by pid and start time; False if it is gone. PermissionError if refused."""
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        return False
    try:
        if started and start_time(pid) != started:
            return False
        signal.pidfd_send_signal(pidfd, signo)
        return True
    except ProcessLookupError:
        return False
    finally:
        os.close(pidfd)


def signal_members(
    members: Callable[[], Collection[int]],
    signo: int,
    spare: Collection[int] = (),
    known: tuple[int, int] = (0, -1),
) -> int:
    """Signal every process that `members` lists but those of `spare`; returns how many were reached.

    Each is signalled once, by a pidfd after which it was still listed, so a pid that comes again elsewhere
    is never hit; rounds go on until nobody new is found. SIGCONT follows, so that stopped ones see it.
    `known`: a pid, and a pidfd that is of it; it comes first, and need not be looked for.
    """
    reached: set[int] = set()
    if known[0] and known[0] not in spare and _signal(known[1], signo):
        reached.add(known[0])
    for _ in range(_ROUNDS):
        fresh = [pid for pid in members() if pid not in reached and pid not in spare]
        handles: dict[int, int] = {}
        try:
            for pid in fresh:
                with suppress(OSError):
                    handles[pid] = os.pidfd_open(pid)
            if not handles:
                break
            still = set(members())
            for pid, handle in handles.items():
                if pid in still:
                    reached.add(pid)
                    _signal(handle, signo)
        finally:
            for handle in handles.values():
                os.close(handle)
    return len(reached)


def _signal(pidfd: int, signo: int) -> bool:
    try:
        signal.pidfd_send_signal(pidfd, signo)
    except OSError:
        return False
    if signo not in _NOT_CONTINUED:
        with suppress(OSError):
            signal.pidfd_send_signal(pidfd, signal.SIGCONT)
    return True


def guess_main(pids: Iterable[int], reaper: int) -> int | None:
    """The main process of a forking service without a PID file, as systemd guesses it.

    It is the one process of the unit whose parent is the service manager (`reaper`: the shim); with
    several of them there is no telling.
    """
    found = None
    for pid in pids:
        known = stat(pid)
        if known is None or known.state in ("Z", "X", "x") or known.parent != reaper:
            continue
        if found is not None:
            return None
        found = pid
    return found
