"""Every result as plain text with its exit status: what the fast path prints and the slow path prints too.

One renderer for both, so that they cannot disagree. Exit statuses are systemctl's: `status` 0 active, 3 not,
4 unknown; `is-active` 0, 3, 4; `is-failed` 0, 1; a verb on an unknown unit 5, a failed job 1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from gitproc.api.methods import LIFECYCLE
from gitproc.api.text_changes import apply, history, plan, rollback, sync
from gitproc.api.text_dependencies import dependencies
from gitproc.api.text_logs import cut, form_of, log_lines
from gitproc.api.text_properties import properties
from gitproc.api.text_reasons import diff, timeline, why
from gitproc.api.text_security import above, security
from gitproc.api.text_sockets import sockets
from gitproc.api.text_status import diagnostic_line, overview, unit_status, unit_table
from gitproc.api.text_style import Style, counted, moment, number, safe
from gitproc.api.text_timers import timers
from gitproc.api.text_top import top
from gitproc.errors import GitProcError, NoSuchUnit
from gitproc.immutable import NamedTuple

__all__ = ["Rendered", "Style", "event_line", "failure", "render"]

NOT_FOUND_FOR_VERB = 5
UNKNOWN = 4
NOT_ACTIVE = 3


class Rendered(NamedTuple):
    """What a command prints and exits with."""

    status: int
    out: str
    err: str = ""


def _lines(lines: Iterable[str]) -> str:
    text = "\n".join(lines)
    return f"{text}\n" if text else ""


def render(method: str, params: Mapping[str, Any], result: Any, style: Style) -> Rendered:
    """The text of a method's result, as the handler returned it."""
    data: Mapping[str, Any] = result if isinstance(result, Mapping) else {}
    if method in LIFECYCLE:
        return _jobs(method, data)
    if method == "status" and not params.get("units"):
        return _overview(data, style)
    return _RENDERERS[method](data, style)


def failure(method: str, error: GitProcError) -> Rendered:
    """The text of an error: its words, then every diagnostic on a line of its own."""
    status = error.exit_status
    if isinstance(error, NoSuchUnit) and method in LIFECYCLE:
        status = NOT_FOUND_FOR_VERB
    where = f"{error.data['file']}:{error.data['line']}: " if error.data.get("line") else ""
    lines = [f"gitproc: {safe(where if where not in error.message else '')}{safe(error.message)}"]
    found = error.data.get("diagnostics")
    if isinstance(found, list):
        lines += [diagnostic_line(one) for one in found if isinstance(one, Mapping)]
    return Rendered(status, "", _lines(lines))


# ------------------------------------------------------------------ verbs on units

_DONE = {
    "start": "started",
    "stop": "stopped",
    "restart": "restarted",
    "try-restart": "restarted",
    "reload": "reloaded",
    "reload-or-restart": "reloaded or restarted",
    "try-reload-or-restart": "reloaded or restarted",
    "kill": "signalled",
    "reset-failed": "reset",
}


def _jobs(method: str, data: Mapping[str, Any]) -> Rendered:
    outcomes: Mapping[str, Mapping[str, Any]] = data.get("units") or {}
    out, err, status = [], [], 0
    for name, outcome in outcomes.items():
        kind = name.rpartition(".")[2].capitalize()
        prefix = f"{safe(name)}: " if len(outcomes) > 1 else ""
        said = safe(outcome.get("message") or "")
        match outcome.get("result"):
            case "done":
                if method not in {"kill", "reset-failed"}:
                    pid = outcome.get("pid")
                    running = f" (PID: {pid})" if pid and method != "stop" else ""
                    out.append(f"{prefix}{kind} {_DONE[outcome.get('verb') or method]}{running}")
            case "skipped":
                out.append(f"{prefix}{said or f'{kind} has nothing to do'}")
            case "queued":
                pass
            case "not-found":
                err.append(said or f"gitproc: cannot {method} {safe(name)}: no such unit")
                status = max(status, NOT_FOUND_FOR_VERB)
            case result:
                cause = said or safe(result)
                err.append(f"gitproc: cannot {method} {safe(name)}: {cause}")
                err.append(f"  see `gitproc status {safe(name)}` and `gitproc logs {safe(name)}`")
                status = max(status, 1)
    err += [f"gitproc: warning: {safe(one)}" for one in data.get("warnings") or ()]
    return Rendered(status, _lines(out), _lines(err))


