"""What a unit or slice uses, from whichever hierarchy counts it, else from its processes.

Only cheap reads: the unified tree always knows CPU time, memory and tasks where their controllers are;
what no group counts is added up over the members, and then shared memory counts for each of them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from gitproc.immutable import field, immutable
from gitproc.kernel import cgroup_v2, processes

if TYPE_CHECKING:
    from gitproc.kernel.cgroup_v1 import Hierarchies


@immutable
class Usage:
    """What a unit uses: bytes, threads, seconds. None: not known, or no limit (`*_max`)."""

    memory: int | None = None
    memory_peak: int | None = None
    memory_max: int | None = None
    tasks: int | None = None
    tasks_max: int | None = None
    cpu_seconds: float | None = None


@immutable
class Details:
    """What is looked up only for who asks about few units: bytes, operations, kills.

    `pressure`: percent of the last ten seconds in which somebody waited, by resource, where the kernel tells.
    """

    swap: int | None = None
    io_read: int | None = None
    io_write: int | None = None
    io_reads: int | None = None
    io_writes: int | None = None
    oom_kills: int | None = None
    pressure: dict[str, float] = field(default_factory=dict)


def read_usage(
    directory: str,
    controllers: frozenset[str],
    v1: Hierarchies | None,
    group: str,
    members: Callable[[], list[int]],
    *,
    many: bool = False,
) -> Usage:
    """The usage of the unit whose group is `directory` in the unified tree ("" without one), `group` in v1.

    `controllers` are those of the unified tree; `members` lists the unit's processes. `many`: units lie in it,
    and only what a limit of its own counts in v1 is sure to be all of them.
    """
    pids: list[int] | None = None
    memory = memory_peak = memory_max = tasks = tasks_max = None
    if v1 is not None:
        memory, memory_peak, memory_max = v1.memory(group) or (None, None, None)
        tasks, tasks_max = v1.tasks(group) or (None, None)
        if many and memory_max is None:
            memory = memory_peak = None
        if many and tasks_max is None:
            tasks = None
    if directory and "memory" in controllers:
        memory = cgroup_v2.read_number(directory, "memory.current")
        memory_peak = cgroup_v2.read_number(directory, "memory.peak")
        memory_max = cgroup_v2.read_number(directory, "memory.max")
    if directory and "pids" in controllers:
        tasks = cgroup_v2.read_number(directory, "pids.current")
        tasks_max = cgroup_v2.read_number(directory, "pids.max")
    if memory is None or tasks is None:
        pids = members()
        memory = processes.resident_memory(pids) if memory is None else memory
        tasks = processes.thread_count(pids) if tasks is None else tasks
    if directory:
        spent = cgroup_v2.read_key(directory, "cpu.stat", "usage_usec")
        cpu = None if spent is None else spent / 1e6
    else:
        cpu = processes.cpu_seconds(members() if pids is None else pids)
    return Usage(memory, memory_peak, memory_max, tasks, tasks_max, cpu)


def read_details(
    directory: str,
    controllers: frozenset[str],
    v1: Hierarchies | None,
    group: str,
    oom_kills: int | None,
) -> Details:
    """What `read_usage` leaves out."""
    swap, counts = None, dict[str, int]()
    pressure = {}
    if v1 is not None:
        swap, counts = v1.swap(group), v1.io(group)
    if directory and "memory" in controllers:
        swap = cgroup_v2.read_number(directory, "memory.swap.current")
    if directory and "io" in controllers:
        counts = parse_io(cgroup_v2.read(directory, "io.stat") or "")
    for resource in ("cpu", "memory", "io") if directory else ():
        share = parse_pressure(cgroup_v2.read(directory, f"{resource}.pressure") or "")
        if share is not None:
            pressure[resource] = share
    return Details(
        swap,
        counts.get("rbytes"),
        counts.get("wbytes"),
        counts.get("rios"),
        counts.get("wios"),
        oom_kills,
        pressure,
    )


def parse_io(text: str) -> dict[str, int]:
    """The sums over all disks of `io.stat`; zeros where nothing was done yet."""
    found = dict.fromkeys(("rbytes", "wbytes", "rios", "wios"), 0)
    for line in text.splitlines():
        for word in line.split()[1:]:
            key, _, value = word.partition("=")
            if key in found and value.isdecimal():
                found[key] += int(value)
    return found


def parse_pressure(text: str) -> float | None:
    """`some avg10=1.50 ...`: percent of ten seconds; None where the kernel does not tell."""
    words = text.partition("\n")[0].split()
    for word in words[1:] if words[:1] == ["some"] else ():
        key, _, value = word.partition("=")
        if key == "avg10":
            return float(value)
    return None
