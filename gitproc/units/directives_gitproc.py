"""Rows of the directive table for [X-GitProc]: what systemd has no word for, and ignores."""

from __future__ import annotations

import posixpath
from typing import Any

from gitproc.units.directive import Change, Directive, Repeat, Specifiers, Support
from gitproc.units.directives_unit import parse_dependencies
from gitproc.units.rows import flag, one, several
from gitproc.units.scalars import choice
from gitproc.units.service_types import Update
from gitproc.units.timespan import parse_span
from gitproc.units.values import ExecCommand, parse_command, parse_unsigned
from gitproc.units.words import split_words

SECTION = "X-GitProc"


def parse_url(value: str) -> str:
    """An http or https URL with a host."""
    scheme, mark, rest = value.partition("://")
    host = rest.partition("/")[0].rpartition("@")[2]
    if scheme not in ("http", "https") or not mark or not host or any(c <= " " for c in value):
        raise ValueError(f"{value!r} is not a URL such as http://127.0.0.1:8080/health")
    return value


def parse_endpoint(value: str) -> str:
    """`HOST:PORT` (an IPv6 address in brackets), or a port of this machine: `127.0.0.1:PORT`."""
    host, colon, port = value.rpartition(":")
    if not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise ValueError(f"{value!r} is not HOST:PORT")
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host.replace(":", " ")
    if any(character <= " " for character in bare) or (colon and not bare):
        raise ValueError(f"{value!r} is not HOST:PORT")
    return f"{host or '127.0.0.1'}:{port}"


def parse_interval(value: str) -> float:
    """A span of more than nothing, in seconds."""
    span = parse_span(value)
    if not 0 < span < float("inf"):
        raise ValueError(f"{value!r} must be longer than 0 and finite")
    return span


def parse_retries(value: str) -> int:
    """A count of at least one."""
    count = parse_unsigned(value)
    if count < 1:
        raise ValueError("at least 1 is needed")
    return count


def parse_tree_paths(value: str) -> tuple[str, ...]:
    """Files of the repository, relative to its root."""
    paths = []
    for word in split_words(value):
        path = posixpath.normpath(word.lstrip("/"))
        if path == "." or path.startswith("../") or path == "..":
            raise ValueError(f"{word!r} is not a path inside the repository")
        paths.append(path)
    return tuple(paths)


ENABLED = flag(
    SECTION, "Enabled", True, "no: loaded, but not run unless something needs it.", Change.NONE
)
PID_NAMESPACE_INIT = flag(
    SECTION,
    "PIDNamespaceInit",
    True,
    "no: with PrivatePIDs= the service is process 1 itself, which no signal without a handler reaches.",
)
ON_RETRY: Directive[tuple[str, ...]] = Directive(
    SECTION,
    "OnRetry",
    parse_dependencies,
    (),
    Repeat.DEPENDENCY,
    Change.NONE,
    Support.ENFORCED,
    "Units started each time this one ends and is about to be restarted by itself.",
    Specifiers.WORDS,
)
HEALTH_CHECK_URL = one(
    SECTION,
    "HealthCheckURL",
    parse_url,
    "",
    "Healthy while a GET of this URL is answered with status 200.",
    Change.LIVE,
    Specifiers.TEXT,
)
HEALTH_CHECK_TCP = one(
    SECTION,
    "HealthCheckTCP",
    parse_endpoint,
    "",
    "Healthy while this HOST:PORT accepts a connection.",
    Change.LIVE,
    Specifiers.TEXT,
)
HEALTH_CHECK_EXEC: Directive[ExecCommand | None] = one(
    SECTION,
    "HealthCheckExec",
    parse_command,
    None,
    "Healthy while this command, run as the unit's user in its cgroup, exits with 0.",
    Change.LIVE,
    Specifiers.ESCAPED,
)
HEALTH_CHECK_INTERVAL = one(
    SECTION,
    "HealthCheckInterval",
    parse_interval,
    30.0,
    "Pause between checks (30 s).",
    Change.LIVE,
)
HEALTH_CHECK_TIMEOUT = one(
    SECTION, "HealthCheckTimeout", parse_interval, 5.0, "Longest check (5 s).", Change.LIVE
)
HEALTH_CHECK_RETRIES = one(
    SECTION,
    "HealthCheckRetries",
    parse_retries,
    3,
    "Failures in a row that make a unit unhealthy (3; 1 where checks stand in [Service]).",
    Change.LIVE,
)
HEALTH_CHECK_START_PERIOD = one(
    SECTION,
    "HealthCheckStartPeriod",
    parse_span,
    0.0,
    "Time after the start in which failures do not count.",
    Change.LIVE,
)
RESTART_TRIGGERS = several(
    SECTION,
    "RestartTriggers",
    parse_tree_paths,
    "Files of the repository whose change restarts the unit.",
    Change.NONE,
)
RELOAD_TRIGGERS = several(
    SECTION,
    "ReloadTriggers",
    parse_tree_paths,
    "Files of the repository whose change reloads the unit.",
    Change.NONE,
)
RESTART_RESET_SEC: Directive[float | None] = one(
    SECTION,
    "RestartResetSec",
    parse_span,
    None,
    "Time up after which restarts are forgotten (ten times RestartSec=, at least 60 s).",
    Change.LIVE,
)
UPDATE: Directive[Update] = one(
    SECTION,
    "Update",
    choice(Update),
    Update.RESTART,
    "overlap: a commit starts the new instance beside the old one, on its sockets; restart: after it.",
    Change.NONE,
)

ROWS: tuple[Directive[Any], ...] = (
    ENABLED,
    PID_NAMESPACE_INIT,
    ON_RETRY,
    HEALTH_CHECK_URL,
    HEALTH_CHECK_TCP,
    HEALTH_CHECK_EXEC,
    HEALTH_CHECK_INTERVAL,
    HEALTH_CHECK_TIMEOUT,
    HEALTH_CHECK_RETRIES,
    HEALTH_CHECK_START_PERIOD,
    RESTART_TRIGGERS,
    RELOAD_TRIGGERS,
    RESTART_RESET_SEC,
    UPDATE,
)
