"""What people are told of an instance that stands beside the serving one: news of the unit, by other words."""

from __future__ import annotations

from gitproc.core.unit_state import UnitState

_NEW = {
    "unit.starting": "unit.update-started",
    "unit.started": "unit.update-ready",
    "unit.failed": "unit.update-failed",
    "unit.skipped": "unit.update-failed",
    "unit.stopping": "unit.update-withdrawn",
}
_OLD = {
    "unit.stopping": "unit.draining",
    "unit.stopped": "unit.drained",
    "unit.failed": "unit.drained",
}


def kind_of(state: UnitState | None, kind: str) -> str:
    """The kind of event that `kind` is of such an instance; empty if it is none."""
    if state is None:
        return kind
    if state.drains:
        return _OLD.get(kind, kind)
    if kind == "unit.stopped":
        return "unit.update-failed" if state.done else ""
    return _NEW.get(kind, kind)
