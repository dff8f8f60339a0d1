"""The life of a service as one table: (state, cause) -> next state.

Theory of operation
-------------------
A service is always in exactly one `SubState`. Nothing but a `Cause` moves it, and the table below is the
only place that says where to. What a state *does* belongs to the state, not to the arrow that led there:
on entry its commands are run one after the other, or its signal is sent, and its deadline is set
(`lifecycle.py`). A state with nothing to do yields its own `DONE` at once, so that a unit without
`ExecStartPre=` passes through `start-pre` without a trace.

Three shapes recur:

* *Command states* (start-pre, start of a oneshot, start-post, reload, stop, stop-post) run a list of
  commands. `DONE` after the last success, `FAILED` at the first failure, `TIMEOUT` at the deadline.
* *Waiting states* (stop-watchdog, stop-sigterm, stop-sigkill, and the same three of the final round) have
  sent a signal and wait for the processes that KillMode= names to be gone: `EMPTY`, or `TIMEOUT`, which
  sends a stronger signal. reload-signal and reload-notify wait for what the service says of its reload.
* *Resting states* (running, exited, active, dead, failed, auto-restart) wait for the world to change.

Before all that, a unit with Condition*=, Assert*= or ExecCondition= is in `condition` until they have been
checked; if one that is not a command says no, the unit is put to rest at once (`conditions.py`).

Failure before the service is up skips ExecStop= and goes straight to the signals; ExecStopPost= runs
whenever anything was started (systemd.service(5)). The first cause of failure is the one that counts: it
is recorded in `result` and later causes do not overwrite it. Where a deadline leads depends on
Timeout*FailureMode=: `TIMEOUT` (terminate), `HUNG` (abort, as after the watchdog's) or `KILL`.

There is no arrow out of the last waiting state to `failed` or `auto-restart`: `END` is resolved by the
restart policy (`restart.py`) into `dead`, `failed` or `auto-restart`.
"""

from __future__ import annotations

from enum import StrEnum

from gitproc.core.states import SubState as S


class Cause(StrEnum):
    """What moves a service from one state to the next."""

    BEGIN = "start is due"
    CHECK = "start is due, on conditions"
    DONE = "commands done"
    FAILED = "command failed"
    READY = "started, by the rule of its Type="
    COMPLETED = "main process ended cleanly"
    CRASHED = "main process failed"
    HALT = "stop is due"
    RELOAD = "reload is due"
    SIGNALLED = "ReloadSignal= sent"
    RELOADING = "it says that it reloads"
    LEAVING = "it says that it stops"
    ABORT = "unhealthy or out of memory"
    TIMEOUT = "deadline passed"
    HUNG = "silent for WatchdogSec=, or to be aborted"
    KILL = "to be killed"
    EMPTY = "processes gone"


class End(StrEnum):
    """The pseudo-state behind the last waiting state; the restart policy resolves it."""

    RESOLVE = "end"


LIVES = frozenset({"service", "socket"})
"""Kinds of units that go through the table; others are up or down. A socket has no RUNNING of its own: it
rests in LISTENING, and its START is over when it is open."""

Next = S | End
END = End.RESOLVE

_BEGINS: dict[Cause, Next] = {Cause.BEGIN: S.START_PRE, Cause.CHECK: S.CONDITION}
# What takes an instance down at once, from wherever it has a process; and what else ends a start.
_FORCED: dict[Cause, Next] = {
    Cause.HUNG: S.STOP_WATCHDOG,
    Cause.KILL: S.STOP_SIGKILL,
    Cause.ABORT: S.STOP_SIGTERM,
}
_CUT_SHORT: dict[Cause, Next] = {
    **_FORCED,
    Cause.FAILED: S.STOP_SIGTERM,
    Cause.TIMEOUT: S.STOP_SIGTERM,
    Cause.HALT: S.STOP_SIGTERM,
}
# What ends a service that is up, or reloads: ExecStop= is run where that can do any good.
_UP: dict[Cause, Next] = {
    **_FORCED,
    Cause.COMPLETED: S.STOP,
    Cause.CRASHED: S.STOP_SIGTERM,
    Cause.LEAVING: S.STOP_SIGTERM,
    Cause.HALT: S.STOP,
}
# While the service has yet to say how its reload has gone.
_UNSAID: dict[Cause, Next] = {**_UP, Cause.TIMEOUT: S.RUNNING, Cause.CRASHED: S.STOP}