# ------------------------------------------------------------------ looking


def _overview(data: Mapping[str, Any], style: Style) -> Rendered:
    return Rendered(0, _lines(overview(data, style)))


def _status(data: Mapping[str, Any], style: Style) -> Rendered:
    status, blocks, err = 0, [], []
    for unit in data.get("units") or ():
        if unit.get("load_state") == "not-found":
            err.append(f"Unit {safe(unit.get('name'))} could not be found.")
            status = UNKNOWN
            continue
        blocks.append(_lines(unit_status(unit, style)))
        if unit.get("active_state") not in {"active", "reloading"}:
            status = max(status, NOT_ACTIVE)
    return Rendered(status, "\n".join(blocks), _lines(err))


def _count(units: int) -> str:
    return f"{units} unit{'s' * (units != 1)}"


def _list(data: Mapping[str, Any], style: Style) -> Rendered:
    units = list(data.get("units") or ())
    lines = unit_table(units, style)
    return Rendered(0, _lines(counted(lines, _count(len(units)), style) if style.width else lines))


def _is(wanted: str, otherwise: int, data: Mapping[str, Any]) -> Rendered:
    units = list(data.get("units") or ())
    states = [str(unit.get("active_state") or "inactive") for unit in units]
    accepted = {wanted, "reloading"} if wanted == "active" else {wanted}
    if accepted.intersection(states):
        status = 0
    elif all(unit.get("load_state") == "not-found" for unit in units):
        status = UNKNOWN
    else:
        status = otherwise
    return Rendered(status, _lines(states))


_ENABLED = {"enabled", "static"}  # for systemctl a unit that nothing can enable counts as well


def _is_enabled(data: Mapping[str, Any]) -> Rendered:
    states = [str(unit.get("unit_file_state")) for unit in data.get("units") or ()]
    status = 0 if _ENABLED.intersection(states) else 1
    return Rendered(UNKNOWN if {*states} == {"not-found"} else status, _lines(states))


def _show(data: Mapping[str, Any], style: Style) -> Rendered:
    blocks = (_lines(properties(one, style)) for one in (data.get("units") or {}).values())
    return Rendered(0, "\n".join(blocks))


def _cat(data: Mapping[str, Any], style: Style) -> Rendered:
    blocks, err = [], []
    for name, files in (data.get("units") or {}).items():
        if not files:
            err.append(f"No files found for {safe(name)}.")
        for file in files:
            body = [style.raw(line) for line in str(file.get("text", "")).splitlines()]
            head = [f"# {safe(file.get('path'))}"]
            if commit := file.get("commit"):
                when = moment(float(commit.get("time") or 0))
                head.append(
                    f"# {safe(commit.get('sha'))[:12]} {when} {safe(commit.get('author'))}: "
                    f"{safe(commit.get('subject'))}"
                )
            blocks.append(_lines([*(style.paint(line, "dim") for line in head), *body]))
    return Rendered(1 if err else 0, "\n".join(blocks), _lines(err))


def _logs(data: Mapping[str, Any], style: Style) -> Rendered:
    lines = list(data.get("lines") or ())
    return Rendered(0, _lines(log_lines(lines, form_of(lines), style)), cut(data, len(lines)))


def event_line(event: Mapping[str, Any], style: Style) -> str:
    """One event: when, what, which unit, in words, and who asked."""
    when = number(event.get("time"))
    stamp = style.paint(moment(when), "dim") + " " if when is not None else ""
    unit = f" {safe(event['unit'])}" if event.get("unit") else ""
    message = f": {safe(event['message'])}" if event.get("message") else ""
    who = f" (by {safe(event['who'])})" if event.get("who") else ""
    if who and str(event["who"]) in str(event.get("message")):
        who = ""
    return f"{stamp}{safe(event.get('kind', '?'))}{unit}{message}{who}"


def _events(data: Mapping[str, Any], style: Style) -> Rendered:
    return Rendered(0, _lines(event_line(event, style) for event in data.get("events") or ()))


# ------------------------------------------------------------------ commits


