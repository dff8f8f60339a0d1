"""Rows of the directive table for standard input, output and error, and for what of it is logged (systemd.exec(5))."""

from __future__ import annotations

from typing import Any

from gitproc.units.directive import Change, Directive, Specifiers, Support
from gitproc.units.rows import exactly, flag, known, one, several
from gitproc.units.streams import (
    INHERIT,
    JOURNAL,
    NULL,
    parse_input,
    parse_input_data,
    parse_input_text,
    parse_level,
    parse_output,
)
from gitproc.units.timespan import parse_span
from gitproc.units.values import parse_path, parse_unsigned

STANDARD_INPUT = one(
    "Service",
    "StandardInput",
    parse_input,
    NULL,
    "Input: null, data, file:PATH, fd:NAME, socket, tty, tty-force, tty-fail.",
    Change.RESTART,
    Specifiers.TEXT,
)
STANDARD_OUTPUT = one(
    "Service",
    "StandardOutput",
    parse_output,
    JOURNAL,
    "Output: journal (our log), inherit, null, file: append: truncate:PATH, fd:NAME, socket, tty.",
    Change.RESTART,
    Specifiers.TEXT,
)
STANDARD_ERROR = one(
    "Service",
    "StandardError",
    parse_output,
    INHERIT,
    "Error output, likewise; inherit: as StandardOutput=.",
    Change.RESTART,
    Specifiers.TEXT,
)
STANDARD_INPUT_TEXT = several(
    "Service",
    "StandardInputText",
    parse_input_text,
    "A line to give as input.",
    Change.RESTART,
    Specifiers.ESCAPED,
)
STANDARD_INPUT_DATA = several(
    "Service",
    "StandardInputData",
    parse_input_data,
    "Bytes to give as input, in base64.",
    Change.RESTART,
    Specifiers.NONE,
)
TTY_PATH = one(
    "Service",
    "TTYPath",
    parse_path,
    "/dev/console",
    "The terminal of StandardInput=tty and its kin.",
    Change.RESTART,
    Specifiers.TEXT,
)
SYSLOG_LEVEL = one(
    "Service", "SyslogLevel", parse_level, 6, "Level of lines without a prefix: emerg ... debug."
)
SYSLOG_LEVEL_PREFIX = flag(
    "Service",
    "SyslogLevelPrefix",
    True,
    "<N> in front of a line is its level; lines are kept as written.",
)
LOG_LEVEL_MAX: Directive[int | None] = one(
    "Service",
    "LogLevelMax",
    parse_level,
    None,
    "Lines of less important levels do not get into the log.",
)
LOG_RATE_LIMIT_INTERVAL_SEC: Directive[float | None] = one(
    "Service",
    "LogRateLimitIntervalSec",
    parse_span,
    None,
    "Window of the log's rate limit (30 s if only the other is set; 0: none).",
)
LOG_RATE_LIMIT_BURST: Directive[int | None] = one(
    "Service",
    "LogRateLimitBurst",
    parse_unsigned,
    None,
    "Lines logged in a window (10000 if only the other is set); no limit if neither.",
)

_FACILITIES = (
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp",
)  # fmt: skip
_UNENFORCED = {
    "LogFilterPatterns": "Patterns of lines to log: everything is logged.",
    "LogExtraFields": "Journal fields of log lines: logs have no fields.",
    "LogNamespace": "Journal instance: each unit has a log of its own.",
}
_NO_EFFECT = {
    "SyslogIdentifier": "Tag of log lines; each unit has a log of its own.",
}

ROWS: tuple[Directive[Any], ...] = (
    STANDARD_INPUT,
    STANDARD_INPUT_TEXT,
    STANDARD_INPUT_DATA,
    STANDARD_OUTPUT,
    STANDARD_ERROR,
    TTY_PATH,
    SYSLOG_LEVEL,
    SYSLOG_LEVEL_PREFIX,
    LOG_LEVEL_MAX,
    LOG_RATE_LIMIT_INTERVAL_SEC,
    LOG_RATE_LIMIT_BURST,
    *(known("Service", n, Support.UNENFORCED, d) for n, d in _UNENFORCED.items()),
    *(known("Service", n, Support.NO_EFFECT, d) for n, d in _NO_EFFECT.items()),
    known(
        "Service",
        "SyslogFacility",
        Support.NO_EFFECT,
        "Facility of log lines; logs have no facilities.",
        exactly(*_FACILITIES, *(f"local{n}" for n in range(8)), *map(str, range(24))),
        "daemon",
    ),
)