_ARROWS: dict[S, dict[Cause, Next]] = {
    S.DEAD: _BEGINS,
    S.FAILED: _BEGINS,
    S.AUTO_RESTART: {**_BEGINS, Cause.HALT: S.DEAD},
    S.CONDITION: {Cause.DONE: S.START_PRE, **_CUT_SHORT},
    S.START_PRE: {Cause.DONE: S.START, **_CUT_SHORT},
    S.START: {
        Cause.READY: S.START_POST,
        Cause.DONE: S.START_POST,
        Cause.COMPLETED: S.STOP_SIGTERM,
        Cause.CRASHED: S.STOP_SIGTERM,
        **_CUT_SHORT,
    },
    S.START_POST: {Cause.DONE: S.RUNNING, Cause.CRASHED: S.STOP_SIGTERM, **_CUT_SHORT},
    S.RUNNING: {
        Cause.RELOAD: S.RELOAD,
        Cause.RELOADING: S.RELOAD_NOTIFY,
        Cause.DONE: S.EXITED,  # RemainAfterExit= keeps it active
        Cause.TIMEOUT: S.STOP,  # RuntimeMaxSec=
        **_UP,
    },
    S.EXITED: {
        Cause.RELOAD: S.RELOAD,
        Cause.HALT: S.STOP,
        Cause.ABORT: S.STOP,
        Cause.KILL: S.STOP_SIGKILL,
    },
    S.LISTENING: {Cause.HALT: S.STOP, Cause.ABORT: S.STOP_SIGTERM},
    S.RELOAD: {
        Cause.DONE: S.RUNNING,
        Cause.FAILED: S.RUNNING,
        Cause.TIMEOUT: S.RUNNING,
        Cause.SIGNALLED: S.RELOAD_SIGNAL,
        Cause.RELOADING: S.RELOAD_NOTIFY,
        **_UP,
    },
    S.RELOAD_SIGNAL: {Cause.RELOADING: S.RELOAD_NOTIFY, **_UNSAID},
    S.RELOAD_NOTIFY: {Cause.READY: S.RUNNING, **_UNSAID},
    S.STOP: {
        Cause.DONE: S.STOP_SIGTERM,
        Cause.FAILED: S.STOP_SIGTERM,
        Cause.TIMEOUT: S.STOP_SIGTERM,
        Cause.HUNG: S.STOP_WATCHDOG,
        Cause.KILL: S.STOP_SIGKILL,
    },
    S.STOP_WATCHDOG: {Cause.EMPTY: S.STOP_POST, Cause.TIMEOUT: S.STOP_SIGKILL},
    S.STOP_SIGTERM: {
        Cause.EMPTY: S.STOP_POST,
        Cause.TIMEOUT: S.STOP_SIGKILL,
        Cause.HUNG: S.STOP_WATCHDOG,
        Cause.KILL: S.STOP_SIGKILL,
    },
    S.STOP_SIGKILL: {Cause.EMPTY: S.STOP_POST, Cause.TIMEOUT: S.STOP_POST},
    S.STOP_POST: {
        Cause.DONE: S.FINAL_SIGTERM,
        Cause.FAILED: S.FINAL_SIGTERM,
        Cause.TIMEOUT: S.FINAL_SIGTERM,
        Cause.HUNG: S.FINAL_WATCHDOG,
        Cause.KILL: S.FINAL_SIGKILL,
    },
    S.FINAL_WATCHDOG: {Cause.EMPTY: END, Cause.TIMEOUT: S.FINAL_SIGKILL},
    S.FINAL_SIGTERM: {
        Cause.EMPTY: END,
        Cause.TIMEOUT: S.FINAL_SIGKILL,
        Cause.HUNG: S.FINAL_WATCHDOG,
        Cause.KILL: S.FINAL_SIGKILL,
    },
    S.FINAL_SIGKILL: {Cause.EMPTY: END, Cause.TIMEOUT: END},
}
TRANSITIONS = {(state, x): target for state, row in _ARROWS.items() for x, target in row.items()}


def next_state(state: S, cause: Cause) -> Next | None:
    """Where `cause` leads from `state`; None where it means nothing (late or out of place)."""
    return TRANSITIONS.get((state, cause))
