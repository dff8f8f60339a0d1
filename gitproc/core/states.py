"""The words for where a unit is and how it ended: systemd's, so that everyone can read them.

`SubState` is the state proper; `ActiveState` is a view of it (systemd(1), "ActiveState"). `Result` is the
first cause of failure of the present or last run (systemd.exec(5), `$SERVICE_RESULT`).
"""

from __future__ import annotations

from enum import StrEnum


class ActiveState(StrEnum):
    """The coarse state, the same words for every kind of unit."""

    ACTIVE = "active"
    RELOADING = "reloading"
    INACTIVE = "inactive"
    FAILED = "failed"
    ACTIVATING = "activating"
    DEACTIVATING = "deactivating"


class SubState(StrEnum):
    """The fine state. ACTIVE is a target's or slice's, WAITING a timer's or path's, ELAPSED a timer's,
    LISTENING a socket's; each of the three is RUNNING while what it starts runs. The others are a service's.
    """

    DEAD = "dead"
    CONDITION = "condition"
    START_PRE = "start-pre"
    START = "start"
    START_POST = "start-post"
    RUNNING = "running"
    EXITED = "exited"
    ACTIVE = "active"
    WAITING = "waiting"
    ELAPSED = "elapsed"
    LISTENING = "listening"
    RELOAD = "reload"
    RELOAD_SIGNAL = "reload-signal"
    RELOAD_NOTIFY = "reload-notify"
    STOP = "stop"
    STOP_WATCHDOG = "stop-watchdog"
    STOP_SIGTERM = "stop-sigterm"
    STOP_SIGKILL = "stop-sigkill"
    STOP_POST = "stop-post"
    FINAL_WATCHDOG = "final-watchdog"
    FINAL_SIGTERM = "final-sigterm"
    FINAL_SIGKILL = "final-sigkill"
    FAILED = "failed"
    AUTO_RESTART = "auto-restart"


class Result(StrEnum):
    """Why a run ended. HEALTH_CHECK is GitProc's own; the others are systemd's (ASSERT of its jobs)."""

    SUCCESS = "success"
    RESOURCES = "resources"
    PROTOCOL = "protocol"
    TIMEOUT = "timeout"
    EXIT_CODE = "exit-code"
    SIGNAL = "signal"
    CORE_DUMP = "core-dump"
    WATCHDOG = "watchdog"
    OOM_KILL = "oom-kill"
    START_LIMIT_HIT = "start-limit-hit"
    UNIT_START_LIMIT_HIT = "unit-start-limit-hit"
    TRIGGER_LIMIT_HIT = "trigger-limit-hit"
    ASSERT = "assert"
    DEPENDENCY = "dependency"  # a file system is missing; systemd's word for the job
    EXEC_CONDITION = "exec-condition"
    SERVICE_START_LIMIT_HIT = "service-start-limit-hit"
    HEALTH_CHECK = "health-check"


RESTS: dict[str, SubState] = {
    "timer": SubState.WAITING,
    "path": SubState.WAITING,
    "socket": SubState.LISTENING,
}
"""Kind of unit -> the state in which one without processes is when it has been started; others: ACTIVE."""

RELOADING = frozenset({SubState.RELOAD, SubState.RELOAD_SIGNAL, SubState.RELOAD_NOTIFY})
UP = frozenset(
    {SubState.RUNNING, SubState.EXITED, SubState.ACTIVE, *RESTS.values(), SubState.ELAPSED}
    | RELOADING
)
DOWN = frozenset({SubState.DEAD, SubState.FAILED, SubState.AUTO_RESTART})
STARTING = frozenset({SubState.CONDITION, SubState.START_PRE, SubState.START, SubState.START_POST})
STOPPING = frozenset(SubState) - UP - DOWN - STARTING
ACTIVE_STATE: dict[SubState, ActiveState] = {
    **dict.fromkeys(UP, ActiveState.ACTIVE),
    **dict.fromkeys(RELOADING, ActiveState.RELOADING),
    **dict.fromkeys(STARTING, ActiveState.ACTIVATING),
    **dict.fromkeys(STOPPING, ActiveState.DEACTIVATING),
    SubState.DEAD: ActiveState.INACTIVE,
    SubState.FAILED: ActiveState.FAILED,
    SubState.AUTO_RESTART: ActiveState.ACTIVATING,
}
#: Results of a start that has not begun, for what its surroundings lack.
UNBEGUN = frozenset({Result.ASSERT, Result.DEPENDENCY})
#: Results that are no failure.
FINE = frozenset({Result.SUCCESS, Result.EXEC_CONDITION})
