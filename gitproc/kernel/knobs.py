"""What a unit's settings mean in the kernel's words: the control files of a unified group, and their texts.

One knob is one file. Its text is what the unit wants, or the kernel's default; so writing all knobs of a
group is also how a limit is lifted. The v1 hierarchies are told the same in other words (`cgroup_v1.py`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from gitproc.immutable import field, immutable
from gitproc.kernel.limits import host_memory, host_tasks
from gitproc.units import directives as d
from gitproc.units import directives_resources as r
from gitproc.units.control import asks, has, own
from gitproc.units.directive import Directive
from gitproc.units.service_types import OOMPolicy
from gitproc.units.shares import IDLE, ForDevice, weight_of_block_io, weight_of_shares
from gitproc.units.sizes import Amount
from gitproc.units.unit import Unit

NO_RATE = "max"
COUNTS = "io.stat"
"""Of this file no more is wanted than that the group has it."""
#: The kernel refuses quotas below a millisecond, and periods above a second.
_QUOTA_MIN = 1_000
_PERIOD_MAX = 1_000_000


@immutable
class Knob:
    """One control file. `text`: what it shall hold; `by_disk`: lines of a file that has one for each disk.

    `asked`: the unit sets it; else the kernel's default is meant.
    """

    directive: str
    controller: str
    file: str
    text: str
    asked: bool = False
    by_disk: Mapping[str, str] = field(default_factory=dict)


@immutable
class Wishes:
    """All knobs of a unit, and what could not be made one (a path on no disk), one sentence each."""

    knobs: tuple[Knob, ...]
    problems: tuple[str, ...] = ()

    @property
    def asked(self) -> tuple[Knob, ...]:
        """Those that the unit sets."""
        return tuple(knob for knob in self.knobs if knob.asked)


def wishes_of(unit: Unit, above: Sequence[Unit], disk_of: Callable[[str], str]) -> Wishes:
    """The knobs of a unit. `above`: the slices it lies in, as far as they are defined, innermost first.

    `disk_of` turns a path into `MAJOR:MINOR` and raises HostError.
    """
    disks = _Disks(unit, disk_of)
    knobs = [*_memory(unit, above), *_processor(unit), *_tasks(unit), *_io(unit, disks)]
    return Wishes(tuple(knobs), tuple(disks.problems))


def plain(unit: Unit, above: Sequence[Unit]) -> bool:
    """Whether a fresh group is already as the unit wants it: the common case, decided cheaply."""
    if asks(unit) or unit.values.get(d.OOM_POLICY.key) is OOMPolicy.KILL:
        return False
    return not any(has(each, x) for each in above for x in _INHERITED)


_INHERITED: tuple[Directive[Amount], ...] = (r.DEFAULT_MEMORY_MIN, r.DEFAULT_MEMORY_LOW)


def cpu_max(quota: float | None, period: float = 0.1) -> str:
    """The text for `cpu.max`: a quota in CPUs (None: no limit) over a period in seconds.

    The period grows where the quota would fall below what the kernel takes, as systemd does it.
    """
    micros = round(period * 1_000_000)
    if quota is None:
        return f"max {micros}"
    micros = min(max(micros, math.ceil(_QUOTA_MIN / quota)), _PERIOD_MAX)
    return f"{max(_QUOTA_MIN, round(quota * micros))} {micros}"


def ranges(numbers: Iterable[int]) -> str:
    """`0-3,8`: as cpuset files write it."""
    found: list[list[int]] = []
    for number in sorted(numbers):
        if found and found[-1][1] == number - 1:
            found[-1][1] = number
        else:
            found.append([number, number])
    return ",".join(str(low) if low == high else f"{low}-{high}" for low, high in found)


def _memory(unit: Unit, above: Sequence[Unit]) -> Iterable[Knob]:
    for directive, default, name in (
        (r.MEMORY_MIN, r.DEFAULT_MEMORY_MIN, "memory.min"),
        (r.MEMORY_LOW, r.DEFAULT_MEMORY_LOW, "memory.low"),
    ):
        value, asked = own(unit, directive), has(unit, directive)
        if not asked:
            giver = next((each for each in above if has(each, default)), None)
            if giver is not None:
                value, asked = own(giver, default), True
        yield _bytes(directive, name, value, asked=asked)
    for directive, name in (
        (r.MEMORY_HIGH, "memory.high"),
        (r.MEMORY_MAX, "memory.max"),
        (r.MEMORY_SWAP_MAX, "memory.swap.max"),
        (r.MEMORY_ZSWAP_MAX, "memory.zswap.max"),
    ):
        yield _bytes(directive, name, own(unit, directive), asked=has(unit, directive))
    writeback = "1" if own(unit, r.MEMORY_ZSWAP_WRITEBACK) else "0"
    yield Knob(
        r.MEMORY_ZSWAP_WRITEBACK.name,
        "memory",
        "memory.zswap.writeback",
        writeback,
        asked=writeback == "0",
    )
    if unit.kind == "service":
        kill = unit[d.OOM_POLICY] is OOMPolicy.KILL
        yield Knob(d.OOM_POLICY.name, "memory", "memory.oom.group", "1" if kill else "0", kill)


def _bytes(directive: Directive[Amount], name: str, value: Amount, *, asked: bool) -> Knob:
    count = value.of(host_memory())
    return Knob(directive.name, "memory", name, "max" if count is None else str(count), asked)


def _processor(unit: Unit) -> Iterable[Knob]:
    weight = own(unit, r.CPU_WEIGHT)
    shares = own(unit, r.CPU_SHARES)
    if weight is None and shares is not None:
        weight = weight_of_shares(shares)
    idle = weight == IDLE
    yield Knob("CPUWeight", "cpu", "cpu.idle", "1" if idle else "0", asked=idle)
    if not idle:  # an idle group has no weight to be read
        asked = weight is not None
        yield Knob("CPUWeight", "cpu", "cpu.weight", str(weight or 100), asked)
    quota = own(unit, r.CPU_QUOTA)
    text = cpu_max(quota, own(unit, r.CPU_QUOTA_PERIOD_SEC))
    yield Knob("CPUQuota", "cpu", "cpu.max", text, asked=quota is not None)
    for directive, name in (
        (r.ALLOWED_CPUS, "cpuset.cpus"),
        (r.ALLOWED_MEMORY_NODES, "cpuset.mems"),
    ):
        numbers = own(unit, directive)
        yield Knob(directive.name, "cpuset", name, ranges(numbers), asked=bool(numbers))


def _tasks(unit: Unit) -> Iterable[Knob]:
    count = own(unit, r.TASKS_MAX).of(host_tasks())
    text = "max" if count is None else str(count)
    yield Knob("TasksMax", "pids", "pids.max", text, asked=count is not None)


class _Disks:
    """The per-disk settings of one unit, by `MAJOR:MINOR`."""

    def __init__(self, unit: Unit, disk_of: Callable[[str], str]) -> None:
        self._unit = unit
        self._disk_of = disk_of
        self.problems: list[str] = []

    def values(self, directive: Directive[tuple[ForDevice, ...]]) -> dict[str, int]:
        """What a directive sets; the last one for a disk counts."""
        from gitproc.errors import HostError

        found: dict[str, int] = {}
        for path, value in own(self._unit, directive):
            try:
                disk = self._disk_of(path)
            except HostError as error:
                self.problems.append(f"{directive}= is not enforced: {error.message}")
                continue
            if value is None:
                found.pop(disk, None)
            else:
                found[disk] = value
        return found


_RATES = (
    ("rbps", r.IO_READ_BANDWIDTH_MAX),
    ("wbps", r.IO_WRITE_BANDWIDTH_MAX),
    ("riops", r.IO_READ_IOPS_MAX),
    ("wiops", r.IO_WRITE_IOPS_MAX),
)


_WEIGHTS: tuple[Directive[Any], ...] = (
    r.IO_WEIGHT, r.BLOCK_IO_WEIGHT, r.IO_DEVICE_WEIGHT, r.BLOCK_IO_DEVICE_WEIGHT,
)  # fmt: skip


def _io(unit: Unit, disks: _Disks) -> Iterable[Knob]:
    weight, old = own(unit, r.IO_WEIGHT), own(unit, r.BLOCK_IO_WEIGHT)
    if weight is None and old is not None:
        weight = weight_of_block_io(old)
    weights = {**disks.values(r.BLOCK_IO_DEVICE_WEIGHT), **disks.values(r.IO_DEVICE_WEIGHT)}
    named = [x.name for x in _WEIGHTS if has(unit, x)]
    yield Knob(
        "=, ".join(named) or "IOWeight",
        "io",
        "io.weight",
        str(weight or 100),
        weight is not None or bool(weights),
        {disk: str(value) for disk, value in weights.items()},
    )
    lines: dict[str, dict[str, int]] = {}
    names = []
    for key, directive in _RATES:
        found = disks.values(directive)
        if found:
            names.append(directive.name)
        for disk, value in found.items():
            lines.setdefault(disk, {})[key] = value
    texts = {
        disk: " ".join(f"{key}={values.get(key, NO_RATE)}" for key, _ in _RATES)
        for disk, values in lines.items()
    }
    name = "=, ".join(names) or "IOReadBandwidthMax"
    yield Knob(name, "io", "io.max", "", bool(texts), texts)
    targets = disks.values(r.IO_DEVICE_LATENCY_TARGET_SEC)
    yield Knob(
        r.IO_DEVICE_LATENCY_TARGET_SEC.name,
        "io",
        "io.latency",
        "",
        bool(targets),
        {disk: f"target={value}" for disk, value in targets.items()},
    )
    if own(unit, r.IO_ACCOUNTING):
        yield Knob(r.IO_ACCOUNTING.name, "io", COUNTS, "", asked=True)
