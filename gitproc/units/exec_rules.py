"""What the settings of systemd.exec(5) mean together: streams that follow from one another, scheduling that fits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from gitproc.units import directives_exec_scheduling as scheduling
from gitproc.units import directives_exec_streams as streams
from gitproc.units.assignments import Assignments
from gitproc.units.directive import Directive
from gitproc.units.streams import DATA, INHERIT, JOURNAL, NULL, Stream

Warn = Callable[[Directive[Any], str], None]
_TEXT, _DATA = streams.STANDARD_INPUT_TEXT.key, streams.STANDARD_INPUT_DATA.key

SETTLED_BY = frozenset({_TEXT, _DATA, streams.STANDARD_INPUT.key, streams.STANDARD_OUTPUT.key})
"""Without any of these nothing follows."""
SAYS_OF = frozenset(
    x.key
    for x in (streams.STANDARD_OUTPUT, streams.STANDARD_ERROR, scheduling.CPU_SCHEDULING_PRIORITY)
)
"""What `verify` is about."""


def settle(values: dict[str, Any], settings: Assignments) -> None:
    """Put in what follows: input that is given makes StandardInput=data, output inherits from what is two-way."""
    if _TEXT in values or _DATA in values:
        values[_DATA] = _given(values, settings)
        if values.get(streams.STANDARD_INPUT.key, NULL) == NULL:
            values[streams.STANDARD_INPUT.key] = DATA
    source: Stream = values.get(streams.STANDARD_INPUT.key, NULL)
    key = streams.STANDARD_OUTPUT.key
    if source.is_two_way:
        values.setdefault(key, INHERIT)
    elif values.get(key) == INHERIT:
        values[key] = JOURNAL


def verify(values: Mapping[str, Any], warn: Warn) -> None:
    """Warn of what is not done as it is written."""
    for output in (streams.STANDARD_OUTPUT, streams.STANDARD_ERROR):
        wanted: Stream = output.of(values)
        if wanted.kind == "journal" and wanted.name:
            place = "the console" if wanted.name == "console" else "the kernel's log"
            warn(output, f"{place} gets nothing: GitProc's log of the unit does")
    policy = values.get(scheduling.CPU_SCHEDULING_POLICY.key, "other")
    if values.get(scheduling.CPU_SCHEDULING_PRIORITY.key) and policy not in ("fifo", "rr"):
        warn(scheduling.CPU_SCHEDULING_PRIORITY, f"has no meaning with the policy {policy}")


def _given(values: Mapping[str, Any], settings: Assignments) -> tuple[bytes, ...]:
    """Text and data in the order in which they were written; an empty assignment of either drops both."""
    order: list[str] = []
    for key, text in settings.assigned:
        if key in (_TEXT, _DATA):
            order = [*order, key] if text else []
    pieces = {key: list(values.get(key, ())) for key in (_TEXT, _DATA)}
    for key, left in pieces.items():
        del left[: max(len(left) - order.count(key), 0)]
    return tuple(pieces[key].pop(0) for key in order if pieces[key])
