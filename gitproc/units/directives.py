"""The directive table: every directive that GitProc or systemd 257 knows, and what GitProc makes of it.

The table drives the parser of values, `verify`, the class of a change and the reference page; nothing else
in the program knows a directive by its name. Enforced ones are constants, so that `unit[RESTART_SEC]` is
typed; the others are rows only, so that a typo can be told from a directive that is merely not done here.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from gitproc.units import (
    directives_deadlines,
    directives_descriptors,
    directives_exec,
    directives_gitproc,
    directives_job,
    directives_path,
    directives_resources,
    directives_sandbox,
    directives_service,
    directives_socket,
    directives_timer,
    directives_triggers,
    directives_unit,
)
from gitproc.units.directive import Directive
from gitproc.units.directives_deadlines import (
    RUNTIME_MAX_SEC,
    RUNTIME_RANDOMIZED_EXTRA_SEC,
    TIMEOUT_ABORT_SEC,
    TIMEOUT_START_FAILURE_MODE,
    TIMEOUT_START_SEC,
    TIMEOUT_STOP_FAILURE_MODE,
    TIMEOUT_STOP_SEC,
    WATCHDOG_SEC,
    WATCHDOG_SIGNAL,
)
from gitproc.units.directives_descriptors import (
    FILE_DESCRIPTOR_STORE_MAX,
    FILE_DESCRIPTOR_STORE_PRESERVE,
    NON_BLOCKING,
    SOCKETS,
)
from gitproc.units.directives_exec import (
    ENVIRONMENT,
    ENVIRONMENT_FILE,
    GROUP,
    IGNORE_SIGPIPE,
    PASS_ENVIRONMENT,
    SUPPLEMENTARY_GROUPS,
    UMASK,
    UNSET_ENVIRONMENT,
    USER,
    WORKING_DIRECTORY,
)
from gitproc.units.directives_exec_directories import (
    CACHE_DIRECTORY,
    CACHE_DIRECTORY_MODE,
    CONFIGURATION_DIRECTORY,
    CONFIGURATION_DIRECTORY_MODE,
    LOGS_DIRECTORY,
    LOGS_DIRECTORY_MODE,
    RUNTIME_DIRECTORY,
    RUNTIME_DIRECTORY_MODE,
    RUNTIME_DIRECTORY_PRESERVE,
    STATE_DIRECTORY,
    STATE_DIRECTORY_MODE,
)
from gitproc.units.directives_exec_limits import (
    LIMIT_AS,
    LIMIT_CORE,
    LIMIT_CPU,
    LIMIT_DATA,
    LIMIT_FSIZE,
    LIMIT_LOCKS,
    LIMIT_MEMLOCK,
    LIMIT_MSGQUEUE,
    LIMIT_NICE,
    LIMIT_NOFILE,
    LIMIT_NPROC,
    LIMIT_RSS,
    LIMIT_RTPRIO,
    LIMIT_RTTIME,
    LIMIT_SIGPENDING,
    LIMIT_STACK,
    LIMITS,
)
from gitproc.units.directives_exec_scheduling import (
    NICE,
    OOM_SCORE_ADJUST,
)
from gitproc.units.directives_exec_streams import (
    STANDARD_ERROR,
    STANDARD_INPUT,
    STANDARD_OUTPUT,
)
from gitproc.units.directives_gitproc import (
    ENABLED,
    HEALTH_CHECK_EXEC,
    HEALTH_CHECK_INTERVAL,
    HEALTH_CHECK_RETRIES,
    HEALTH_CHECK_START_PERIOD,
    HEALTH_CHECK_TCP,
    HEALTH_CHECK_TIMEOUT,
    HEALTH_CHECK_URL,
    ON_RETRY,
    RELOAD_TRIGGERS,
    RESTART_RESET_SEC,
    RESTART_TRIGGERS,
    UPDATE,
)
from gitproc.units.directives_resources import (
    CPU_QUOTA,
    MEMORY_MAX,
    TASKS_MAX,
)
from gitproc.units.directives_sandbox import (
    PRIVATE_PIDS,
)
from gitproc.units.directives_service import (
    BUS_NAME,
    EXEC_CONDITION,
    EXEC_RELOAD,
    EXEC_START,
    EXEC_START_POST,
    EXEC_START_PRE,
    EXEC_STOP,
    EXEC_STOP_POST,
    EXIT_TYPE,
    FINAL_KILL_SIGNAL,
    GUESS_MAIN_PID,
    KILL_MODE,
    KILL_SIGNAL,
    NOTIFY_ACCESS,
    OOM_POLICY,
    PID_FILE,
    RELOAD_SIGNAL,
    REMAIN_AFTER_EXIT,
    RESTART,
    RESTART_FORCE_EXIT_STATUS,
    RESTART_KILL_SIGNAL,
    RESTART_MAX_DELAY_SEC,
    RESTART_MODE,
    RESTART_PREVENT_EXIT_STATUS,
    RESTART_SEC,
    RESTART_STEPS,
    SEND_SIGHUP,
    SEND_SIGKILL,
    SUCCESS_EXIT_STATUS,
    TYPE,
)
from gitproc.units.directives_triggers import TRIGGERED
from gitproc.units.directives_unit import (
    AFTER,
    ALIAS,
    ALSO,
    BEFORE,
    BINDS_TO,
    CONFLICTS,
    DEFAULT_DEPENDENCIES,
    DEFAULT_INSTANCE,
    DESCRIPTION,
    DOCUMENTATION,
    ON_FAILURE,
    ON_SUCCESS,
    PART_OF,
    PROPAGATES_RELOAD_TO,
    PROPAGATES_STOP_TO,
    REFUSE_MANUAL_START,
    REFUSE_MANUAL_STOP,
    RELOAD_PROPAGATED_FROM,
    REQUIRED_BY,
    REQUIRES,
    REQUISITE,
    START_LIMIT_BURST,
    START_LIMIT_INTERVAL_SEC,
    STOP_PROPAGATED_FROM,
    STOP_WHEN_UNNEEDED,
    UPHELD_BY,
    UPHOLDS,
    WANTED_BY,
    WANTS,
)
from gitproc.units.spellings import spelling_rows

__all__ = [
    "AFTER",
    "ALIAS",
    "ALSO",
    "BEFORE",
    "BINDS_TO",
    "BUS_NAME",
    "CACHE_DIRECTORY",
    "CACHE_DIRECTORY_MODE",
    "CONFIGURATION_DIRECTORY",
    "CONFIGURATION_DIRECTORY_MODE",
    "CONFLICTS",
    "CPU_QUOTA",
    "DEFAULT_DEPENDENCIES",
    "DEFAULT_INSTANCE",
    "DESCRIPTION",
    "DOCUMENTATION",
    "ENABLED",
    "ENVIRONMENT",
    "ENVIRONMENT_FILE",
    "EXEC_CONDITION",
    "EXEC_RELOAD",
    "EXEC_START",
    "EXEC_START_POST",
    "EXEC_START_PRE",
    "EXEC_STOP",
    "EXEC_STOP_POST",
    "EXIT_TYPE",
    "FILE_DESCRIPTOR_STORE_MAX",
    "FILE_DESCRIPTOR_STORE_PRESERVE",
    "FINAL_KILL_SIGNAL",
    "GROUP",
    "GUESS_MAIN_PID",
    "HEALTH_CHECK_EXEC",
    "HEALTH_CHECK_INTERVAL",
    "HEALTH_CHECK_RETRIES",
    "HEALTH_CHECK_START_PERIOD",
    "HEALTH_CHECK_TCP",
    "HEALTH_CHECK_TIMEOUT",
    "HEALTH_CHECK_URL",
    "IGNORE_SIGPIPE",
    "KILL_MODE",
    "KILL_SIGNAL",
    "LIMITS",
    "LIMIT_AS",
    "LIMIT_CORE",
    "LIMIT_CPU",
    "LIMIT_DATA",
    "LIMIT_FSIZE",
    "LIMIT_LOCKS",
    "LIMIT_MEMLOCK",
    "LIMIT_MSGQUEUE",
    "LIMIT_NICE",
    "LIMIT_NOFILE",
    "LIMIT_NPROC",
    "LIMIT_RSS",
    "LIMIT_RTPRIO",
    "LIMIT_RTTIME",
    "LIMIT_SIGPENDING",
    "LIMIT_STACK",
    "LOGS_DIRECTORY",
    "LOGS_DIRECTORY_MODE",
    "MEMORY_MAX",
    "NICE",
    "NON_BLOCKING",
    "NOTIFY_ACCESS",
    "OOM_POLICY",
    "ON_FAILURE",
    "ON_RETRY",
    "ON_SUCCESS",
    "OOM_SCORE_ADJUST",
    "PART_OF",
    "PASS_ENVIRONMENT",
    "PID_FILE",
    "PRIVATE_PIDS",
    "RELOAD_SIGNAL",
    "PROPAGATES_RELOAD_TO",
    "PROPAGATES_STOP_TO",
    "REFUSE_MANUAL_START",
    "REFUSE_MANUAL_STOP",
    "RELOAD_PROPAGATED_FROM",
    "RELOAD_TRIGGERS",
    "REMAIN_AFTER_EXIT",
    "REQUIRED_BY",
    "REQUIRES",
    "REQUISITE",
    "RESTART",
    "RESTART_FORCE_EXIT_STATUS",
    "RESTART_KILL_SIGNAL",
    "RESTART_MAX_DELAY_SEC",
    "RESTART_MODE",
    "RESTART_PREVENT_EXIT_STATUS",
    "RESTART_RESET_SEC",
    "RESTART_SEC",
    "RESTART_STEPS",
    "RESTART_TRIGGERS",
    "RUNTIME_DIRECTORY",
    "RUNTIME_DIRECTORY_MODE",
    "RUNTIME_DIRECTORY_PRESERVE",
    "RUNTIME_MAX_SEC",
    "RUNTIME_RANDOMIZED_EXTRA_SEC",
    "SECTIONS",
    "SEND_SIGHUP",
    "SEND_SIGKILL",
    "SOCKETS",
    "STANDARD_ERROR",
    "STANDARD_INPUT",
    "STANDARD_OUTPUT",
    "START_LIMIT_BURST",
    "START_LIMIT_INTERVAL_SEC",
    "STATE_DIRECTORY",
    "STATE_DIRECTORY_MODE",
    "STOP_PROPAGATED_FROM",
    "STOP_WHEN_UNNEEDED",
    "SUCCESS_EXIT_STATUS",
    "SUPPLEMENTARY_GROUPS",
    "TABLE",
    "TASKS_MAX",
    "TIMEOUT_ABORT_SEC",
    "TIMEOUT_START_FAILURE_MODE",
    "TIMEOUT_START_SEC",
    "TIMEOUT_STOP_FAILURE_MODE",
    "TIMEOUT_STOP_SEC",
    "TRIGGERED",
    "TYPE",
    "UMASK",
    "UNSET_ENVIRONMENT",
    "UPDATE",
    "UPHELD_BY",
    "UPHOLDS",
    "USER",
    "WANTED_BY",
    "WANTS",
    "WATCHDOG_SEC",
    "WATCHDOG_SIGNAL",
    "WORKING_DIRECTORY",
    "suggest",
]


def _build() -> dict[str, Directive[Any]]:
    table: dict[str, Directive[Any]] = {}
    for row in (
        *directives_unit.ROWS,
        *directives_job.ROWS,
        *directives_service.ROWS,
        *directives_deadlines.ROWS,
        *directives_descriptors.ROWS,
        *directives_exec.ROWS,
        *directives_sandbox.ROWS,
        *directives_resources.ROWS,
        *directives_gitproc.ROWS,
        *directives_timer.ROWS,
        *directives_path.ROWS,
        *directives_triggers.ROWS,
        *directives_socket.ROWS,
        *directives_resources.SLICE_ROWS,
    ):
        assert row.key not in table, row.key
        table[row.key] = row
    for row in spelling_rows(table):
        assert row.key not in table, row.key
        table[row.key] = row
    return table


TABLE: Mapping[str, Directive[Any]] = MappingProxyType(_build())
"""Key (`Service.Restart`) -> row, in the order of the reference page."""

SECTIONS: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "service": frozenset({"Unit", "Service", "Install", "X-GitProc"}),
        **{
            kind: frozenset({"Unit", row.section, "Install", "X-GitProc"})
            for kind, row in TRIGGERED.items()
        },
        "target": frozenset({"Unit", "Install", "X-GitProc"}),
        "slice": frozenset({"Unit", "Slice", "Install", "X-GitProc"}),
    }
)
"""Kind of unit -> the sections that mean something in its files."""


def suggest(section: str, name: str, sections: frozenset[str]) -> str:
    """What was probably meant by an unknown directive: `; did you mean Restart=?`, or nothing."""
    for row in TABLE.values():
        if row.section in sections and row.section != section and row.name == name:
            return f"; it belongs in [{row.section}]"
    names = {row.name.lower(): row.name for row in TABLE.values() if row.section == section}
    from difflib import get_close_matches

    close = get_close_matches(name.lower(), names, 1, 0.75)
    return f"; did you mean {names[close[0]]}=?" if close else ""
