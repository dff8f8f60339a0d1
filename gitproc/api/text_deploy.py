"""A push and its deploy in plain text, line by line as it happens: what a pusher reads behind `remote:`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gitproc.api.text_style import Style, safe

_STEPS = {
    "unit.starting", "unit.started", "unit.stopping", "unit.stopped", "unit.reloaded", "unit.finished",
    "unit.failed", "unit.reload-failed", "unit.healthy", "unit.unhealthy", "unit.limits-changed",
    "unit.limits-failed", "unit.main-exited", "unit.oom-kill", "unit.watchdog", "unit.name-lost",
    "unit.survivors", "unit.restarting",
}  # fmt: skip
_COLORS = {
    "unit.failed": "red",
    "unit.reload-failed": "red",
    "unit.unhealthy": "red",
    "unit.oom-kill": "red",
    "unit.watchdog": "red",
    "commit.failed": "red",
    "commit.refused": "red",
    "commit.good": "green",
}


def deploy_lines(event: Mapping[str, Any], style: Style) -> list[str]:
    """The lines of one item of the `deploy` stream; none for what says nothing new."""
    kind, unit = str(event.get("kind")), safe(event.get("unit") or "")
    color = _COLORS.get(kind, "")
    first, *more = str(event.get("message") or kind).split("\n")
    if kind == "commit.plan":
        return [f"  {unit}: {safe(first)}"]
    if kind.startswith("unit."):
        if kind not in _STEPS:
            return []
        return [f"    {style.paint(f'{unit}: {safe(first)}', color)}"]
    return [style.paint(safe(first), color), *(f"  {safe(line)}" for line in more)]


def undo_line(event: Mapping[str, Any], command: str) -> list[str]:
    """How to go back, where there is something to go back to. `command`: `gitproc` and its options."""
    if not event.get("undo"):
        return []
    return [f"to undo it: {command} rollback {str(event['undo'])[:12]}"]
