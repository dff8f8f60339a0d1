"""Rows of the directive table for limits of the cgroup: systemd.resource-control(5), services and slices."""

from __future__ import annotations

from typing import Any

from gitproc.units.device_access import DeviceRule, parse_addresses, parse_device_rules
from gitproc.units.directive import Change, Directive, Support
from gitproc.units.rows import exactly, known, one, several
from gitproc.units.values import (
    Amount,
    parse_boolean,
    parse_cpu_quota,
    parse_positive_amount,
    parse_tasks,
)

_INFINITE = Amount()

MEMORY_MAX = one(
    "Service",
    "MemoryMax",
    parse_positive_amount,
    _INFINITE,
    "Most memory in bytes (K, M, G, T) or percent of the machine's.",
    Change.LIVE,
)
TASKS_MAX = one(
    "Service",
    "TasksMax",
    parse_tasks,
    _INFINITE,
    "Most processes and threads, as a number or percent of the machine's.",
    Change.LIVE,
)


CPU_QUOTA: Directive[float | None] = one(
    "Service",
    "CPUQuota",
    parse_cpu_quota,
    None,
    "CPU time in percent of one processor (150% is one and a half).",
    Change.LIVE,
)
ENFORCED: tuple[Directive[Any], ...] = (MEMORY_MAX, TASKS_MAX, CPU_QUOTA)

_UNENFORCED = {
    "AllowedCPUs": "Processors to run on: not set yet.",
    "StartupAllowedCPUs": "AllowedCPUs= during boot: not set yet.",
    "AllowedMemoryNodes": "Memory nodes to use: not set yet.",
    "StartupAllowedMemoryNodes": "AllowedMemoryNodes= during boot: not set yet.",
    "CPUWeight": "Share of CPU time: not set yet.",
    "StartupCPUWeight": "CPUWeight= during boot: not set yet.",
    "CPUShares": "Old form of CPUWeight=: not set.",
    "StartupCPUShares": "Old form of StartupCPUWeight=: not set.",
    "CPUQuotaPeriodSec": "Period of CPUQuota=: the kernel's 100 ms stay.",
    "MemoryMin": "Memory that is never reclaimed: not set yet.",
    "MemoryLow": "Memory that is reclaimed last: not set yet.",
    "StartupMemoryLow": "MemoryLow= during boot: not set yet.",
    "DefaultMemoryMin": "MemoryMin= for units below: not set yet.",
    "DefaultMemoryLow": "MemoryLow= for units below: not set yet.",
    "DefaultStartupMemoryLow": "StartupMemoryLow= for units below: not set yet.",
    "MemoryHigh": "Memory above which the unit is slowed down: not set yet.",
    "StartupMemoryHigh": "MemoryHigh= during boot: not set yet.",
    "StartupMemoryMax": "MemoryMax= during boot: not set yet.",
    "MemorySwapMax": "Most swap: not limited yet.",
    "StartupMemorySwapMax": "MemorySwapMax= during boot: not limited yet.",
    "MemoryZSwapMax": "Most compressed swap: not limited yet.",
    "StartupMemoryZSwapMax": "MemoryZSwapMax= during boot: not limited yet.",
    "MemoryZSwapWriteback": "Move compressed swap to disk: not set yet.",
    "IOWeight": "Share of I/O: not set yet.",
    "StartupIOWeight": "IOWeight= during boot: not set yet.",
    "IODeviceWeight": "Share of I/O of a device: not set yet.",
    "IOReadBandwidthMax": "Most bytes read per second: not limited yet.",
    "IOWriteBandwidthMax": "Most bytes written per second: not limited yet.",
    "IOReadIOPSMax": "Most reads per second: not limited yet.",
    "IOWriteIOPSMax": "Most writes per second: not limited yet.",
    "IODeviceLatencyTargetSec": "Latency to aim at: not set yet.",
    "BlockIOWeight": "Old form of IOWeight=: not set.",
    "StartupBlockIOWeight": "Old form of StartupIOWeight=: not set.",
    "BlockIODeviceWeight": "Old form of IODeviceWeight=: not set.",
    "BlockIOReadBandwidth": "Old form of IOReadBandwidthMax=: not limited.",
    "BlockIOWriteBandwidth": "Old form of IOWriteBandwidthMax=: not limited.",
    "DisableControllers": "Controllers kept from units below: not kept yet.",
    "DelegateSubgroup": "Sub-cgroup to start in: not made yet.",
    "ManagedOOMSwap": "Let systemd-oomd act on swap: it does not know these units.",
    "ManagedOOMMemoryPressure": "Let systemd-oomd act on pressure: it does not know these units.",
    "NFTSet": "Firewall set to put the cgroup in: not done yet.",
    "NetClass": "Long gone from systemd.",
}
_RESTRICTS = {
    "IPIngressFilterPath": "Filter program for incoming packets.",
    "IPEgressFilterPath": "Filter program for outgoing packets.",
    "BPFProgram": "Kernel program attached to the cgroup.",
    "SocketBindDeny": "Addresses and ports that cannot be bound.",
    "RestrictNetworkInterfaces": "Network interfaces that can be used.",
}
_NO_EFFECT = {
    "CPUAccounting": "Count CPU time; always done where the kernel does.",
    "MemoryAccounting": "Count memory; always done where the kernel does.",
    "IOAccounting": "Count I/O; not shown.",
    "BlockIOAccounting": "Old form of IOAccounting=.",
    "TasksAccounting": "Count processes; always done where the kernel does.",
    "IPAccounting": "Count traffic; not shown.",
    "SocketBindAllow": "Exceptions from SocketBindDeny=, which is not enforced yet.",
    "ManagedOOMMemoryPressureLimit": "Threshold for systemd-oomd.",
    "ManagedOOMMemoryPressureDurationSec": "Time above the threshold for systemd-oomd.",
    "ManagedOOMPreference": "Preference of systemd-oomd.",
    "MemoryPressureThresholdSec": "Threshold of the pressure watch.",
    "MemoryPressureWatch": "Tell the service where to watch memory pressure.",
    "CoredumpReceive": "Let systemd-coredump hand crashes to a delegated cgroup.",
}


