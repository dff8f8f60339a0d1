"""Rows of the directive table for the life of a service: systemd.service(5) and systemd.kill(5)."""

from __future__ import annotations

import math
import re
from typing import Any

from gitproc.pattern import pattern
from gitproc.units.directive import Change, Directive, Repeat, Specifiers, Support
from gitproc.units.rows import flag, known, one, several
from gitproc.units.service_types import (
    ExitType,
    KillMode,
    NotifyAccess,
    OOMPolicy,
    Restart,
    RestartMode,
    ServiceType,
)
from gitproc.units.timespan import parse_span, parse_timeout
from gitproc.units.values import (
    ExecCommand,
    StatusSet,
    choice,
    parse_commands,
    parse_path,
    parse_signal,
    parse_status_set,
    parse_unsigned,
)

_BUS_NAME = pattern(r"[A-Za-z_-][\w-]*(?:\.[A-Za-z_-][\w-]*)+", re.ASCII)
_BUS_UNIQUE = pattern(r":[\w-]+(?:\.[\w-]+)+", re.ASCII)
_SIGHUP = 1
_SIGTERM = 15
_SIGKILL = 9


def parse_pid_file(value: str) -> str:
    """Absolute path of a PID file; a relative one lies in /run, and so does what is said to lie in /var/run."""
    path = parse_path(value if value.startswith("/") else f"/run/{value}")
    return path.removeprefix("/var") if path.startswith("/var/run/") else path


def parse_bus_name(value: str) -> str:
    """A name on D-Bus: at least two parts with dots between them, 255 bytes at most."""
    pattern = _BUS_UNIQUE if value.startswith(":") else _BUS_NAME
    if len(value) > 255 or not pattern.fullmatch(value):
        raise ValueError(f"'{value}' is not a D-Bus name")
    return value


def _commands(name: str, doc: str, change: Change) -> Directive[tuple[ExecCommand, ...]]:
    return several("Service", name, parse_commands, doc, change, Specifiers.ESCAPED)


def _statuses(name: str, doc: str) -> Directive[StatusSet]:
    return Directive(
        "Service",
        name,
        parse_status_set,
        StatusSet(),
        Repeat.LIST,
        Change.LIVE,
        Support.ENFORCED,
        doc,
    )


TYPE: Directive[ServiceType] = one(
    "Service",
    "Type",
    choice(ServiceType),
    ServiceType.SIMPLE,
    "When the service counts as started; simple, or oneshot where there is no ExecStart=.",
)
EXEC_START = _commands(
    "ExecStart", "Command that is the service; several only for Type=oneshot.", Change.RESTART
)
EXEC_CONDITION = _commands(
    "ExecCondition", "Commands that decide whether to start: 1 to 254 skips it.", Change.NONE
)
EXEC_START_PRE = _commands("ExecStartPre", "Commands to run before ExecStart=.", Change.RESTART)
EXEC_START_POST = _commands(
    "ExecStartPost", "Commands to run once the service has started.", Change.RESTART
)
EXEC_RELOAD = _commands("ExecReload", "Commands that reload the configuration.", Change.LIVE)
EXEC_STOP = _commands("ExecStop", "Commands that ask the service to stop.", Change.LIVE)
EXEC_STOP_POST = _commands(
    "ExecStopPost", "Commands to run after the service has ended, or failed to start.", Change.LIVE
)
REMAIN_AFTER_EXIT = flag(
    "Service", "RemainAfterExit", False, "Stay active after all processes have ended.", Change.LIVE
)
PID_FILE = one(
    "Service",
    "PIDFile",
    parse_pid_file,
    "",
    "File by which a forking service names its main process; relative to /run.",
    Change.RESTART,
    Specifiers.TEXT,
)
GUESS_MAIN_PID = flag(
    "Service",
    "GuessMainPID",
    True,
    "Guess the main process of a forking service without PIDFile=.",
    Change.LIVE,
)
NOTIFY_ACCESS: Directive[NotifyAccess] = one(
    "Service",
    "NotifyAccess",
    choice(NotifyAccess),
    NotifyAccess.NONE,
    "Which processes may send readiness and status: none, main, exec, all.",
    Change.LIVE,
)
RESTART: Directive[Restart] = one(
    "Service",
    "Restart",
    choice(Restart),
    Restart.NO,
    "After which endings the service is started again by itself.",
    Change.LIVE,
)
RESTART_SEC = one(
    "Service", "RestartSec", parse_span, 0.1, "Pause before a restart (100 ms).", Change.LIVE
)
RESTART_STEPS = one(
    "Service",
    "RestartSteps",
    parse_unsigned,
    0,
    "Restarts in which the pause grows from RestartSec= to RestartMaxDelaySec=; 0: it does not.",
    Change.LIVE,
)
RESTART_MAX_DELAY_SEC = one(
    "Service",
    "RestartMaxDelaySec",
    parse_timeout,
    math.inf,
    "Longest pause before a restart, reached after RestartSteps= of them.",
    Change.LIVE,
)
RESTART_MODE: Directive[RestartMode] = one(
    "Service",
    "RestartMode",
    choice(RestartMode),
    RestartMode.NORMAL,
    "direct: other units do not see that it is down between; debug: $DEBUG_INVOCATION is set.",
    Change.LIVE,
)
EXIT_TYPE: Directive[ExitType] = one(
    "Service",
    "ExitType",
    choice(ExitType),
    ExitType.MAIN,
    "What ends the service: its main process (main), or its last one (cgroup).",
    Change.LIVE,
)
OOM_POLICY: Directive[OOMPolicy] = one(
    "Service",
    "OOMPolicy",
    choice(OOMPolicy),
    OOMPolicy.STOP,
    "What follows an OOM kill: continue, stop, or kill all that is left of the service.",
    Change.LIVE,
)
BUS_NAME = one(
    "Service",
    "BusName",
    parse_bus_name,
    "",
    "Name on D-Bus that makes a Type=dbus service ready.",
    Change.RESTART,
    Specifiers.TEXT,
)
KILL_MODE: Directive[KillMode] = one(
    "Service",
    "KillMode",
    choice(KillMode),
    KillMode.CONTROL_GROUP,
    "Which processes a stop signals: control-group, mixed, process or none.",
    Change.LIVE,
)


