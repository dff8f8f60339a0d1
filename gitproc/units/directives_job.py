"""Rows of the directive table for how long a start may be waited for, and for what an end does to the machine."""

from __future__ import annotations

import math
from typing import Any

from gitproc.units.directive import Change, Directive, Support
from gitproc.units.rows import exactly, known, one
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
        known("Unit", n, Support.UNENFORCED, d, exactly(*_WORDS), "none")
        for n, d in _ACTIONS.items()
    ),
)