def _delegate(value: str) -> str:
    """`no`, `yes`, or the controllers as written."""
    try:
        return "yes" if parse_boolean(value) else "no"
    except ValueError:
        return value


def _known(section: str) -> tuple[Directive[Any], ...]:
    restricts = Support.RESTRICTS if section == "Service" else Support.UNENFORCED
    return (
        known(
            section,
            "Slice",
            Support.UNENFORCED,
            "Slice to run in: units are not grouped in slices yet.",
            str,
            "system.slice",
        ),
        *(known(section, name, Support.UNENFORCED, doc) for name, doc in _UNENFORCED.items()),
        *(known(section, name, restricts, doc) for name, doc in _RESTRICTS.items()),
        *(known(section, name, Support.NO_EFFECT, doc) for name, doc in _NO_EFFECT.items()),
    )


def _access(section: str, support: Support) -> tuple[Directive[Any], ...]:
    change = Change.LIVE if support is Support.ENFORCED else Change.NONE
    exception = support if support is Support.ENFORCED else Support.NO_EFFECT
    return (
        several(
            section,
            "DeviceAllow",
            parse_device_rules,
            "Devices that can be used.",
            change,
            support=support,
        ),
        one(
            section,
            "DevicePolicy",
            exactly("auto", "closed", "strict"),
            "auto",
            "Which devices can be used besides DeviceAllow=.",
            change,
            support=support,
        ),
        several(
            section,
            "IPAddressDeny",
            parse_addresses,
            "Addresses with which no traffic is allowed.",
            change,
            support=support,
        ),
        several(
            section,
            "IPAddressAllow",
            parse_addresses,
            "Exceptions from IPAddressDeny=.",
            change,
            support=exception,
        ),
        one(
            section,
            "Delegate",
            _delegate,
            "no",
            "Controllers handed over to the service: its cgroup stays the manager's for now.",
            Change.NONE,
            support=Support.UNENFORCED,
        ),
    )


_SERVICE_ACCESS = _access("Service", Support.RESTRICTS)
DEVICE_ALLOW: Directive[tuple[DeviceRule, ...]] = _SERVICE_ACCESS[0]
DEVICE_POLICY: Directive[str] = _SERVICE_ACCESS[1]
IP_ADDRESS_DENY: Directive[tuple[str, ...]] = _SERVICE_ACCESS[2]
IP_ADDRESS_ALLOW: Directive[tuple[str, ...]] = _SERVICE_ACCESS[3]
DELEGATE: Directive[str] = _SERVICE_ACCESS[4]

ROWS: tuple[Directive[Any], ...] = (*ENFORCED, *_SERVICE_ACCESS, *_known("Service"))

SLICE_ROWS: tuple[Directive[Any], ...] = (
    *(
        known("Slice", row.name, Support.UNENFORCED, f"{row.doc} Not enforced for slices yet.")
        for row in ENFORCED
    ),
    *_access("Slice", Support.UNENFORCED),
    *_known("Slice"),
    known("Slice", "ConcurrencyHardMax", Support.UNENFORCED, "Most units at once: not limited."),
    known("Slice", "ConcurrencySoftMax", Support.UNENFORCED, "Most units at once: not limited."),
)
"""What a [Slice] section can hold: the same limits, for a whole group of units."""
