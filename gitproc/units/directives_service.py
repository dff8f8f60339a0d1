"""Rows of the directive table for the life of a service: systemd.service(5) and systemd.kill(5)."""

from __future__ import annotations

from typing import Any

from gitproc.units.directive import Change, Directive, Repeat, Specifiers, Support
from gitproc.units.rows import exactly, flag, known, one, one_of, several
from gitproc.units.service_types import KillMode, NotifyAccess, Restart, ServiceType
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

_SIGTERM = 15
_SIGKILL = 9


def parse_type(value: str) -> ServiceType:
    """The type of a service; ValueError for those that systemd knows and GitProc does not."""
    if value in ("dbus", "idle", "notify-reload"):
        raise ValueError(f"Type={value} is not supported yet")
    return choice(ServiceType)(value)


def parse_pid_file(value: str) -> str:
    """Absolute path of a PID file; a relative one lies in /run, and so does what is said to lie in /var/run."""
    path = parse_path(value if value.startswith("/") else f"/run/{value}")
    return path.removeprefix("/var") if path.startswith("/var/run/") else path


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


def _timeout(name: str, default: float, doc: str) -> Directive[float]:
    return one("Service", name, parse_timeout, default, doc, Change.LIVE)


TYPE: Directive[ServiceType] = one(
    "Service",
    "Type",
    parse_type,
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
TIMEOUT_START_SEC = _timeout(
    "TimeoutStartSec", 90.0, "Longest start (90 s; no limit for Type=oneshot); 0: no limit."
)
TIMEOUT_STOP_SEC = _timeout(
    "TimeoutStopSec", 90.0, "Longest stop, for each ExecStop= and for the processes (90 s)."
)
TIMEOUT_ABORT_SEC = Directive(
    "Service",
    "TimeoutAbortSec",
    parse_timeout,
    90.0,
    Repeat.LAST,
    Change.NONE,
    Support.NO_EFFECT,
    "Longest abort after a watchdog failure; there is no watchdog for services yet.",
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
    "RestartKillSignal", _SIGTERM, "Signal that asks to stop for a restart (KillSignal=)."
)
FINAL_KILL_SIGNAL = _signal(
    "FinalKillSignal", _SIGKILL, "Signal to what is left after TimeoutStopSec= (SIGKILL)."
)
SEND_SIGKILL = flag(
    "Service", "SendSIGKILL", True, "Send FinalKillSignal= to what is left.", Change.LIVE
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
    "RestartSteps": "Steps in which the pause grows: it stays at RestartSec= for now.",
    "RestartMaxDelaySec": "Longest pause between restarts: it stays at RestartSec= for now.",
    "RuntimeMaxSec": "Longest run of the service: not limited yet.",
    "RuntimeRandomizedExtraSec": "Random time on top of RuntimeMaxSec=: not limited yet.",
    "Sockets": "Socket units to take descriptors from: none are passed yet.",
    "OpenFile": "Files to open and pass as descriptors: none are passed yet.",
    "USBFunctionDescriptors": "Descriptors of a USB gadget: not written.",
    "USBFunctionStrings": "Strings of a USB gadget: not written.",
}
_NO_EFFECT = {
    "TimeoutCleanSec": "Longest clean-up of directories by request; there is no such request.",
    "WatchdogSignal": "Signal that aborts a service after a watchdog failure.",
    "ReloadSignal": "Signal that reloads a Type=notify-reload service.",
    "NonBlocking": "Set O_NONBLOCK on passed descriptors; none are passed.",
    "RootDirectoryStartOnly": "Apply RootDirectory= to ExecStart= alone.",
    "BusName": "Name on D-Bus by which a Type=dbus service is ready.",
    "BusPolicy": "Long gone from systemd.",
    "SysVStartPriority": "Long gone from systemd.",
}


def _quiet(name: str, value: str, doc: str, *choices: str) -> Directive[Any]:
    """An unenforced row whose value `value` asks for nothing."""
    return known("Service", name, Support.UNENFORCED, doc, exactly(value, *choices), value)


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
    TIMEOUT_START_SEC,
    TIMEOUT_STOP_SEC,
    TIMEOUT_ABORT_SEC,
    KILL_MODE,
    KILL_SIGNAL,
    RESTART_KILL_SIGNAL,
    FINAL_KILL_SIGNAL,
    SEND_SIGKILL,
    SEND_SIGHUP,
    SUCCESS_EXIT_STATUS,
    RESTART_PREVENT_EXIT_STATUS,
    RESTART_FORCE_EXIT_STATUS,
    *(known("Service", n, Support.UNENFORCED, d) for n, d in _UNENFORCED.items()),
    known(
        "Service",
        "WatchdogSec",
        Support.UNENFORCED,
        "Longest silence of the service: not watched yet.",
        parse_span,
        0.0,
    ),
    _quiet("ExitType", "main", "End with the last process (cgroup): not done yet.", "cgroup"),
    _quiet(
        "RestartMode",
        "normal",
        "Hide a restart from other units (direct): not hidden yet.",
        "direct",
        "debug",
    ),
    _quiet(
        "TimeoutStartFailureMode",
        "terminate",
        "How to end after a start timeout: always as a stop for now.",
        "abort",
        "kill",
    ),
    _quiet(
        "TimeoutStopFailureMode",
        "terminate",
        "How to end after a stop timeout: always by FinalKillSignal= for now.",
        "abort",
        "kill",
    ),
    _quiet("OOMPolicy", "stop", "What an OOM kill does: not followed yet.", "continue", "kill"),
    known(
        "Service",
        "FileDescriptorStoreMax",
        Support.UNENFORCED,
        "Descriptors to keep for the service: none are kept yet.",
        parse_unsigned,
        0,
    ),
    known(
        "Service",
        "FileDescriptorStorePreserve",
        Support.NO_EFFECT,
        "How long to keep stored descriptors; none are.",
        one_of("restart"),
        "restart",
    ),
    *(known("Service", n, Support.NO_EFFECT, d) for n, d in _NO_EFFECT.items()),
)
