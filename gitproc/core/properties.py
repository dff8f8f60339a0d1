"""`show`: a unit by systemd's property names, in the notation of `systemctl show` (org.freedesktop.systemd1(5)).

State first, then every directive of the unit's kind with the value in force, defaults included: spans as
`TimeoutStopUSec=1min 30s`, both limits of a resource, commands with their arguments. Times are `@SECONDS` since
1970, which the text form says in words. What the table does not read is shown as it is written. Lists that are
empty are left out, unless asked for.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum
from typing import Any

from gitproc.core.world import Settings, World
from gitproc.units import directives as d
from gitproc.units.directive import Directive
from gitproc.units.signals import signal_name
from gitproc.units.spellings import STANDS_FOR
from gitproc.units.timespan import format_span
from gitproc.units.unit import Unit
from gitproc.units.values import Amount, EnvFile, ExecCommand, Limit, StatusSet, WorkDir

Shown = str | list[str]
"""A property's value; a list where systemctl gives each of several values a line of its own."""

_STATE = {
    "Id": "name",
    "Description": "description",
    "LoadState": "load_state",
    "ActiveState": "active_state",
    "SubState": "sub_state",
    "Result": "result",
    "FragmentPath": "fragment",
    "NRestarts": "restarts",
    "InvocationID": "invocation",
    "StatusText": "status_text",
    "ExecMainStatus": "exec_main_status",
    "ExecMainPID": "exec_main_pid",
    "ControlGroup": "cgroup",
    "Slice": "slice",
}
_NUMBERS = {
    "NRestarts": "0",
    "ExecMainPID": "0",
    "ExecMainStatus": "0",
}
_COUNTED = {
    "MemoryCurrent": "memory",
    "MemoryPeak": "memory_peak",
    "MemorySwapCurrent": "swap",
    "TasksCurrent": "tasks",
    "IOReadBytes": "io_read",
    "IOWriteBytes": "io_write",
    "IOReadOperations": "io_reads",
    "IOWriteOperations": "io_writes",
    "OOMKills": "oom_kills",
}
_CODES = {"exited": "1", "killed": "2", "dumped": "3"}  # waitid(2), CLD_*
_RELATIONS = {
    "after": ("After", "Before"),
    "requires": ("Requires", "RequiredBy"),
    "wants": ("Wants", "WantedBy"),
    "binds_to": ("BindsTo", "BoundBy"),
    "part_of": ("PartOf", "ConsistsOf"),
    "conflicts": ("Conflicts", "ConflictedBy"),
    "requisite": ("Requisite", "RequisiteOf"),
    "upholds": ("Upholds", "UpheldBy"),
    "stops": ("PropagatesStopTo", "StopPropagatedFrom"),
    "reloads": ("PropagatesReloadTo", "ReloadPropagatedFrom"),
    "on_failure": ("OnFailure", "OnFailureOf"),
    "on_success": ("OnSuccess", "OnSuccessOf"),
}
_OTHER_NAMES = {
    "CPUQuota": "CPUQuotaPerSecUSec",
    "EnvironmentFile": "EnvironmentFiles",
}
_PLAIN = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789@%+=:,./_-\\")


def property_name(directive: str) -> str:
    """The name systemd gives the property behind a directive: `TimeoutStopUSec` of `TimeoutStopSec`."""
    if directive.endswith("Sec") and not directive.endswith("NSec"):
        return directive.removesuffix("Sec") + "USec"
    return _OTHER_NAMES.get(directive, directive)


def properties(world: World, name: str, status: Mapping[str, Any]) -> dict[str, Shown]:
    """All properties of a unit; `status` is its `unit_status`, with what it uses of the host."""
    found: dict[str, Shown] = {
        key: str(status.get(source) or _NUMBERS.get(key, "")) for key, source in _STATE.items()
    }
    found["Description"] = found["Description"] or name
    for key, source in _COUNTED.items():
        count = status.get(source)
        found[key] = "[not set]" if count is None else str(count)
    spent = status.get("cpu_seconds")
    found["CPUUsageNSec"] = "[not set]" if spent is None else str(round(spent * 1e9))
    found["MainPID"] = str(status["main_pid"] or 0)
    if status["main_pid"]:
        found["ExecMainPID"] = str(status["main_pid"])
    found["ExecMainCode"] = _CODES.get(status["exec_main_code"] or "", "0")
    error = status["status_error"] or {}
    found["StatusErrno"] = str(error.get("errno") or 0)
    found["StatusBusError"] = error.get("bus_error") or ""
    found["ControlPID"] = str(status["control_pid"] or 0)
    found["DropInPaths"] = " ".join(status["drop_ins"])
    found["ActiveEnterTimestamp"] = f"@{status['since']:.6f}" if status["since"] else ""
    if world.desired is not None:
        found["Names"] = " ".join(world.desired.names_of(name)) or name
    unit = world.wanted_unit(name)
    state = world.units.get(name)
    if state is not None and state.unit is not None and not state.down:
        unit = state.unit
    if state is not None and state.dialogue is not None and not state.down:
        if state.dialogue.access:
            found["NotifyAccess"] = state.dialogue.access
        if state.dialogue.watchdog is not None:
            found["WatchdogUSec"] = format_span(state.dialogue.watchdog)
    if state is not None and state.checked is not None and not state.checked.missing:
        tests = state.checked
        found["ConditionResult"] = "no" if tests.unmet else "yes"
        found["AssertResult"] = "no" if tests.broken else "yes"
        found["ConditionTimestamp"] = f"@{tests.realtime:.6f}"
    for relation, (forward, backward) in _RELATIONS.items():
        edges = getattr(world.graph, relation)
        found[forward] = " ".join(sorted(edges.of(name)))
        if others := " ".join(sorted(edges.to(name))):
            found[backward] = others
    if (timer := status["timer"]) is not None:
        found["NextElapseUSecRealtime"] = _moment(timer["next_realtime"])
        found["NextElapseUSecMonotonic"] = f"{timer['next_monotonic'] or 0:.6f}s"
        found["LastTriggerUSec"] = _moment(timer["last"])
    for title in ("triggers", "triggered_by"):
        key = title.title().replace("_", "")
        found[key] = " ".join(one["name"] for one in status[title])
    if unit is not None and not unit.masked:
        for key, value in unit_properties(unit, world.settings).items():
            found.setdefault(key, value)
    if unit is not None:
        found["UnitFileState"] = unit_file_state(unit)
    return found


