"""Rows of the directive table for how long a service may take, be silent and run (systemd.service(5))."""

from __future__ import annotations

import math
from typing import Any

from gitproc.units.directive import Change, Directive
from gitproc.units.rows import one
from gitproc.units.service_types import TimeoutFailureMode
from gitproc.units.timespan import parse_span, parse_timeout
from gitproc.units.values import choice, parse_signal

_SIGABRT = 6


def _timeout(name: str, default: float, doc: str) -> Directive[float]:
    return one("Service", name, parse_timeout, default, doc, Change.LIVE)


def _mode(name: str, doc: str) -> Directive[TimeoutFailureMode]:
    row: Directive[TimeoutFailureMode] = one(
        "Service",
        name,
        choice(TimeoutFailureMode),
        TimeoutFailureMode.TERMINATE,
        doc,
        Change.LIVE,
    )
    return row


TIMEOUT_START_SEC = _timeout(
    "TimeoutStartSec", 90.0, "Longest start (90 s; no limit for Type=oneshot); 0: no limit."
)
TIMEOUT_STOP_SEC = _timeout(
    "TimeoutStopSec", 90.0, "Longest stop, for each ExecStop= and for the processes (90 s)."
)
TIMEOUT_ABORT_SEC = _timeout(
    "TimeoutAbortSec", 90.0, "Longest end after WatchdogSignal= (TimeoutStopSec=)."
)
TIMEOUT_START_FAILURE_MODE = _mode(
    "TimeoutStartFailureMode",
    "How a start that takes too long is ended: terminate, abort (WatchdogSignal=) or kill.",
)
TIMEOUT_STOP_FAILURE_MODE = _mode(
    "TimeoutStopFailureMode",
    "How a stop that takes too long is ended: terminate, abort (WatchdogSignal=) or kill.",
)
RUNTIME_MAX_SEC = _timeout(
    "RuntimeMaxSec", math.inf, "Longest time to be active; then it is stopped, and has failed."
)
RUNTIME_RANDOMIZED_EXTRA_SEC = one(
    "Service",
    "RuntimeRandomizedExtraSec",
    parse_span,
    0.0,
    "At most so much is added to RuntimeMaxSec=, another time for each start.",
    Change.LIVE,
)
WATCHDOG_SEC = one(
    "Service",
    "WatchdogSec",
    parse_span,
    0.0,
    "Longest silence: without WATCHDOG=1 for so long the service is aborted; 0: not watched.",
)
WATCHDOG_SIGNAL = one(
    "Service",
    "WatchdogSignal",
    parse_signal,
    _SIGABRT,
    "Signal that aborts a service, after silence or by a TimeoutFailureMode= (SIGABRT).",
    Change.LIVE,
)

ROWS: tuple[Directive[Any], ...] = (
    TIMEOUT_START_SEC,
    TIMEOUT_STOP_SEC,
    TIMEOUT_ABORT_SEC,
    TIMEOUT_START_FAILURE_MODE,
    TIMEOUT_STOP_FAILURE_MODE,
    RUNTIME_MAX_SEC,
    RUNTIME_RANDOMIZED_EXTRA_SEC,
    WATCHDOG_SEC,
    WATCHDOG_SIGNAL,
)
