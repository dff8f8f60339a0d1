"""`plan`, `sync`, `rollback` and `history` in plain text: what a commit will do, did, and how it ended."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from gitproc.api.text_status import commit_line
from gitproc.api.text_style import Style, safe

_MARKS = {"start": "+", "stop": "-", "restart": "~", "reload": "~", "live": "~", "none": " "}
_COLORS = {"+": "green", "-": "red", "~": "yellow"}
_PURE = "nothing that runs is touched"


def plan(data: Mapping[str, Any], style: Style) -> list[str]:
    """One line a unit with its action and reason, below it every changed directive, old and new."""
    lines = []
    if commit := data.get("commit"):
        lines.append(f"Plan for {commit_line(commit, style, time.time())}")
    return lines + _actions(data, style)


def _actions(data: Mapping[str, Any], style: Style) -> list[str]:
    lines = []
    actions = list(data.get("actions") or ())
    for one in actions:
        mark = _MARKS.get(str(one.get("action")), "~")
        reason = f": {safe(one['reason'])}" if one.get("reason") else ""
        text = f"{mark} {safe(one.get('action'))} {safe(one.get('unit'))}"
        lines.append("  " + style.paint(text, _COLORS.get(mark, "")) + reason)
        for change in one.get("changes") or ():
            where = f"  ({safe(change['where'])})" if change.get("where") else ""
            old, new = safe(change.get("old") or "unset"), safe(change.get("new") or "unset")
            lines.append(f"      {safe(change.get('directive'))}: {old} -> {new}{where}")
    if not actions:
        lines.append(f"  {_PURE}")
    return lines


def sync(data: Mapping[str, Any], style: Style) -> list[str]:
    """The commit that is in force, and what was done to reach it."""
    commit = data.get("commit")
    lines = [f"In sync with {commit_line(commit, style, time.time())}"] if commit else []
    if not commit:
        lines.append("nothing to apply: the branch has no commit")
    for name, outcome in (data.get("units") or {}).items():
        pid = f" (PID: {outcome['pid']})" if outcome.get("pid") else ""
        lines.append(
            f"  {safe(name)}: {safe(outcome.get('active_state') or outcome.get('result'))}{pid}"
        )
    return lines


_APPLY = {
    "applying": "Trying again",
    "deploying": "Being deployed",
    "in-force": "In force already",
    "refused": "Refused again",
}


def apply(data: Mapping[str, Any], style: Style) -> list[str]:
    """The branch's commit, and what is done with it."""
    word = _APPLY.get(str(data.get("result")), "")
    return [f"{word}: {commit_line(data.get('commit') or {}, style, time.time())}"]


def rollback(data: Mapping[str, Any], style: Style) -> list[str]:
    """The new commit, whose tree it carries, what that does, and what the next pusher has to do."""
    now = time.time()
    commit, restored = data.get("commit") or {}, data.get("restored") or {}
    units = f" {' '.join(map(safe, data['units']))}" if data.get("units") else ""
    word = "Would roll back" if data.get("dry_run") else "Rolled back"
    lines = [f"{word}{units} to {commit_line(restored, style, now)}"]
    if not data.get("dry_run"):
        lines.append(f"     as commit {commit_line(commit, style, now)}")
    if "actions" in data:
        lines += _actions(data, style)
    if not data.get("dry_run"):
        lines.append("Before the next push elsewhere: git pull --rebase")
    return lines


def history(data: Mapping[str, Any], style: Style) -> list[str]:
    """One line a commit, newest first, below it the units that did not do well."""
    lines = []
    for entry in data.get("entries") or ():
        lines.append(commit_line(entry, style, time.time()))
        for name, said in (entry.get("units") or {}).items():
            lines.append(f"    {safe(name)}: {safe(said)}")
    return lines