def _verify(data: Mapping[str, Any], style: Style) -> Rendered:
    found = list(data.get("diagnostics") or ())
    errors = sum(one.get("severity", "error") == "error" for one in found)
    lines = [
        style.paint(diagnostic_line(one), "red" if one.get("severity") == "error" else "yellow")
        for one in found
    ]
    if errors:
        lines.append(f"{errors} error{'s' * (errors > 1)}: this would be refused")
    elif style.width or not found:
        lines.append(f"{_count(data.get('units', 0))}, no errors")
    return Rendered(1 if errors else 0, _lines(lines))


def _plan(data: Mapping[str, Any], style: Style) -> Rendered:
    lines = plan(data, style)
    if found := list(data.get("diagnostics") or ()):
        lines += [diagnostic_line(one) for one in found]
    refused = any(one.get("severity", "error") == "error" for one in found)
    return Rendered(1 if refused else 0, _lines(lines))


def _sync(data: Mapping[str, Any], style: Style) -> Rendered:
    failed = _jobs("start", {"units": _bad(data), "warnings": data.get("warnings")})
    refused = (data.get("commit") or {}).get("verdict") in {"refused", "failed"}
    lines = sync(data, style) + [diagnostic_line(one) for one in data.get("diagnostics") or ()]
    return Rendered(max(failed.status, int(refused)), _lines(lines), failed.err)


def _apply(data: Mapping[str, Any], style: Style) -> Rendered:
    found = [diagnostic_line(one) for one in data.get("diagnostics") or ()]
    return Rendered(int(bool(found)), _lines([*apply(data, style), *found]))


def _bad(data: Mapping[str, Any]) -> dict[str, Any]:
    fine = {"done", "skipped", "queued"}
    units: Mapping[str, Any] = data.get("units") or {}
    return {name: one for name, one in units.items() if one.get("result") not in fine}


def _rollback(data: Mapping[str, Any], style: Style) -> Rendered:
    return Rendered(0, _lines(rollback(data, style)))


def _why(data: Mapping[str, Any], style: Style) -> Rendered:
    return Rendered(0, _lines(why(data, style)))


def _diff(data: Mapping[str, Any], style: Style) -> Rendered:
    return Rendered(int(bool(data.get("drifts"))), _lines(diff(data, style)))


def _history(data: Mapping[str, Any], style: Style) -> Rendered:
    shown = timeline if "timeline" in data else history
    return Rendered(0, _lines(shown(data, style)))


# ------------------------------------------------------------------ the house itself

_MARKS = {"ok": ("ok", "green"), "warn": ("warning", "yellow"), "fail": ("FAILED", "red")}


def _doctor(data: Mapping[str, Any], style: Style) -> Rendered:
    lines, status = [], 0
    for check in data.get("checks") or ():
        word, color = _MARKS.get(str(check.get("state")), ("?", ""))
        detail = f": {safe(check['detail'])}" if check.get("detail") else ""
        lines.append(f"{style.paint(f'{word:>8}', color)}  {safe(check.get('name'))}{detail}")
        if check.get("advice") and word != "ok":
            lines.append(f"{'':10}{safe(check['advice'])}")
        status |= check.get("state") == "fail"
    return Rendered(int(status), _lines(lines))


_RENDERERS: Mapping[str, Callable[[Mapping[str, Any], Style], Rendered]] = {
    "ping": lambda data, _: Rendered(0, f"PID {data.get('pid')}\n"),
    "status": _status,
    "list": _list,
    "is-active": lambda data, _: _is("active", NOT_ACTIVE, data),
    "is-failed": lambda data, _: _is("failed", 1, data),
    "is-enabled": lambda data, _: _is_enabled(data),
    "list-dependencies": lambda data, style: Rendered(0, _lines(dependencies(data, style))),
    "show": _show,
    "cat": _cat,
    "logs": _logs,
    "events": _events,
    "verify": _verify,
    "plan": _plan,
    "sync": _sync,
    "apply": _apply,
    "rollback": _rollback,
    "history": _history,
    "list-timers": lambda data, style: Rendered(0, _lines(timers(data, style))),
    "list-sockets": lambda data, style: Rendered(0, _lines(sockets(data, style))),
    "why": _why,
    "diff": _diff,
    "top": lambda data, style: Rendered(0, _lines(top(data, style))),
    "security": lambda data, style: Rendered(int(above(data)), _lines(security(data, style))),
    "doctor": _doctor,
    "daemon-reexec": lambda _data, _style: Rendered(0, ""),
}
