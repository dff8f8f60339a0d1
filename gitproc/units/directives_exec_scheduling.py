"""Rows of the directive table for how the kernel runs and spares processes (systemd.exec(5))."""

from __future__ import annotations

from typing import Any

from gitproc.units.directive import Change, Directive, Repeat, Support
from gitproc.units.rows import exactly, flag, one
from gitproc.units.timespan import parse_nanoseconds
from gitproc.units.values import (
    parse_boolean,
    parse_cpu_set,
    parse_nice,
    parse_oom_score_adjust,
    parse_unsigned,
)

OF_NODES = -1
"""In place of a processor's number: those of the nodes of NUMAMask=."""
_IO_CLASSES = ("none", "realtime", "best-effort", "idle")  # in the kernel's order


def parse_policy(value: str) -> str:
    """Name of a CPU scheduling policy; ValueError for those that need more than a priority."""
    return exactly("other", "batch", "idle", "fifo", "rr")(value)


def parse_io_class(value: str) -> int:
    """The kernel's number of an I/O scheduling class, by name or number."""
    if value in _IO_CLASSES:
        return _IO_CLASSES.index(value)
    try:
        return parse_unsigned(value, 0, 3)
    except ValueError:
        raise ValueError(f"'{value}' is not one of {', '.join(_IO_CLASSES)}") from None


def parse_priority(value: str) -> int:
    """Real-time priority, 0 (none) or 1 (lowest) to 99."""
    return parse_unsigned(value, 0, 99)


def parse_io_priority(value: str) -> int:
    """0 (highest) to 7."""
    return parse_unsigned(value, 0, 7)


def parse_cpus(value: str) -> frozenset[int]:
    """Processors: `0-3 8,9`; `numa` is OF_NODES."""
    return frozenset({OF_NODES}) if value == "numa" else parse_cpu_set(value)


NICE = one("Service", "Nice", parse_nice, 0, "Nice level, -20 to 19.")
OOM_SCORE_ADJUST = one(
    "Service",
    "OOMScoreAdjust",
    parse_oom_score_adjust,
    0,
    "Bias of the kernel's OOM killer, -1000 (never) to 1000.",
)
CPU_SCHEDULING_POLICY = one(
    "Service",
    "CPUSchedulingPolicy",
    parse_policy,
    "other",
    "CPU scheduling: other, batch, idle, fifo, rr.",
)
CPU_SCHEDULING_PRIORITY = one(
    "Service",
    "CPUSchedulingPriority",
    parse_priority,
    0,
    "Real-time priority, 1 to 99, for fifo and rr.",
)
CPU_SCHEDULING_RESET_ON_FORK = flag(
    "Service", "CPUSchedulingResetOnFork", False, "Children start with the usual scheduling."
)
CPU_AFFINITY: Directive[frozenset[int]] = Directive(
    "Service",
    "CPUAffinity",
    parse_cpus,
    frozenset(),
    Repeat.LIST,
    Change.RESTART,
    Support.ENFORCED,
    "Processors to run on: 0-3 8,9; numa: those of NUMAMask=.",
)
IO_SCHEDULING_CLASS = one(
    "Service",
    "IOSchedulingClass",
    parse_io_class,
    2,
    "I/O scheduling class: realtime, best-effort, idle.",
)
IO_SCHEDULING_PRIORITY = one(
    "Service", "IOSchedulingPriority", parse_io_priority, 4, "I/O priority, 0 (highest) to 7."
)
TIMER_SLACK_NSEC: Directive[int | None] = one(
    "Service",
    "TimerSlackNSec",
    parse_nanoseconds,
    None,
    "How late timers may fire, to save wake-ups (nanoseconds).",
)
MEMORY_KSM: Directive[bool | None] = one(
    "Service", "MemoryKSM", parse_boolean, None, "Let the kernel merge equal pages, or not."
)

ROWS: tuple[Directive[Any], ...] = (
    NICE,
    OOM_SCORE_ADJUST,
    CPU_SCHEDULING_POLICY,
    CPU_SCHEDULING_PRIORITY,
    CPU_SCHEDULING_RESET_ON_FORK,
    CPU_AFFINITY,
    IO_SCHEDULING_CLASS,
    IO_SCHEDULING_PRIORITY,
    TIMER_SLACK_NSEC,
    MEMORY_KSM,
)
