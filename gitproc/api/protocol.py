"""What may be said over the socket: methods, their parameters, who may call them, and the frames.

Three forms share one socket, one line a request; each is answered in kind:

- JSON-RPC 2.0, also in batches: `{"jsonrpc":"2.0","id":1,"method":"status","params":{}}`. A stream is a series of
  notifications `{"jsonrpc":"2.0","method":"stream","params":{"id":1,"item":{...}}}` and then the result.
- The same with `"reply":"text"`: the answer is a line `gitproc-text 1 EXITSTATUS OUTLENGTH ERRLENGTH` and that many
  bytes for standard output and standard error, so that a client needs neither a JSON parser nor a renderer.
- The plain form `{"command":"start","service":"web"}` (`plain_form.py`).

The table below is the boundary: what reaches the handler has been checked against it, unit names have their
suffix, signals are numbers and instants are seconds since 1970.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import field
from typing import Any, NoReturn

from gitproc.api.since import parse_since
from gitproc.errors import GitProcError, UsageError
from gitproc.immutable import immutable
from gitproc.units.names import mangle
from gitproc.units.signals import parse_signal

VERSION = 1
MAX_LINE = 1 << 20  # bytes a request may have, its newline included
MAX_DATA = 700_000  # characters of base64 in one request: 512 KiB and a little
MAX_UPDATES = 1000  # references of one push
MAX_BATCH = 100  # requests in one batch
MAX_NAMES = 10_000  # of units in one request
MAX_PATTERNS = 100  # among them; each is held against every unit
MAX_PATTERN = 512  # characters
MAX_ENTRIES = 10_000  # of the history or the event log in one answer
LOG_LINES = 100  # that `logs` shows unless asked otherwise

PARSE_ERROR = -32700
INVALID_REQUEST = -32600
METHOD_NOT_FOUND = -32601
INVALID_PARAMS = -32602
INTERNAL_ERROR = -32603


class InvalidRequest(UsageError):
    """The JSON is fine and is not a request."""

    rpc_code = INVALID_REQUEST


class NotJSON(UsageError):
    """The line is not JSON."""

    rpc_code = PARSE_ERROR


class NoSuchMethod(UsageError):
    """No method of that name."""

    rpc_code = METHOD_NOT_FOUND


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


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise UsageError("must be true or false")
    return value


def _count(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= 1_000_000_000:
        raise UsageError("must be a whole number, not below 0")
    return value


def _size(value: Any) -> int:
    return value if isinstance(value, int) and 0 <= value < 1 << 63 else _count(value)


def _score(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 10:
        raise UsageError("must be a number from 0 to 10")
    return float(value)


def _entries(value: Any) -> int:
    return min(_count(value), MAX_ENTRIES)


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
    patterns = [one for one in found if any(char in one for char in "*?[")]
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


_COMMIT_ID = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_UPDATE: Mapping[str, Callable[[Any], Any]] = {
    "ref": _text,
    "old": _commit_or_none,
    "new": _commit_or_none,
    "forward": _flag,
    "commits": _count,
    "size": _size,
}


@immutable
class Method:
    """One method: its parameters (each with the check that also converts it), and what it needs."""

    params: Mapping[str, Callable[[Any], Any]] = field(default_factory=dict)
    required: frozenset[str] = frozenset()
    operates: bool = False  # changes something: operators only
    streams: bool = False  # may be asked with `follow: true`


_JOB = Method({"units": _units, "wait": _flag}, frozenset({"units"}), operates=True)

METHODS: Mapping[str, Method] = {
    "ping": Method(),
    "status": Method({"units": _patterns}),
    "list": Method({"units": _patterns}),
    "start": _JOB,
    "stop": _JOB,
    "restart": _JOB,
    "reload": _JOB,
    "try-restart": _JOB,
    "reset-failed": Method({"units": _units}, operates=True),
    "kill": Method(
        {"units": _units, "signal": _signal, "whom": _whom}, frozenset({"units"}), operates=True
    ),
    "is-active": Method({"units": _patterns}, frozenset({"units"})),
    "is-failed": Method({"units": _patterns}, frozenset({"units"})),
    "show": Method({"units": _units, "properties": _texts}),
    "cat": Method({"units": _units}, frozenset({"units"})),
    "logs": Method(
        {"unit": _unit, "lines": _count, "since": _since, "follow": _flag},
        frozenset({"unit"}),
        streams=True,
    ),
    "verify": Method({"rev": _text, "path": _text}),
    "plan": Method({"rev": _text}),
    "sync": Method(operates=True),
    "apply": Method({"sha": _text}, operates=True),
    "rollback": Method({"sha": _text, "units": _units, "dry_run": _flag}, operates=True),
    "history": Method({"unit": _unit, "lines": _entries}),
    "events": Method({"lines": _entries, "follow": _flag}, streams=True),
    "list-timers": Method({"units": _patterns, "all": _flag}),
    "list-sockets": Method({"units": _patterns, "all": _flag}),
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
        {"sha": _commit, "limit": _count, "follow": _flag}, frozenset({"sha"}), streams=True
    ),
}

LIFECYCLE = frozenset({"start", "stop", "restart", "reload", "try-restart", "reset-failed", "kill"})

# How the answer shall look; the handler never sees these.
_PRESENTATION: Mapping[str, Callable[[Any], Any]] = {
    "text": _flag,
    "width": _count,
    "color": _flag,
    "value": _flag,
}


@immutable
class Presentation:
    """How to render: `text` at all, `width` in columns (0: not a terminal), colours, bare values."""

    text: bool = False
    width: int = 0
    color: bool = False
    value: bool = False


@immutable
class Request:
    """A well-formed request. `id` is None for a notification, which gets no answer."""

    method: str
    params: dict[str, Any]
    id: str | int | float | None = None
    notification: bool = False
    text_frame: bool = False
    presentation: Presentation = Presentation()

    @property
    def spec(self) -> Method:
        """The row of the table."""
        return METHODS[self.method]

    @property
    def follows(self) -> bool:
        """Is this a stream?"""
        return self.spec.streams and bool(self.params.get("follow"))


def decode(line: bytes) -> Any:
    """The JSON value of a line, strictly (UTF-8, no NaN). Raises NotJSON."""
    try:
        return json.loads(line.decode("utf-8"), parse_constant=_no_constant)
    except RecursionError:
        raise NotJSON("cannot read the request: it is nested too deeply") from None
    except ValueError as error:
        raise NotJSON(f"cannot read the request: it is not JSON: {error}") from None


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def encode(value: Any) -> bytes:
    """One line of JSON with its newline; ASCII, so that undecodable bytes of a service survive."""
    return json.dumps(value, separators=(",", ":"), default=str).encode() + b"\n"


def check_params(method: str, params: Any) -> tuple[dict[str, Any], Presentation]:
    """Check and convert `params` of a method. Raises NoSuchMethod or UsageError."""
    spec = METHODS.get(method)
    if spec is None:
        raise NoSuchMethod(f"unknown method {method[:80]!r}", methods=sorted(METHODS))
    if params is None:
        params = {}
    if not isinstance(params, dict):
        raise UsageError(f"{method}: parameters are an object of named values")
    checked: dict[str, Any] = {}
    presentation: dict[str, Any] = {}
    for name, value in params.items():
        check = spec.params.get(name) or _PRESENTATION.get(name)
        if check is None:
            raise UsageError(f"{method}: unknown parameter {name[:80]!r}", parameter=name[:80])
        if value is None:
            continue
        try:
            (checked if name in spec.params else presentation)[name] = check(value)
        except UsageError as error:
            raise UsageError(f"{method}: {name}: {error.message}", parameter=name) from None
    if method == "logs" and not {"lines", "since", "follow"} & checked.keys():
        checked["lines"] = LOG_LINES
    missing = sorted(spec.required - {name for name, value in checked.items() if value != []})
    if missing:
        raise UsageError(f"{method}: needs {', '.join(missing)}", parameter=missing[0])
    return checked, Presentation(**presentation)


def parse_request(value: Any) -> Request:
    """A JSON-RPC request object. Raises InvalidRequest, NoSuchMethod or UsageError."""
    if not isinstance(value, dict):
        raise InvalidRequest("a request is a JSON object")
    method, request_id = value.get("method"), value.get("id")
    if value.get("jsonrpc") != "2.0" or not isinstance(method, str):
        raise InvalidRequest('a request has "jsonrpc":"2.0" and a "method"')
    if isinstance(request_id, (dict, list, bool)):
        raise InvalidRequest("the id of a request is a string or a number")
    params, presentation = check_params(method, value.get("params"))
    return Request(
        method,
        params,
        request_id,
        notification="id" not in value,
        text_frame=value.get("reply") == "text",
        presentation=presentation,
    )


def id_of(value: Any) -> str | int | float | None:
    """The id to answer a request with that may be malformed."""
    found = value.get("id") if isinstance(value, dict) else None
    return found if isinstance(found, (str, int, float)) else None


def result_object(request_id: Any, result: Any) -> dict[str, Any]:
    """The response that carries a result."""
    return {"jsonrpc": "2.0", "id": request_id, "result": result}


def error_object(request_id: Any, error: GitProcError) -> dict[str, Any]:
    """The response that carries an error."""
    body: dict[str, Any] = {"code": error.rpc_code, "message": error.message}
    if error.data:
        body["data"] = error.data
    return {"jsonrpc": "2.0", "id": request_id, "error": body}


def stream_object(request_id: Any, item: Mapping[str, Any]) -> dict[str, Any]:
    """The notification that carries one item of a stream."""
    return {"jsonrpc": "2.0", "method": "stream", "params": {"id": request_id, "item": item}}


def text_frame(status: int, out: str, err: str) -> bytes:
    """The text form of an answer; bytes that were not UTF-8 come out as they went in."""
    raw_out = out.encode("utf-8", "surrogateescape")
    raw_err = err.encode("utf-8", "surrogateescape")
    return b"gitproc-text 1 %d %d %d\n" % (status, len(raw_out), len(raw_err)) + raw_out + raw_err
