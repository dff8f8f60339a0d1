"""Rows of the directive table for how long a start may be waited for, and for what an end does to the machine."""

from __future__ import annotations

import math
from typing import Any

from gitproc.units.directive import Change, Directive, Support
from gitproc.units.rows import exactly, known, known_flag, one
from gitproc.units.timespan import parse_timeout

JOB_TIMEOUT_SEC = one(
    "Unit",
    "JobTimeoutSec",
    parse_timeout,
    math.inf,
    "Longest wait for a start to begin: then it fails; longest stop or restart.",
    Change.NONE,
)
JOB_RUNNING_TIMEOUT_SEC = one(
    "Unit",
    "JobRunningTimeoutSec",
    parse_timeout,
    math.inf,
    "Longest start, stop or reload once begun (JobTimeoutSec=): nobody waits, OnFailure= starts.",
    Change.NONE,
)

_PLAIN_MODES = ("fail", "replace", "replace-irreversibly")
_OTHER_MODES = (
    "lenient", "isolate", "flush", "ignore-dependencies", "ignore-requirements", "triggering",
    "restart-dependencies",
)  # fmt: skip
_MODE = "{}= starts units with all they need and stops nothing that is to run, as with replace."


def parse_job_mode(value: str) -> str:
    """A word of systemctl(1), "--job-mode="; `replace` for all that mean the same where there is no queue."""
    mode = exactly(*_PLAIN_MODES, *_OTHER_MODES)(value)
    return "replace" if mode in _PLAIN_MODES else mode


_ACTIONS = {
    "JobTimeoutAction": "What to do to the machine when a job times out: nothing is done.",
    "StartLimitAction": "What to do to the machine at the start limit: nothing is done.",
    "FailureAction": "What to do to the machine when the unit fails: nothing is done.",
    "SuccessAction": "What to do to the machine when the unit ends well: nothing is done.",
}
_FORCED = ("", "-force", "-immediate")
_WORDS = ["none", "exit", "exit-force", "soft-reboot", "soft-reboot-force"]
_WORDS += [f"{what}{how}" for what in ("reboot", "poweroff", "halt", "kexec") for how in _FORCED]
_WORDS.remove("kexec-immediate")


ROWS: tuple[Directive[Any], ...] = (
    JOB_TIMEOUT_SEC,
    JOB_RUNNING_TIMEOUT_SEC,
    *(
        known("Unit", f"{n}JobMode", Support.UNENFORCED, _MODE.format(n), parse_job_mode, "replace")
        for n in ("OnFailure", "OnSuccess")
    ),
    known_flag(
        "Unit", "OnFailureIsolate", Support.UNENFORCED, "Stop all else on failure: all goes on."
    ),
    *(
        known("Unit", n, Support.UNENFORCED, d, exactly(*_WORDS), "none")
        for n, d in _ACTIONS.items()
    ),
)