def _signal(name: str, default: int, doc: str) -> Directive[int]:
    return one("Service", name, parse_signal, default, doc, Change.LIVE)


KILL_SIGNAL = _signal("KillSignal", _SIGTERM, "Signal that asks to stop (SIGTERM).")
RESTART_KILL_SIGNAL = _signal(
    "RestartKillSignal",
    _SIGTERM,
    "Signal that asks to stop for a restart (KillSignal=); a start during a stop is none.",
)
FINAL_KILL_SIGNAL = _signal(
    "FinalKillSignal", _SIGKILL, "Signal to what is left after TimeoutStopSec= (SIGKILL)."
)
SEND_SIGKILL = flag(
    "Service", "SendSIGKILL", True, "Send FinalKillSignal= to what is left.", Change.LIVE
)
RELOAD_SIGNAL = _signal(
    "ReloadSignal", _SIGHUP, "Signal that reloads a Type=notify-reload service (SIGHUP)."
)
SEND_SIGHUP = flag(
    "Service", "SendSIGHUP", False, "Send SIGHUP right after KillSignal=.", Change.LIVE
)
SUCCESS_EXIT_STATUS = _statuses(
    "SuccessExitStatus", "Further exit statuses and signals that count as success."
)
RESTART_PREVENT_EXIT_STATUS = _statuses(
    "RestartPreventExitStatus", "Endings of the main process after which it stays down."
)
RESTART_FORCE_EXIT_STATUS = _statuses(
    "RestartForceExitStatus", "Endings of the main process after which it is always restarted."
)

_UNENFORCED = {
    "OpenFile": "Files to open and pass as descriptors: none are passed yet.",
    "USBFunctionDescriptors": "Descriptors of a USB gadget: not written.",
    "USBFunctionStrings": "Strings of a USB gadget: not written.",
}
_NO_EFFECT = {
    "BusPolicy": "Long gone from systemd.",
    "SysVStartPriority": "Long gone from systemd.",
}


ROWS: tuple[Directive[Any], ...] = (
    TYPE,
    EXEC_START,
    EXEC_CONDITION,
    EXEC_START_PRE,
    EXEC_START_POST,
    EXEC_RELOAD,
    EXEC_STOP,
    EXEC_STOP_POST,
    REMAIN_AFTER_EXIT,
    PID_FILE,
    GUESS_MAIN_PID,
    NOTIFY_ACCESS,
    RESTART,
    RESTART_SEC,
    RESTART_STEPS,
    RESTART_MAX_DELAY_SEC,
    RESTART_MODE,
    EXIT_TYPE,
    OOM_POLICY,
    BUS_NAME,
    KILL_MODE,
    KILL_SIGNAL,
    RESTART_KILL_SIGNAL,
    FINAL_KILL_SIGNAL,
    SEND_SIGKILL,
    SEND_SIGHUP,
    RELOAD_SIGNAL,
    SUCCESS_EXIT_STATUS,
    RESTART_PREVENT_EXIT_STATUS,
    RESTART_FORCE_EXIT_STATUS,
    known(
        "Service",
        "TimeoutCleanSec",
        Support.NO_EFFECT,
        "Longest clean-up of directories by request; there is no such request.",
        parse_timeout,
        math.inf,
    ),
    *(known("Service", n, Support.UNENFORCED, d) for n, d in _UNENFORCED.items()),
    *(known("Service", n, Support.NO_EFFECT, d) for n, d in _NO_EFFECT.items()),
)
