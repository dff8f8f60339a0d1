"""How the process in a slot of a unit stands in the unit's record."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gitproc.core.events import Process, Slot
from gitproc.core.unit_state import Running, UnitState


def written(state: UnitState, running: Running, slot: Slot) -> list[Any]:
    """By its serial number alone where all else of its token stands in the record, too."""
    process = running.process
    fingerprint = state.unit.fingerprint if state.unit is not None else ""
    told = process == Process(state.seat, state.invocation, slot, process.serial, fingerprint)
    token = process.serial if told else process.cookie()
    # The last is for older managers; whether it was executed is the shim's to say.
    return [token, running.pid, running.start_time, True]


def read(name: str, record: Mapping[str, Any], slot: Slot) -> Running | None:
    """Inverse of `written`; also of what earlier versions wrote: the whole token, always."""
    value = record.get(slot.value)
    if value is None:
        return None
    token, pid, start_time, _ = value
    if isinstance(token, str):
        process = Process.from_cookie(token)
    else:
        seat, invocation = record.get("seat", name), record.get("invocation", "")
        process = Process(seat, invocation, slot, token, record.get("fingerprint", ""))
    return Running(process, pid, start_time)
