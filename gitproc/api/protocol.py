"""How things are said over the socket: requests, answers, errors, and the frames they travel in.

Three forms share one socket, one line a request; each is answered in kind:

- JSON-RPC 2.0, also in batches: `{"jsonrpc":"2.0","id":1,"method":"status","params":{}}`. A stream is a series of
  notifications `{"jsonrpc":"2.0","method":"stream","params":{"id":1,"item":{...}}}` and then the result.
- The same with `"reply":"text"`: the answer is a line `gitproc-text 1 EXITSTATUS OUTLENGTH ERRLENGTH` and that many
  bytes for standard output and standard error, so that a client needs neither a JSON parser nor a renderer.
- The plain form `{"command":"start","service":"web"}` (`plain_form.py`).

What reaches the handler has been checked against the table of `methods.py`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from gitproc.api.methods import LOG_LINES, METHODS, Method, flag, number
from gitproc.errors import GitProcError, UsageError
from gitproc.immutable import immutable

VERSION = 1
MAX_LINE = 1 << 20  # bytes a request may have, its newline included
MAX_BATCH = 100  # requests in one batch

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


# How the answer shall look; the handler never sees these.
_PRESENTATION: Mapping[str, Callable[[Any], Any]] = {
    "text": flag,
    "width": number,
    "color": flag,
    "value": flag,
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
