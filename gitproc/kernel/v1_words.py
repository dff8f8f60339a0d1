"""The knobs of a unified group in the words of the v1 controllers, and back.

What v1 has nothing like (memory.high, swap alone) is not there: the unit is told so by name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from gitproc.immutable import NamedTuple

CONTROLLER = {"io": "blkio"}
"""What a controller of the unified tree is called in v1, where that differs."""
#: Larger values mean "no limit": the kernel shows its own maximum, rounded to pages.
UNLIMITED = 1 << 62


class Words(NamedTuple):
    """The files behind one knob. `tell`: its text as theirs, `hear`: theirs as its text."""

    files: tuple[str, ...]
    tell: Callable[[str], tuple[str, ...]]
    hear: Callable[[tuple[str, ...]], str]


def _shares(weight: str) -> tuple[str, ...]:
    return (str(max(2, round(int(weight) * 1024 / 100))),)


def _quota(text: str) -> tuple[str, ...]:
    quota, _, period = text.partition(" ")
    return period, "-1" if quota == "max" else quota


def _heard_quota(texts: tuple[str, ...]) -> str:
    period, quota = texts
    return f"{'max' if quota.startswith('-') else quota} {period}"


def _same(text: str) -> tuple[str, ...]:
    return (text,)


def _first(texts: tuple[str, ...]) -> str:
    return texts[0]


WORDS: Mapping[str, Words] = {
    "memory.max": Words(
        ("memory.limit_in_bytes",),
        lambda text: ("-1" if text == "max" else text,),
        lambda texts: "max" if int(texts[0]) >= UNLIMITED else texts[0],
    ),
    "cpu.max": Words(("cpu.cfs_period_us", "cpu.cfs_quota_us"), _quota, _heard_quota),
    "cpu.weight": Words(
        ("cpu.shares",), _shares, lambda texts: str(round(int(texts[0]) * 100 / 1024))
    ),
    "cpu.idle": Words(("cpu.idle",), _same, _first),
    "pids.max": Words(("pids.max",), _same, _first),
    "cpuset.cpus": Words(("cpuset.cpus",), _same, _first),
    "cpuset.mems": Words(("cpuset.mems",), _same, _first),
}

RATES = {
    "rbps": "blkio.throttle.read_bps_device",
    "wbps": "blkio.throttle.write_bps_device",
    "riops": "blkio.throttle.read_iops_device",
    "wiops": "blkio.throttle.write_iops_device",
}
"""The parts of a line of `io.max`, and the file of each."""
WEIGHT = "blkio.bfq.weight"
WEIGHT_OF_DISK = "blkio.bfq.weight_device"
"""BFQ's weights, which stand for `io.weight`: for all disks, and by disk."""
