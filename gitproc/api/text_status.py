"""`status` and `list` in plain text: one unit as systemctl shows it, the whole as one table under its commit."""

from __future__ import annotations

import os
import posixpath
import time
from collections.abc import Iterable, Mapping
from typing import Any

from gitproc.api.text_sockets import status_lines
from gitproc.api.text_style import Style, ago, moment, number, safe, size, table
from gitproc.api.text_timers import left
from gitproc.units.exit_status import named_status
from gitproc.units.signals import signal_name
from gitproc.units.timespan import format_span

Unit = Mapping[str, Any]

_DOTS = {"active": "●", "reloading": "↻", "activating": "●", "deactivating": "●", "failed": "×"}


def dot(unit: Unit, style: Style) -> str:
    """The mark before a unit's name: ● active, ○ inactive, × failed."""
    state = str(unit.get("active_state"))
    return style.state(state, _DOTS.get(state, "○"))


def commit_line(commit: Mapping[str, Any], style: Style, now: float) -> str:
    """`1234567 subject (author, 5min ago): verdict`."""
    when = number(commit.get("time"))
    who = [safe(commit["author"])] if commit.get("author") else []
    if when:
        who.append(ago(now - when))
    line = str(commit.get("sha", ""))[:10]
    if commit.get("subject"):
        line += f" {safe(commit['subject'])}"
    if who:
        line += f" ({', '.join(who)})"
    verdict = commit.get("verdict")
    return f"{line}: {style.state(str(verdict))}" if verdict else line


def diagnostic_line(one: Mapping[str, Any]) -> str:
    """`FILE:LINE: error: DIRECTIVE: message`."""
    where = f"{one.get('file', '')}:{one['line']}" if one.get("line") else str(one.get("file", ""))
    directive = f"{one['directive']}: " if one.get("directive") else ""
    start = f"{where}: " if where else ""
    return safe(f"{start}{one.get('severity', 'error')}: {directive}{one.get('message', '')}")


# ------------------------------------------------------------------ one unit


def unit_status(unit: Unit, style: Style) -> list[str]:
    """What `systemctl status` shows, and the commit, hold, health and reason behind it."""
    now = time.time()
    name = safe(unit.get("name"))
    title = f"{dot(unit, style)} {name}"
    if unit.get("description") and unit["description"] != unit.get("name"):
        title += f" - {safe(unit['description'])}"
    lines = [title]
    for label, text in _fields(unit, style, now):
        lines.append(f"{label:>11}: {text}" if label else f"{'':13}{text}")
    tail = unit.get("log") or ()
    if tail:
        lines.append("")
        lines += [style.raw(_one_line(line)) for line in tail]
    return lines


def _one_line(text: object) -> str:
    return str(text).replace("\n", "\\x0a")


def _fields(unit: Unit, style: Style, now: float) -> Iterable[tuple[str, str]]:
    yield "Loaded", _loaded(unit)
    for index, path in enumerate(unit.get("drop_ins") or ()):
        yield "" if index else "Drop-In", safe(path)
    yield "Active", _active(unit, style, now)
    if timer := unit.get("timer"):
        at = number(timer.get("next"))
        yield "Trigger", f"{moment(at)}; {left(at - now)} left" if at is not None else "n/a"
    if socket := unit.get("socket"):
        yield from status_lines(socket)
    for label, key in (("Triggers", "triggers"), ("TriggeredBy", "triggered_by")):
        for index, other in enumerate(unit.get(key) or ()):
            yield "" if index else label, f"{dot(other, style)} {safe(other.get('name'))}"
    yield from _conditions(unit, style, now)
    if commit := unit.get("commit"):
        yield "Commit", commit_line(commit, style, now)
    if hold := unit.get("hold"):
        at = number(hold.get("at"))
        when = f", {ago(now - at)}" if at else ""
        yield "Hold", f"stopped by {safe(hold.get('by', '?'))}{when}; `gitproc start` ends it"
    for index, page in enumerate(unit.get("documentation") or ()):
        yield "" if index else "Docs", safe(page)
    if pid := unit.get("main_pid"):
        titles = {one.get("pid"): one.get("title") for one in unit.get("processes") or ()}
        program = posixpath.basename(str(titles.get(pid) or "").split(" ", 1)[0])
        yield "Main PID", f"{pid} ({safe(program)})" if program else f"{pid}"
    elif unit.get("exec_main_code"):
        yield "Main PID", f"{unit.get('exec_main_pid') or 'n/a'} ({_ended(unit)})"
    if pid := unit.get("control_pid"):
        yield "Control PID", f"{pid}"
    if second := unit.get("second"):
        yield _second(second)
    if unit.get("status_text"):
        yield "Status", f'"{safe(unit["status_text"])}"'
    if error := unit.get("status_error"):
        yield "Error", _said_error(error)
    yield from _health(unit, style)
    if unit.get("restarts"):
        yield "Restarts", f"{unit['restarts']}"
    if unit.get("restarts") or unit.get("active_state") == "failed":
        yield from _change(unit, style, now)
    yield from _resources(unit)
    yield from _tree(unit)
    for index, warning in enumerate(unit.get("warnings") or ()):
        yield "" if index else "Warning", style.paint(safe(warning), "yellow")


