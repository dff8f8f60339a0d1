"""What a unit uses, from whichever hierarchy counts it, else from its processes.

Only cheap reads: the unified tree always knows CPU time, memory and tasks where their controllers are;
what no group counts is added up over the members, and then shared memory counts for each of them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from gitproc.immutable import immutable
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


def read_usage(
    directory: str,
    controllers: frozenset[str],
    v1: Hierarchies | None,
    group: str,
    members: Callable[[], list[int]],
) -> Usage:
    """The usage of the unit whose group is `directory` in the unified tree ("" without one), `group` in v1.

    `controllers` are those of the unified tree; `members` lists the unit's processes.
    """
    pids: list[int] | None = None
    memory = memory_peak = memory_max = tasks = tasks_max = None
    if v1 is not None:
        memory, memory_peak, memory_max = v1.memory(group) or (None, None, None)
        tasks, tasks_max = v1.tasks(group) or (None, None)
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
