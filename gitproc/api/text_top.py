"""`top` in plain text: who uses what, from two looks at the counters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gitproc.api.text_style import Style, number, safe, size, table
from gitproc.immutable import NamedTuple

HEADS = ("UNIT", "TASKS", "%CPU", "MEMORY", "SWAP", "READ/s", "WRITE/s", "OOM")
KEYS = ("cpu", "memory", "tasks", "io", "name")
"""What the rows can be sorted by."""


class Row(NamedTuple):
    """One unit. Percent of a processor, bytes, bytes per second; None: not known."""

    unit: str
    cpu: float | None
    memory: float | None
    tasks: float | None
    swap: float | None
    read: float | None
    write: float | None
    oom_kills: float | None

    @property
    def io(self) -> float:
        """Bytes per second, both ways."""
        return (self.read or 0) + (self.write or 0)

    def cells(self) -> tuple[str, ...]:
        """As text, in the order of `HEADS`."""
        return (
            safe(self.unit),
            _count(self.tasks),
            "-" if self.cpu is None else f"{self.cpu:.1f}",
            _size(self.memory),
            _size(self.swap),
            _size(self.read),
            _size(self.write),
            _count(self.oom_kills),
        )


def rows(now: Mapping[str, Any], before: Mapping[str, Any] | None, key: str) -> list[Row]:
    """The units of one answer, sorted; rates are told where an earlier answer is given."""
    earlier = {x["unit"]: x for x in before["units"]} if before is not None else {}
    span = now["time"] - before["time"] if before is not None else 0.0

    def rate(unit: Mapping[str, Any], name: str) -> float | None:
        new, old = number(unit.get(name)), number(earlier.get(unit["unit"], {}).get(name))
        return max(0.0, new - old) / span if new is not None and old is not None and span else None

    found = []
    for unit in now["units"]:
        cpu = rate(unit, "cpu_seconds")
        found.append(
            Row(
                str(unit["unit"]),
                None if cpu is None else cpu * 100,
                number(unit.get("memory")),
                number(unit.get("tasks")),
                number(unit.get("swap")),
                rate(unit, "io_read"),
                rate(unit, "io_write"),
                number(unit.get("oom_kills")),
            )
        )
    found.sort(key=lambda x: x.unit)
    if key != "name":
        found.sort(key=lambda x: -(getattr(x, key) or 0))
    return found


def top(
    now: Mapping[str, Any], style: Style, before: Mapping[str, Any] | None = None, key: str = "cpu"
) -> list[str]:
    """The table's lines."""
    cells = [row.cells() for row in rows(now, before, key)]
    return table(HEADS, cells, style, right=frozenset(range(1, len(HEADS) - 1)))


def _size(count: float | None) -> str:
    return "-" if count is None else size(count)


def _count(count: float | None) -> str:
    return "-" if count is None else str(int(count))
