"""How the kernel is to run and to spare a command, as the shim's spec says it (systemd.exec(5))."""

from __future__ import annotations

import os
import resource
from typing import Any

from gitproc.kernel.launch import LaunchContext
from gitproc.kernel.spec_memory import processors_of
from gitproc.units import directives as d
from gitproc.units import directives_exec_scheduling as e
from gitproc.units.unit import Unit

_POLICIES = {
    "other": os.SCHED_OTHER,
    "batch": os.SCHED_BATCH,
    "idle": os.SCHED_IDLE,
    "fifo": os.SCHED_FIFO,
    "rr": os.SCHED_RR,
}
_BEST_EFFORT = 2


def scheduling_of(unit: Unit, context: LaunchContext, warnings: list[str]) -> dict[str, Any]:
    """The keys of the spec for what the unit sets; nothing for what it does not."""
    spec: dict[str, Any] = {}
    if unit.has(d.OOM_SCORE_ADJUST):
        spec["oom_score_adjust"] = unit[d.OOM_SCORE_ADJUST]
    if unit.has(d.NICE):
        spec["nice"] = _nice(unit[d.NICE], context, warnings)
    if unit.has(e.CPU_SCHEDULING_POLICY) or unit.has(e.CPU_SCHEDULING_PRIORITY):
        spec["scheduling"] = _policy(unit)
    cpus = unit[e.CPU_AFFINITY]
    if e.OF_NODES in cpus:
        cpus = cpus - {e.OF_NODES} | processors_of(unit)
    if cpus:
        spec["cpus"] = sorted(cpus)
    if unit.has(e.IO_SCHEDULING_CLASS) or unit.has(e.IO_SCHEDULING_PRIORITY):
        # "none" means what the kernel makes of it, and that is best-effort.
        kind = unit[e.IO_SCHEDULING_CLASS] or _BEST_EFFORT
        spec["io_priority"] = [kind, unit[e.IO_SCHEDULING_PRIORITY]]
    slack, merge = unit[e.TIMER_SLACK_NSEC], unit[e.MEMORY_KSM]
    if slack is not None:
        spec["timer_slack"] = slack
    if merge is not None:
        spec["memory_ksm"] = merge
    return spec


def _policy(unit: Unit) -> list[int | bool]:
    """A real-time policy has a priority, of at least 1; the others have none."""
    name, priority = unit[e.CPU_SCHEDULING_POLICY], unit[e.CPU_SCHEDULING_PRIORITY]
    priority = max(priority, 1) if name in ("fifo", "rr") else 0
    return [_POLICIES[name], priority, unit[e.CPU_SCHEDULING_RESET_ON_FORK]]


def _nice(wanted: int, context: LaunchContext, warnings: list[str]) -> int:
    """As far as RLIMIT_NICE lets an ordinary user go (it counts 20 - nice)."""
    if context.privileged:
        return wanted
    now = os.getpriority(os.PRIO_PROCESS, 0)
    lowest = min(now, 20 - resource.getrlimit(13)[0])
    if wanted >= lowest:
        return wanted
    warnings.append(f"Nice={wanted} needs root: {lowest} is used")
    return lowest
