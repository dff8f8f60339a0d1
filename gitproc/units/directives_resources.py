"""Rows of the directive table for limits and shares: systemd.resource-control(5), services and slices.

The constants are those of services; a slice has the same directives in a section of its own (`control.own`
reads whichever a unit has). They are live: they change the groups of what runs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

from gitproc.units.directive import Change, Directive, Specifiers, Support
from gitproc.units.directives_access import (
    DEVICE_ALLOW,
    DEVICE_POLICY,
    IP_ADDRESS_ALLOW,
    IP_ADDRESS_DENY,
)
from gitproc.units.directives_access import ROWS as ACCESS_ROWS
from gitproc.units.directives_resources_known import known_rows
from gitproc.units.rows import flag, known, one, several
from gitproc.units.shares import (
    ForDevice,
    parse_block_io_weight,
    parse_controllers,
    parse_cpu_shares,
    parse_cpu_weight,
    parse_delegate,
    parse_device_old_weights,
    parse_device_rates,
    parse_device_targets,
    parse_device_weights,
    parse_period,
    parse_slice,
    parse_subgroup,
    parse_weight,
)
from gitproc.units.values import (
    Amount,
    parse_amount,
    parse_cpu_quota,
    parse_cpu_set,
    parse_positive_amount,
    parse_tasks,
)

__all__ = [
    "DEVICE_ALLOW",
    "DEVICE_POLICY",
    "IP_ADDRESS_ALLOW",
    "IP_ADDRESS_DENY",
    "LIVE",
    "ROWS",
    "SLICE_ROWS",
]

T = TypeVar("T")


def _limit(name: str, parse: Callable[[str], T], default: T, doc: str) -> Directive[T]:
    return one("Service", name, parse, default, doc, Change.LIVE)


def _devices(
    name: str, parse: Callable[[str], tuple[ForDevice, ...]], doc: str
) -> Directive[tuple[ForDevice, ...]]:
    return several("Service", name, parse, doc, Change.LIVE)


_NO_LIMIT = Amount()
_NOTHING = Amount(0)
_PERCENT = "in bytes (K, M, G, T) or percent of the machine's"

MEMORY_MIN = _limit(
    "MemoryMin", parse_amount, _NOTHING, f"Memory that is never reclaimed, {_PERCENT}."
)
MEMORY_LOW = _limit(
    "MemoryLow", parse_amount, _NOTHING, f"Memory that is reclaimed last, {_PERCENT}."
)
DEFAULT_MEMORY_MIN = _limit(
    "DefaultMemoryMin", parse_amount, _NOTHING, "MemoryMin= of the units below that set none."
)
DEFAULT_MEMORY_LOW = _limit(
    "DefaultMemoryLow", parse_amount, _NOTHING, "MemoryLow= of the units below that set none."
)
MEMORY_HIGH = _limit(
    "MemoryHigh",
    parse_positive_amount,
    _NO_LIMIT,
    f"Memory above which the unit is slowed down, {_PERCENT}.",
)
MEMORY_MAX = _limit("MemoryMax", parse_positive_amount, _NO_LIMIT, f"Most memory {_PERCENT}.")
MEMORY_SWAP_MAX = _limit("MemorySwapMax", parse_amount, _NO_LIMIT, f"Most swap {_PERCENT}.")
MEMORY_ZSWAP_MAX = _limit(
    "MemoryZSwapMax", parse_amount, _NO_LIMIT, f"Most compressed swap {_PERCENT}."
)
MEMORY_ZSWAP_WRITEBACK = flag(
    "Service",
    "MemoryZSwapWriteback",
    True,
    "Whether compressed swap may move on to disk.",
    Change.LIVE,
)
TASKS_MAX = _limit(
    "TasksMax",
    parse_tasks,
    _NO_LIMIT,
    "Most processes and threads, as a number or percent of the machine's.",
)
CPU_WEIGHT: Directive[int | None] = _limit(
    "CPUWeight",
    parse_cpu_weight,
    None,
    "Share of CPU time among siblings, 1 to 10000 (100), or idle.",
)
CPU_SHARES: Directive[int | None] = _limit(
    "CPUShares", parse_cpu_shares, None, "Old form of CPUWeight=, 2 to 262144 (1024)."
)
CPU_QUOTA: Directive[float | None] = _limit(
    "CPUQuota",
    parse_cpu_quota,
    None,
    "CPU time in percent of one processor (150% is one and a half).",
)
CPU_QUOTA_PERIOD_SEC = _limit(
    "CPUQuotaPeriodSec", parse_period, 0.1, "The period of CPUQuota=, 1 ms to 1 s (100 ms)."
)
ALLOWED_CPUS: Directive[frozenset[int]] = _limit(
    "AllowedCPUs", parse_cpu_set, frozenset(), "Processors to run on."
)
ALLOWED_MEMORY_NODES: Directive[frozenset[int]] = _limit(
    "AllowedMemoryNodes", parse_cpu_set, frozenset(), "Memory nodes to use."
)
IO_WEIGHT: Directive[int | None] = _limit(
    "IOWeight",
    parse_weight,
    None,
    "Share of disk I/O among siblings, 1 to 10000 (100), of disks that BFQ or io.cost.qos shares out.",
)
BLOCK_IO_WEIGHT: Directive[int | None] = _limit(
    "BlockIOWeight", parse_block_io_weight, None, "Old form of IOWeight=, 10 to 1000 (500)."
)
IO_DEVICE_WEIGHT = _devices(
    "IODeviceWeight", parse_device_weights, "IOWeight= of one disk: a path on it, a weight."
)
BLOCK_IO_DEVICE_WEIGHT = _devices(
    "BlockIODeviceWeight", parse_device_old_weights, "Old form of IODeviceWeight=."
)
IO_READ_BANDWIDTH_MAX = _devices(
    "IOReadBandwidthMax",
    parse_device_rates,
    "Most bytes read per second of a disk: a path on it, a rate (K, M, G by 1000).",
)
IO_WRITE_BANDWIDTH_MAX = _devices(
    "IOWriteBandwidthMax",
    parse_device_rates,
    "Most bytes written per second of a disk: a path on it, a rate (K, M, G by 1000).",
)
IO_READ_IOPS_MAX = _devices(
    "IOReadIOPSMax", parse_device_rates, "Most reads per second of a disk: a path on it, a rate."
)
IO_WRITE_IOPS_MAX = _devices(
    "IOWriteIOPSMax", parse_device_rates, "Most writes per second of a disk: a path on it, a rate."
)
IO_DEVICE_LATENCY_TARGET_SEC = _devices(
    "IODeviceLatencyTargetSec",
    parse_device_targets,
    "Latency of a disk to aim at: a path on it, a span.",
)
IO_ACCOUNTING = flag(
    "Service", "IOAccounting", False, "Count what is read from disks and written.", Change.LIVE
)
DISABLE_CONTROLLERS = several(
    "Service",
    "DisableControllers",
    parse_controllers,
    "Controllers that no group below has.",
    Change.LIVE,
)
LIMIT_ROWS: tuple[Directive[Any], ...] = (
    MEMORY_MIN,
    MEMORY_LOW,
    DEFAULT_MEMORY_MIN,
    DEFAULT_MEMORY_LOW,
    MEMORY_HIGH,
    MEMORY_MAX,
    MEMORY_SWAP_MAX,
    MEMORY_ZSWAP_MAX,
    MEMORY_ZSWAP_WRITEBACK,
    TASKS_MAX,
    CPU_WEIGHT,
    CPU_SHARES,
    CPU_QUOTA,
    CPU_QUOTA_PERIOD_SEC,
    ALLOWED_CPUS,
    ALLOWED_MEMORY_NODES,
    IO_WEIGHT,
    BLOCK_IO_WEIGHT,
    IO_DEVICE_WEIGHT,
    BLOCK_IO_DEVICE_WEIGHT,
    IO_READ_BANDWIDTH_MAX,
    IO_WRITE_BANDWIDTH_MAX,
    IO_READ_IOPS_MAX,
    IO_WRITE_IOPS_MAX,
    IO_DEVICE_LATENCY_TARGET_SEC,
    IO_ACCOUNTING,
    DISABLE_CONTROLLERS,
    *ACCESS_ROWS,
)

SLICE = one(
    "Service",
    "Slice",
    parse_slice,
    "-.slice",
    "The slice whose budget the unit shares; a-b.slice lies in a.slice. A delegated unit is restarted.",
    Change.LIVE,
    Specifiers.TEXT,
)
DELEGATE: Directive[tuple[str, ...] | None] = one(
    "Service",
    "Delegate",
    parse_delegate,
    None,
    "Hand the unit's group over to it, with these controllers (yes: all). Taking it back is a restart.",
    Change.LIVE,
)
DELEGATE_SUBGROUP = one(
    "Service",
    "DelegateSubgroup",
    parse_subgroup,
    "",
    "The group below the delegated one in which the service starts. A delegated unit is restarted.",
    Change.LIVE,
    Specifiers.TEXT,
)

ROWS: tuple[Directive[Any], ...] = (
    *LIMIT_ROWS,
    SLICE,
    DELEGATE,
    DELEGATE_SUBGROUP,
    *known_rows("Service"),
)

SLICE_ROWS: tuple[Directive[Any], ...] = (
    *(replace(row, section="Slice") for row in LIMIT_ROWS),
    *(
        known("Slice", name, Support.UNENFORCED, f"{doc} Means nothing for a slice.")
        for name, doc in (
            ("Slice", "A slice lies where its name says."),
            ("Delegate", "Services are delegated."),
            ("DelegateSubgroup", "Services are delegated."),
        )
    ),
    *known_rows("Slice"),
    known("Slice", "ConcurrencyHardMax", Support.UNENFORCED, "Most units at once: not limited."),
    known("Slice", "ConcurrencySoftMax", Support.UNENFORCED, "Most units at once: not limited."),
)
"""What a [Slice] section can hold: the same limits, for a whole group of units."""

LIVE = frozenset(row.key for row in (*ROWS, *SLICE_ROWS) if row.change is Change.LIVE)
"""The keys of what a running group takes over at once."""
