"""What percentages in limits are of: this machine's memory and tasks."""

from __future__ import annotations

from functools import cache

from gitproc.kernel import processes


@cache
def host_memory() -> int:
    """What percentages of memory are of: the machine's RAM, in bytes."""
    return processes.memory_total()


@cache
def host_tasks() -> int:
    """What percentages of tasks are of: the smaller of the kernel's limits on pids and on threads."""
    found = []
    for name in ("pid_max", "threads-max"):
        try:
            with open(f"/proc/sys/kernel/{name}", encoding="ascii") as file:
                found.append(int(file.read()))
        except (OSError, ValueError):
            continue
    return min(found, default=32768)
