"""Other spellings of directives: old names, old sections, and one name that sets two.

A spelling is a row of the table like any other, so that it is documented and never unknown; its assignments
take effect under the names it stands for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from gitproc.units.directive import Directive

HEALTH_KEYS = tuple(
    f"HealthCheck{word}"
    for word in ("URL", "TCP", "Exec", "Interval", "Timeout", "Retries", "StartPeriod")
)

#: How the commands of a socket run: like those of a service.
SOCKET_KEYS = (
    "User", "Group", "SupplementaryGroups", "WorkingDirectory", "UMask", "Environment",
    "EnvironmentFile", "PassEnvironment", "UnsetEnvironment", "Nice", "LimitNOFILE", "KillMode",
    "KillSignal", "SendSIGKILL", "FinalKillSignal",
)  # fmt: skip

STANDS_FOR: Mapping[str, tuple[str, ...]] = {
    "Unit.StartLimitInterval": ("Unit.StartLimitIntervalSec",),
    "Unit.BindTo": ("Unit.BindsTo",),
    "Unit.PropagateReloadTo": ("Unit.PropagatesReloadTo",),
    "Unit.PropagateReloadFrom": ("Unit.ReloadPropagatedFrom",),
    "Unit.RequiresOverridable": ("Unit.Requires",),
    "Unit.RequisiteOverridable": ("Unit.Requisite",),
    "Unit.IgnoreOnSnapshot": ("Unit.IgnoreOnIsolate",),
    "Service.StartLimitInterval": ("Unit.StartLimitIntervalSec",),
    "Service.StartLimitBurst": ("Unit.StartLimitBurst",),
    "Service.StartLimitAction": ("Unit.StartLimitAction",),
    "Service.FailureAction": ("Unit.FailureAction",),
    "Service.RebootArgument": ("Unit.RebootArgument",),
    "Service.TimeoutSec": ("Service.TimeoutStartSec", "Service.TimeoutStopSec"),
    **{
        f"{section}.{old}": (f"{section}.{new}",)
        for section in ("Service", "Slice")
        for old, new in (
            ("MemoryLimit", "MemoryMax"),
            ("BlockIOReadBandwidth", "IOReadBandwidthMax"),
            ("BlockIOWriteBandwidth", "IOWriteBandwidthMax"),
        )
    },
    "Service.ReadWriteDirectories": ("Service.ReadWritePaths",),
    "Service.ReadOnlyDirectories": ("Service.ReadOnlyPaths",),
    "Service.InaccessibleDirectories": ("Service.InaccessiblePaths",),
    **{f"Service.{name}": (f"X-GitProc.{name}",) for name in HEALTH_KEYS},
    **{f"Socket.{name}": (f"Service.{name}",) for name in SOCKET_KEYS},
    "Socket.ExecStartPre": ("Service.ExecStartPre",),
    "Socket.ExecStartPost": ("Service.ExecStartPost",),
    "Socket.ExecStopPre": ("Service.ExecStop",),
    "Socket.ExecStopPost": ("Service.ExecStopPost",),
    "Socket.TimeoutSec": ("Service.TimeoutStartSec", "Service.TimeoutStopSec"),
}
"""Key of the table -> the keys that its assignments count for."""


def spelling_rows(table: Mapping[str, Directive[Any]]) -> list[Directive[Any]]:
    """A row for each spelling, like the row it stands for."""
    rows = []
    for key, targets in STANDS_FOR.items():
        section, _, name = key.partition(".")
        meant = [table[target] for target in targets]
        doc = "The same as " + " and ".join(
            f"{row.name}=" if row.section == section else f"{row.name}= in [{row.section}]"
            for row in meant
        )
        rows.append(replace(meant[0], section=section, name=name, doc=doc + "."))
    return rows
