"""Rows of the directive table for what systemd.resource-control(5) knows and GitProc does not do."""

from __future__ import annotations

from typing import Any

from gitproc.units.directive import Directive, Support
from gitproc.units.rows import known, known_flag

_STARTUP = "There is no phase of starting up here: {}= holds all the time."
_UNENFORCED = {
    **{
        f"{before}Startup{name}": _STARTUP.format(before + name)
        for before, name in (
            ("", "AllowedCPUs"),
            ("", "AllowedMemoryNodes"),
            ("", "CPUWeight"),
            ("", "CPUShares"),
            ("", "MemoryLow"),
            ("Default", "MemoryLow"),
            ("", "MemoryHigh"),
            ("", "MemoryMax"),
            ("", "MemorySwapMax"),
            ("", "MemoryZSwapMax"),
            ("", "IOWeight"),
            ("", "BlockIOWeight"),
        )
    },
    "ManagedOOMSwap": "Let systemd-oomd act on swap: it does not know these units.",
    "ManagedOOMMemoryPressure": "Let systemd-oomd act on pressure: it does not know these units.",
    "NFTSet": "Firewall set to put the cgroup in: not done.",
    "NetClass": "Long gone from systemd.",
}
_RESTRICTS = {
    "IPIngressFilterPath": "Filter program for incoming packets.",
    "IPEgressFilterPath": "Filter program for outgoing packets.",
    "BPFProgram": "Kernel program attached to the cgroup.",
    "SocketBindDeny": "Addresses and ports that cannot be bound.",
    "RestrictNetworkInterfaces": "Network interfaces that can be used.",
}
_NO_EFFECT_FLAGS = {
    "CPUAccounting": "Count CPU time; always done where the kernel does.",
    "MemoryAccounting": "Count memory; always done where the kernel does.",
    "BlockIOAccounting": "Old form of IOAccounting=; no effect.",
    "TasksAccounting": "Count processes; always done where the kernel does.",
    "IPAccounting": "Count traffic; not shown.",
    "CoredumpReceive": "Let systemd-coredump hand crashes to a delegated cgroup.",
}
_NO_EFFECT = {
    "SocketBindAllow": "Exceptions from SocketBindDeny=, which is not enforced.",
    "ManagedOOMMemoryPressureLimit": "Threshold for systemd-oomd.",
    "ManagedOOMMemoryPressureDurationSec": "Time above the threshold for systemd-oomd.",
    "ManagedOOMPreference": "Preference of systemd-oomd.",
    "MemoryPressureThresholdSec": "Threshold of the pressure watch.",
    "MemoryPressureWatch": "Tell the service where to watch memory pressure.",
}


def known_rows(section: str) -> tuple[Directive[Any], ...]:
    """The rows of one section; what would restrict a slice restricts its services."""
    return (
        *(known(section, name, Support.UNENFORCED, doc) for name, doc in _UNENFORCED.items()),
        *(known(section, name, Support.RESTRICTS, doc) for name, doc in _RESTRICTS.items()),
        *(known_flag(section, n, Support.NO_EFFECT, doc) for n, doc in _NO_EFFECT_FLAGS.items()),
        *(known(section, name, Support.NO_EFFECT, doc) for name, doc in _NO_EFFECT.items()),
    )