def _ended(unit: Unit) -> str:
    """`code=exited, status=1/FAILURE` or `code=killed, signal=TERM`, as systemctl says it."""
    code, status = str(unit["exec_main_code"]), int(unit.get("exec_main_status") or 0)
    if code == "exited":
        return f"code=exited, status={named_status(status)}"
    return f"code={safe(code)}" + (f", signal={signal_name(status)}" if status else "")


def _said_error(error: Unit) -> str:
    said = []
    if number(error.get("errno")) is not None:
        said.append(f"{error['errno']} ({os.strerror(int(error['errno']))})")
    if error.get("bus_error"):
        said.append(f"D-Bus: {safe(error['bus_error'])}")
    if number(error.get("exit_status")) is not None:
        said.append(f"exit status: {int(error['exit_status'])}")
    return "; ".join(said)


def _second(second: Mapping[str, Any]) -> tuple[str, str]:
    """The instance beside the one that serves (Update=overlap)."""
    pid = f"PID {second['pid']}, " if second.get("pid") else ""
    said = f": {safe(second['message'])}" if second.get("message") else ""
    match second.get("role"):
        case "draining":
            return "Draining", f"{pid}{safe(second.get('sub_state'))}{said}"
        case "updating":
            return "Updating", f"{pid}{safe(second.get('sub_state'))}{said}"
        case _:
            return "Update", f"failed: {safe(second.get('message'))}"


def _conditions(unit: Unit, style: Style, now: float) -> Iterable[tuple[str, str]]:
    """Which mounts, conditions or assertions kept the last start from happening, as systemctl says it."""
    found = unit.get("conditions")
    if not found:
        return
    at = number(found.get("at")) or 0.0
    for label, key, what in (
        ("Mounts", "missing", "file system not mounted"),
        ("Condition", "unmet", "start condition unmet"),
        ("Assert", "broken", "start assertion failed"),
    ):
        lines = list(found.get(key) or ())
        if not lines:
            continue
        color = "yellow" if key == "unmet" else "red"
        yield label, f"{style.paint(what, color)} at {moment(at)}; {ago(now - at)}"
        for index, line in enumerate(lines):
            yield "", f"{'└─' if index == len(lines) - 1 else '├─'} {safe(line)}"


def _change(unit: Unit, style: Style, now: float) -> Iterable[tuple[str, str]]:
    """Which commit last changed what the unit does, and how to go back: wanted when it does not do well."""
    change = unit.get("change")
    if not change:
        return
    yield "Changed by", commit_line(change, style, now)
    for text in change.get("differences") or ("new",):
        yield "", safe(text)
    if change.get("rollback"):
        yield "", f"to go back: gitproc rollback {safe(str(change['rollback'])[:12])}"


def _loaded(unit: Unit) -> str:
    state = str(unit.get("load_state", "loaded"))
    if state == "not-found":
        return f"not-found (no unit {safe(unit.get('name'))} in the applied commit)"
    return f"{state} ({safe(unit['fragment'])})" if unit.get("fragment") else state


def _active(unit: Unit, style: Style, now: float) -> str:
    state, sub = str(unit.get("active_state")), unit.get("sub_state")
    detail = f" ({sub})" if sub else ""
    if unit.get("result") not in (None, "", "success"):
        detail = (
            f" (Result: {safe(unit['result'])})"
            if sub == state
            else f" ({sub}, Result: {safe(unit['result'])})"
        )
    text = style.state(state, state + detail)
    if (since := number(unit.get("since"))) is not None:
        text += f" since {moment(since)}; {ago(now - since)}"
    return f"{text}: {safe(unit['reason'])}" if unit.get("reason") else text


def _health(unit: Unit, style: Style) -> Iterable[tuple[str, str]]:
    health = unit.get("health")
    if not health:
        return
    text = style.paint(
        safe(health.get("state")),
        {"healthy": "green", "unhealthy": "red"}.get(str(health.get("state")), ""),
    )
    if health.get("failures"):
        text += f", {health['failures']} failed in a row"
    yield "Health", f"{text}: {safe(health['detail'])}" if health.get("detail") else text


_PRESSURE = 5  # percent of the time in which somebody waited, from where on it is worth a line


def _resources(unit: Unit) -> Iterable[tuple[str, str]]:
    if (tasks := number(unit.get("tasks"))) is not None:
        most = number(unit.get("tasks_max"))
        yield "Tasks", f"{int(tasks)}" + (f" (limit: {int(most)})" if most is not None else "")
    if (memory := number(unit.get("memory"))) is not None:
        notes = [
            f"{label}: {size(value)}"
            for label, key in (("max", "memory_max"), ("peak", "memory_peak"))
            if (value := number(unit.get(key))) is not None
        ]
        yield "Memory", size(memory) + (f" ({' '.join(notes)})" if notes else "")
    if (seconds := number(unit.get("cpu_seconds"))) is not None:
        yield "CPU", format_span(seconds, 0.001)
    if swap := number(unit.get("swap")):
        yield "Swap", size(swap)
    read, written = number(unit.get("io_read")), number(unit.get("io_write"))
    if read is not None and written is not None:
        yield "IO", f"{size(read)} read, {size(written)} written"
    if kills := number(unit.get("oom_kills")):
        yield "OOM kills", f"{int(kills)}"
    shares = {x: number((unit.get("pressure") or {}).get(x)) or 0 for x in ("memory", "io")}
    waits = [f"{name} {share:.0f}%" for name, share in shares.items() if share >= _PRESSURE]
    if waits:
        yield "Pressure", ", ".join(waits)


