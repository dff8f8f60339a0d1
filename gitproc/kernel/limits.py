"""What a unit's resource limits are on this machine: percentages made absolute, infinity made None."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from gitproc.kernel import processes
from gitproc.units import directives as d
from gitproc.units.unit import Unit


@dataclass(frozen=True, slots=True)
class Limits:
    """Bytes, CPUs (1.5 = 150 %) and threads; None: no limit."""

    memory: int | None = None
    cpu: float | None = None
    tasks: int | None = None


def limits_of(unit: Unit) -> Limits:
    """`MemoryMax=`, `CPUQuota=` and `TasksMax=` of a unit (systemd.resource-control(5))."""
    return Limits(
        unit[d.MEMORY_MAX].of(host_memory()),
        unit[d.CPU_QUOTA],
        unit[d.TASKS_MAX].of(host_tasks()),
    )


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
