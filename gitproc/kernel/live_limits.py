"""The limits that a unit's groups have now, to be held against those it should have."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gitproc.kernel import cgroup_v2
from gitproc.kernel.limits import Limits

if TYPE_CHECKING:
    from gitproc.kernel.cgroup_v1 import Hierarchies

_PAGE = 65536  # bytes, the largest page: the kernel rounds memory limits down to whole ones

Live = dict[str, float | None]


def read_limits(
    directory: str, controllers: frozenset[str], v1: Hierarchies | None, group: str
) -> Live:
    """By directive: bytes, CPUs, threads; None: no limit. What no controller enforces is left out."""
    found: Live = {}
    if v1 is not None:
        for directive, controller in (
            ("MemoryMax", "memory"),
            ("CPUQuota", "cpu"),
            ("TasksMax", "pids"),
        ):
            if v1.has(controller):
                found[directive] = v1.limit_of(controller, group)
    if directory and "memory" in controllers:
        found["MemoryMax"] = cgroup_v2.read_number(directory, "memory.max")
    if directory and "cpu" in controllers:
        found["CPUQuota"] = _cpus(cgroup_v2.read(directory, "cpu.max") or "max")
    if directory and "pids" in controllers:
        found["TasksMax"] = cgroup_v2.read_number(directory, "pids.max")
    return found


def _cpus(text: str) -> float | None:
    quota, _, period = text.strip().partition(" ")
    return None if quota == "max" else int(quota) / int(period or cgroup_v2.CPU_PERIOD)


def differences(live: Live, wanted: Limits) -> list[str]:
    """`MemoryMax is 32M, and 64M in the commit` for each that differs by more than the kernel's rounding."""
    cpu = wanted.cpu
    quota = None if cpu is None else cgroup_v2.cpu_quota(cpu) / cgroup_v2.CPU_PERIOD
    found = []
    for directive, value, tolerance in (
        ("MemoryMax", wanted.memory, _PAGE),
        ("CPUQuota", quota, 0.0001),
        ("TasksMax", wanted.tasks, 0.5),
    ):
        if directive not in live:
            continue
        now = live[directive]
        if now is None or value is None:
            same = now is value
        else:
            same = abs(now - value) < tolerance
        if not same:
            texts = _text(directive, now), _text(directive, value)
            found.append(f"{directive} is {texts[0]}, and {texts[1]} in the commit")
    return found


def _text(directive: str, value: float | None) -> str:
    if value is None:
        return "infinity"
    if directive == "MemoryMax":
        return _bytes(int(value))
    return f"{value:.0%}" if directive == "CPUQuota" else f"{int(value)}"


def _bytes(count: int) -> str:
    """As unit files write it, exactly."""
    for suffix in "KMGT":
        if count % 1024 or not count:
            return f"{count}{' KMGT'[' KMGT'.index(suffix) - 1]}".rstrip()
        count //= 1024
    return f"{count}T"
