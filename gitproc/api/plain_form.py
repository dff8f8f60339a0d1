"""The founding document's plain form, answered in kind on the same socket.

`{"command" or "cmd": VERB, "service": NAME, "args": {"follow", "lines", "commit"}}` gets
`{"status": "success" | "error", "data": {"pid", "state", "logs", ...}, "error": MESSAGE | null}`, with the
service's `pid` also at the top. `logs` with `follow` is answered by one such line per line of the log.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gitproc.api.methods import LIFECYCLE, METHODS
from gitproc.api.protocol import InvalidRequest, Request, check_params
from gitproc.errors import GitProcError

_STATES = {
    "active": "running",
    "reloading": "running",
    "activating": "starting",
    "deactivating": "stopping",
    "inactive": "stopped",
    "failed": "failed",
}
_TAKES_ONE = frozenset({"unit"})


def is_plain(value: Any) -> bool:
    """Is this request in the plain form?"""
    return (
        isinstance(value, dict)
        and "jsonrpc" not in value
        and not {"command", "cmd"}.isdisjoint(value)
    )


def parse(value: Mapping[str, Any]) -> Request:
    """The request meant. Raises InvalidRequest, NoSuchMethod or UsageError."""
    command = value.get("command", value.get("cmd"))
    args = value.get("args")
    service = value.get("service")
    if not isinstance(command, str):
        raise InvalidRequest("command is a string")
    if args is None:
        args = {}
    if not isinstance(args, dict):
        raise InvalidRequest("args is an object")
    if service is not None and not isinstance(service, str):
        raise InvalidRequest("service is a string")
    params: dict[str, Any] = dict(args)
    if "commit" in params:
        params["sha" if command == "rollback" else "rev"] = params.pop("commit")
    known = METHODS[command].params if command in METHODS else {}
    if service:
        if _TAKES_ONE.isdisjoint(known):
            params["units"] = [service]
        else:
            params["unit"] = service
    # the document's example sends every argument with every command
    for extra in ("follow", "lines", "rev", "units"):
        if extra not in known and extra in params and command in METHODS:
            del params[extra]
    checked, _ = check_params(command, params)
    return Request(command, checked)


def answer(request: Request, result: Any) -> dict[str, Any]:
    """The answer in kind."""
    data: dict[str, Any] = dict(result) if isinstance(result, Mapping) else {"result": result}
    data.pop("version", None)
    if request.method in LIFECYCLE:
        return _of_jobs(data)
    if request.method in {"status", "list"}:
        return _of_units(request, data)
    if request.method == "logs":
        data["logs"] = "".join(f"{line['text']}\n" for line in data.pop("lines", ()))
    return _success(data)


def _of_jobs(data: dict[str, Any]) -> dict[str, Any]:
    outcomes: Mapping[str, Mapping[str, Any]] = data.get("units") or {}
    bad = {
        name: one
        for name, one in outcomes.items()
        if one.get("result") not in {"done", "skipped", "queued"}
    }
    if bad:
        words = (f"{name}: {one.get('message') or one.get('result')}" for name, one in bad.items())
        return {"status": "error", "data": data, "error": "; ".join(words)}
    if len(outcomes) == 1:
        (outcome,) = outcomes.values()
        data = {**outcome, "state": _state(outcome), **data}
    return _success(data)


def _of_units(request: Request, data: dict[str, Any]) -> dict[str, Any]:
    units = [{**unit, "pid": unit.get("main_pid"), "state": _state(unit)} for unit in data["units"]]
    if len(request.params.get("units", ())) == 1 and len(units) == 1:
        if units[0].get("load_state") == "not-found":
            return failure(GitProcError(f"no such unit: {units[0].get('name')}"))
        return _success(units[0])
    return _success({**data, "units": units, "services": units})


def _state(unit: Mapping[str, Any]) -> str:
    return _STATES.get(str(unit.get("active_state")), "unknown")


def _success(data: dict[str, Any]) -> dict[str, Any]:
    whole = {"status": "success", "data": data, "error": None}
    return {**whole, "pid": data["pid"]} if data.get("pid") else whole


def failure(error: GitProcError) -> dict[str, Any]:
    """The answer that carries an error."""
    return {"status": "error", "data": error.data or None, "error": error.message}


def stream_item(request: Request, item: Mapping[str, Any]) -> dict[str, Any]:
    """One line of a followed log, or one event."""
    return _success(
        {"logs": f"{item.get('text', '')}\n"} if request.method == "logs" else dict(item)
    )
