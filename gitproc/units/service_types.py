"""The words a service's settings choose from (systemd.service(5), systemd.kill(5))."""

from __future__ import annotations

from enum import StrEnum


class ServiceType(StrEnum):
    """Type=: when a service counts as started."""

    SIMPLE = "simple"
    EXEC = "exec"
    ONESHOT = "oneshot"
    FORKING = "forking"
    NOTIFY = "notify"
    NOTIFY_RELOAD = "notify-reload"
    DBUS = "dbus"
    IDLE = "idle"


class Update(StrEnum):
    """Update=: how a commit replaces a running instance."""

    RESTART = "restart"
    OVERLAP = "overlap"


class Restart(StrEnum):
    """Restart=: after which results a service is started again."""

    NO = "no"
    ALWAYS = "always"
    ON_SUCCESS = "on-success"
    ON_FAILURE = "on-failure"
    ON_ABNORMAL = "on-abnormal"
    ON_ABORT = "on-abort"
    ON_WATCHDOG = "on-watchdog"


class RestartMode(StrEnum):
    """RestartMode=: whether dependants see the gap."""

    NORMAL = "normal"
    DIRECT = "direct"
    DEBUG = "debug"


class KillMode(StrEnum):
    """KillMode=: which processes of the unit a stop signals."""

    CONTROL_GROUP = "control-group"
    MIXED = "mixed"
    PROCESS = "process"
    NONE = "none"

    @property
    def ends_all(self) -> bool:
        """Whether a stop ends every process of the unit in the end, and not only those that are known."""
        return self in (KillMode.CONTROL_GROUP, KillMode.MIXED)


class NotifyAccess(StrEnum):
    """NotifyAccess=: whose notifications count."""

    NONE = "none"
    MAIN = "main"
    EXEC = "exec"
    ALL = "all"


class ExitType(StrEnum):
    """ExitType=: what the end of a service is, its main process or its last one."""

    MAIN = "main"
    CGROUP = "cgroup"


class OOMPolicy(StrEnum):
    """OOMPolicy=: what follows when the kernel kills a process of the unit for memory."""

    CONTINUE = "continue"
    STOP = "stop"
    KILL = "kill"


class TimeoutFailureMode(StrEnum):
    """TimeoutStartFailureMode=, TimeoutStopFailureMode=: how an overdue service is ended."""

    TERMINATE = "terminate"
    ABORT = "abort"
    KILL = "kill"


class Preserve(StrEnum):
    """RuntimeDirectoryPreserve=: whether a runtime directory outlives its service."""

    NO = "no"
    YES = "yes"
    RESTART = "restart"
