"""What may be asked over the socket: the methods, their parameters, and who may call them.

The table is the boundary: what reaches the handler has been checked against it, unit names have their suffix,
signals are numbers and instants are seconds since 1970.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from gitproc.api.since import parse_since
from gitproc.errors import UsageError
from gitproc.immutable import field, immutable
from gitproc.pattern import pattern
from gitproc.units.names import mangle
from gitproc.units.signals import parse_signal
from gitproc.units.wildcards import is_pattern

MAX_DATA = 700_000  # characters of base64 in one request: 512 KiB and a little
MAX_UPDATES = 1000  # references of one push
MAX_NAMES = 10_000  # of units in one request
MAX_PATTERNS = 100  # among them; each is held against every unit
MAX_PATTERN = 512  # characters
MAX_ENTRIES = 10_000  # of the history or the event log in one answer
LOG_LINES = 100  # that `logs` shows unless asked otherwise


def unit_name(text: str, *, pattern: bool = False) -> str:
    """The full name of a unit as people type it: without a suffix it is a service.

    Raises UsageError for what cannot be a unit's name (nor, with `pattern`, a shell-style pattern).
    """
    try:
        return mangle(text, globs=pattern)
    except ValueError as error:
        raise UsageError(str(error)) from None


def signal_number(value: str | int) -> int:
    """`TERM`, `SIGTERM`, `15` or 15 as a number; UsageError for anything else."""
    try:
        return parse_signal(str(value).upper())
    except ValueError as error:
        raise UsageError(str(error)) from None


def _text(value: Any) -> str:
    if not isinstance(value, str) or len(value) > 4096:
        raise UsageError("must be a string of at most 4096 characters")
    return value


def flag(value: Any) -> bool:
    """A truth value, as it is."""
    if not isinstance(value, bool):
        raise UsageError("must be true or false")
    return value


def number(value: Any) -> int:
    """A whole number from 0 to 10^9."""
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= 1_000_000_000:
        raise UsageError("must be a whole number, not below 0")
    return value


def _size(value: Any) -> int:
    return value if isinstance(value, int) and 0 <= value < 1 << 63 else number(value)


def _score(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 10:
        raise UsageError("must be a number from 0 to 10")
    return float(value)


def _entries(value: Any) -> int:
    return min(number(value), MAX_ENTRIES)


def _list(value: Any, item: Callable[[str], str]) -> list[str]:
    if isinstance(value, str):
        value = [value]
    if not isinstance(value, list) or len(value) > MAX_NAMES:
        raise UsageError(f"must be a list of at most {MAX_NAMES} strings")
    return list(dict.fromkeys(item(_text(one)) for one in value))


def _unit(value: Any) -> str:
    return unit_name(_text(value))


def _units(value: Any) -> list[str]:
    return _list(value, unit_name)


def _patterns(value: Any) -> list[str]:
    found = _list(value, lambda one: unit_name(one, pattern=True))
    patterns = [one for one in found if is_pattern(one)]
    if len(patterns) > MAX_PATTERNS or any(len(one) > MAX_PATTERN for one in patterns):
        raise UsageError(f"at most {MAX_PATTERNS} patterns of {MAX_PATTERN} characters are taken")
    return found


def _texts(value: Any) -> list[str]:
    return _list(value, str)


def _signal(value: Any) -> int:
    return signal_number(value if isinstance(value, int) else _text(value))


def _whom(value: Any) -> str:
    if value not in ("main", "control", "all"):
        raise UsageError("must be main, control or all")
    return str(value)


def _since(value: Any) -> float:
    return parse_since(value if isinstance(value, (int, float)) else _text(value))


def _data(value: Any) -> str:
    if not isinstance(value, str) or len(value) > MAX_DATA:
        raise UsageError(f"must be base64 of at most {MAX_DATA} characters")
    return value


def _commit(value: Any) -> str:
    if not _COMMIT_ID.fullmatch(_text(value)):
        raise UsageError("must be a commit's whole id")
    return str(value)


def _updates(value: Any) -> list[dict[str, Any]]:
    """References of a push, each with ids before and after ("" for none)."""
    if not isinstance(value, list) or not 0 < len(value) <= MAX_UPDATES:
        raise UsageError(f"must be a list of 1 to {MAX_UPDATES} updates")
    return [_update(one) for one in value]


def _update(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict) or not {"ref", "old", "new"} <= value.keys() <= _UPDATE.keys():
        raise UsageError(f"an update has {', '.join(_UPDATE)}")
    return {name: _UPDATE[name](one) for name, one in value.items()}


def _commit_or_none(value: Any) -> str:
    return value if value == "" else _commit(value)


_COMMIT_ID = pattern(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_UPDATE: Mapping[str, Callable[[Any], Any]] = {
    "ref": _text,
    "old": _commit_or_none,
    "new": _commit_or_none,
    "forward": flag,
    "commits": number,
    "size": _size,
}


@immutable
class Method:
    """One method: its parameters (each with the check that also converts it), and what it needs."""

    params: Mapping[str, Callable[[Any], Any]] = field(default_factory=dict)
    required: frozenset[str] = frozenset()
    operates: bool = False  # changes something: operators only
    streams: bool = False  # may be asked with `follow: true`


_JOB = Method({"units": _patterns, "wait": flag}, frozenset({"units"}), operates=True)

METHODS: Mapping[str, Method] = {
    "ping": Method(),
    "status": Method({"units": _patterns, "lines": _entries}),
    "list": Method({"units": _patterns, "types": _texts, "states": _texts}),
    "start": _JOB,
    "stop": _JOB,
    "restart": _JOB,
    "reload": _JOB,
    "try-restart": _JOB,
    "reload-or-restart": _JOB,
    "try-reload-or-restart": _JOB,
    "reset-failed": Method({"units": _patterns}, operates=True),
    "kill": Method(
        {"units": _patterns, "signal": _signal, "whom": _whom}, frozenset({"units"}), operates=True
    ),
    "is-active": Method({"units": _patterns}, frozenset({"units"})),
    "is-failed": Method({"units": _patterns}, frozenset({"units"})),
    "is-enabled": Method({"units": _units}, frozenset({"units"})),
    "list-dependencies": Method(
        {"unit": _unit, "reverse": flag, "all": flag, "after": flag, "before": flag}
    ),
    "show": Method({"units": _units, "properties": _texts}),
    "cat": Method({"units": _units}, frozenset({"units"})),
    "logs": Method(
        {
            "unit": _unit,
            "units": _patterns,
            "lines": number,
            "since": _since,
            "until": _since,
            "follow": flag,
        },
        streams=True,
    ),
    "verify": Method({"rev": _text}),
    "plan": Method({"rev": _text}),
    "sync": Method(operates=True),
    "apply": Method({"sha": _text}, operates=True),
    "rollback": Method({"sha": _text, "units": _units, "dry_run": flag}, operates=True),
    "history": Method({"unit": _unit, "lines": _entries}),
    "events": Method({"lines": _entries, "follow": flag}, streams=True),
    "list-timers": Method({"units": _patterns, "all": flag}),
    "list-sockets": Method({"units": _patterns, "all": flag}),
    "why": Method({"unit": _unit}, frozenset({"unit"})),
    "diff": Method(),
    "top": Method(),
    "security": Method({"units": _units, "threshold": _score}),
    "doctor": Method(),
    "daemon-reexec": Method(operates=True),
    "push-begin": Method(
        {"updates": _updates, "options": _texts, "ticket": _text},
        frozenset({"updates"}),
        operates=True,
    ),
    "push-objects": Method(
        {"token": _text, "data": _data}, frozenset({"token", "data"}), operates=True
    ),
    "push-check": Method({"token": _text}, frozenset({"token"}), operates=True),
    "deploy": Method(
        {"sha": _commit, "limit": number, "follow": flag}, frozenset({"sha"}), streams=True
    ),
}

LIFECYCLE = frozenset(
    {"kill", "reset-failed", *(name for name, it in METHODS.items() if it is _JOB)}
)