def _tree(unit: Unit) -> Iterable[tuple[str, str]]:
    if not unit.get("cgroup"):
        return
    yield "CGroup", safe(unit["cgroup"])
    processes = list(unit.get("processes") or ())
    for index, process in enumerate(processes):
        corner = "└─" if index == len(processes) - 1 else "├─"
        yield "", f"{corner}{process.get('pid')} {safe(process.get('title', ''))}"


# ------------------------------------------------------------------ the whole


def overview(result: Mapping[str, Any], style: Style) -> list[str]:
    """The manager, its commits with what is wrong with them, and every unit."""
    now = time.time()
    commit: Mapping[str, Any] = result.get("commit") or {}
    units = list(result.get("units") or ())
    failed = sum(unit.get("active_state") == "failed" for unit in units)
    bad = failed or commit.get("refused") or commit.get("failed")
    lines = [f"{style.state('failed' if bad else 'active', '●')} gitproc"]
    for label, text in _summary(result, commit, style, now):
        lines.append(f"{label:>11}: {text}" if label else f"{'':13}{text}")
    lines.append(
        f"{'Units':>11}: {len(units)}"
        + (f", {style.paint(f'{failed} failed', 'red')}" if failed else "")
    )
    return [*lines, "", *unit_table(units, style)] if units else lines


def _summary(
    result: Mapping[str, Any], commit: Mapping[str, Any], style: Style, now: float
) -> Iterable[tuple[str, str]]:
    daemon: Mapping[str, Any] = result.get("daemon") or {}
    if daemon:
        since = number(daemon.get("since"))
        text = f"PID {daemon.get('pid')}, version {safe(daemon.get('version', '?'))}"
        yield "Daemon", text + (f", since {moment(since)}; {ago(now - since)}" if since else "")
    if commit.get("branch"):
        yield "Branch", safe(commit["branch"]) + ("" if commit.get("head") else " (no commit yet)")
    for label, key in (
        ("Applied", "applied"),
        ("Deploying", "deploying"),
        ("Refused", "refused"),
        ("Failed", "failed"),
        ("Last good", "last_good"),
    ):
        one = commit.get(key)
        if not isinstance(one, Mapping):
            if key == "applied":
                yield label, "nothing yet: commit unit files to the branch"
            continue
        if key == "last_good" and one.get("sha") == (commit.get("applied") or {}).get("sha"):
            continue
        text = commit_line(one, style, now)
        if key == "failed":
            text += ", held back; `gitproc apply` tries it again"
        yield label, style.paint(text, "red") if key in ("refused", "failed") else text
        yield from (("", f"{safe(u)}: {safe(why)}") for u, why in (one.get("units") or {}).items())
        if key == "refused":
            yield from (("", diagnostic_line(found)) for found in commit.get("diagnostics") or ())
    if commit.get("error"):
        yield "Source", style.paint(safe(commit["error"]), "red")
    for index, warning in enumerate(daemon.get("warnings") or ()):
        yield "" if index else "Warning", style.paint(safe(warning), "yellow")


_HEADS = ("UNIT", "ACTIVE", "SUB", "PID", "MEMORY", "SINCE", "DESCRIPTION")


def unit_table(units: Iterable[Unit], style: Style) -> list[str]:
    """One line a unit."""
    now = time.time()
    rows, colors = [], []
    for unit in units:
        state = str(unit.get("active_state"))
        since, memory = number(unit.get("since")), number(unit.get("memory"))
        notes = [
            word
            for word, there in (
                ("held", unit.get("hold")),
                ("unhealthy", (unit.get("health") or {}).get("state") == "unhealthy"),
                (str(unit.get("load_state")), unit.get("load_state") not in (None, "loaded")),
            )
            if there
        ]
        described = safe(unit.get("description") or "")
        rows.append(
            (
                safe(unit.get("name")),
                state,
                safe(unit.get("sub_state") or ""),
                str(unit.get("main_pid") or "-"),
                size(memory) if memory is not None else "-",
                ago(now - since).removesuffix(" ago") if since is not None else "-",
                f"[{', '.join(notes)}] {described}".strip() if notes else described,
            )
        )
        colors.append(("red" if state == "failed" else "", *([_color(state)] * 2), "", "", "", ""))
    return table(_HEADS, rows, style, right=frozenset({3, 4}), colors=colors)


def _color(state: str) -> str:
    return {
        "active": "green",
        "failed": "red",
        "activating": "yellow",
        "deactivating": "yellow",
    }.get(state, "")
