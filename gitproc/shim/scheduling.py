"""Steps of a child's set-up: when, where and how urgently the kernel runs it, and spares it (systemd.exec(5))."""

from __future__ import annotations

import errno
import os
import resource

from gitproc.shim import process

TYPE_CHECKING = False  # `typing` and `collections` stay out of this process
if TYPE_CHECKING:
    from gitproc.shim.setup import Call, Setup

_RLIMIT_NICE = 13
_PR_SET_TIMERSLACK = 29
_PR_SET_MEMORY_MERGE = 67


def oom_score(setup: Setup) -> list[Call]:
    """OOMScoreAdjust=; without it, what the shim lowered for itself is given back."""
    adjust = setup.spec.get("oom_score_adjust", 0 if setup.host.oom_lowered else None)
    return [] if adjust is None else [(_adjust_oom_score, (setup, adjust))]


def _adjust_oom_score(setup: Setup, adjust: int) -> None:
    try:
        process.write_small("/proc/self/oom_score_adj", str(adjust))
    except PermissionError:
        setup.warn(f"OOM score adjustment {adjust} is not permitted here")


def policy(setup: Setup) -> None:
    """CPUSchedulingPolicy=, CPUSchedulingPriority=, CPUSchedulingResetOnFork=."""
    if "scheduling" in setup.spec:
        number, priority, reset_on_fork = setup.spec["scheduling"]
        if reset_on_fork:
            number |= os.SCHED_RESET_ON_FORK
        os.sched_setscheduler(0, number, os.sched_param(priority))


def niceness(setup: Setup) -> None:
    """Nice=, or where that is not permitted, as close to it as RLIMIT_NICE (20 - nice) lets us come."""
    if "nice" not in setup.spec:
        return
    wanted = setup.spec["nice"]
    try:
        os.setpriority(os.PRIO_PROCESS, 0, wanted)
    except PermissionError:
        now = os.getpriority(os.PRIO_PROCESS, 0)
        if wanted >= now:
            raise
        closest = min(now, 20 - resource.getrlimit(_RLIMIT_NICE)[0])
        os.setpriority(os.PRIO_PROCESS, 0, closest)
        setup.warn(f"nice level {wanted} is not permitted here: {closest} is used")


def affinity(setup: Setup) -> None:
    """CPUAffinity=."""
    if setup.spec.get("cpus"):
        os.sched_setaffinity(0, setup.spec["cpus"])


def io_priority(setup: Setup) -> None:
    """IOSchedulingClass= and IOSchedulingPriority=."""
    if "io_priority" in setup.spec:
        kind, level = setup.spec["io_priority"]
        process.set_io_priority(kind, level)


def timer_slack(setup: Setup) -> None:
    """TimerSlackNSec=."""
    if "timer_slack" in setup.spec:
        process.prctl(_PR_SET_TIMERSLACK, setup.spec["timer_slack"])


def merge_pages(setup: Setup) -> None:
    """MemoryKSM=, where the kernel can."""
    if "memory_ksm" in setup.spec:
        try:
            process.prctl(_PR_SET_MEMORY_MERGE, int(setup.spec["memory_ksm"]))
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS):
                raise
            setup.warn("MemoryKSM= is not supported by this kernel")