def _moment(at: float | None) -> str:
    return f"@{at:.6f}" if at else ""


def unit_properties(unit: Unit, settings: Settings) -> dict[str, Shown]:
    """Every directive of the unit's kind that has a value, set or by default; `settings`: the host's."""
    found: dict[str, Shown] = {}
    sections = d.SECTIONS.get(unit.kind, frozenset())
    defaults = _host_defaults(settings)
    written = unit.written()
    for key, row in d.TABLE.items():
        if row.section not in sections or row.section == "Install" or key in STANDS_FOR:
            continue
        value = unit.values.get(key, defaults.get(key, row.default))
        shown = _format(row, value, " ".join(written.get(key, ())))
        found.update((name, text) for name, text in shown if text or key in unit.values)
    return found


def _host_defaults(settings: Settings) -> dict[str, Any]:
    return {
        d.TIMEOUT_START_SEC.key: settings.timeout_start,
        d.TIMEOUT_STOP_SEC.key: settings.timeout_stop,
        d.RESTART_SEC.key: settings.restart_sec,
        d.START_LIMIT_INTERVAL_SEC.key: settings.start_limit_interval,
        d.START_LIMIT_BURST.key: settings.start_limit_burst,
    }


def unit_file_state(unit: Unit) -> str:
    """`enabled`, `disabled`, `static` or `masked` (systemctl(1), "is-enabled")."""
    if unit.masked:
        return "masked"
    installs = any((unit[d.WANTED_BY], unit[d.REQUIRED_BY], unit[d.ALIAS]))
    if not unit[d.ENABLED] or (installs and not unit.installs):
        return "disabled"
    return "enabled" if installs else "static"


def _format(row: Directive[Any], value: Any, written: str) -> Iterator[tuple[str, Shown]]:
    name = property_name(row.name)
    if isinstance(value, Limit):
        yield row.name, _unlimited(value.hard)
        yield f"{row.name}Soft", _unlimited(value.soft)
    elif isinstance(value, bool):
        yield name, "yes" if value else "no"
    elif isinstance(value, int) and row.name.endswith(("Mode", "UMask")):
        yield name, f"{value:04o}"
    elif isinstance(value, float | int) and name != row.name and name.endswith("USec"):
        yield name, "infinity" if value == math.inf else format_span(value)
    elif row.name == "CPUQuota":
        yield name, "infinity" if value is None else format_span(value)
    elif isinstance(value, tuple) and not hasattr(value, "_fields"):
        yield name, _list(value, written)
    elif value is None:
        yield name, written
    else:
        form = _FORMS.get(type(value))
        yield name, form(value) if form else str(value) if _is_plain(value) else written


def _list(items: tuple[Any, ...], written: str) -> Shown:
    if not items:
        return ""
    if all(isinstance(item, str) for item in items):
        return " ".join(_quoted(item) for item in items)
    form = _FORMS.get(type(items[0]))
    return [str(form(item)) for item in items] if form else written


def _is_plain(value: object) -> bool:
    return isinstance(value, str | StrEnum | int | float)


def _quoted(text: str) -> str:
    """A word as systemctl shows it in a list: in quotes where it would not be read as one."""
    if _PLAIN.issuperset(text) and text:
        return text
    escaped = "".join(f"\\{char}" if char in '"\\`$' else char for char in text)
    return '"' + escaped.replace("\n", "\\n").replace("\t", "\\t") + '"'


def _command(command: ExecCommand) -> str:
    argv = " ".join(command.argv)
    ignored = "yes" if command.ignore_failure else "no"
    return (
        f"{{ path={command.path} ; argv[]={argv} ; ignore_errors={ignored} ; start_time=[n/a] ; "
        "stop_time=[n/a] ; pid=0 ; code=(null) ; status=0/0 }"
    )


def _amount(amount: Amount) -> str:
    if amount.fraction is not None:
        return f"{amount.fraction * 100:.4g}%"
    return "infinity" if amount.absolute is None else str(amount.absolute)


def _statuses(found: StatusSet) -> str:
    signals = [signal_name(number) for number in sorted(found.signals)]
    return " ".join([*map(str, sorted(found.codes)), *signals])


def _file(file: EnvFile) -> str:
    return f"{file.path} (ignore_errors={'yes' if file.optional else 'no'})"


def _unlimited(value: int) -> str:
    return "infinity" if value < 0 else str(value)


_FORMS: Mapping[type, Callable[[Any], str]] = {
    ExecCommand: _command,
    Amount: _amount,
    StatusSet: _statuses,
    EnvFile: _file,
    WorkDir: lambda folder: ("!" if folder.optional else "") + folder.path,
    frozenset: lambda found: " ".join(map(str, sorted(found))),
}
