"""Rules that the settings of one timer or path must keep together."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from typing import Any

from gitproc.units.diagnostics import Diagnostic
from gitproc.units.directive import Directive
from gitproc.units.directives_path import PATH_EXISTS, WATCHES
from gitproc.units.directives_timer import (
    MONOTONIC,
    ON_CALENDAR,
    ON_CLOCK_CHANGE,
    ON_TIMEZONE_CHANGE,
    PERSISTENT,
)
from gitproc.units.findings import Findings
from gitproc.units.unit import Unit


def verify(unit: Unit, broken: AbstractSet[str]) -> list[Diagnostic]:
    """The rules that a unit breaks; none for other kinds. `broken`: directives with errors of their own,
    which leave values out: what is missing then is no second error."""
    if broken:
        return []
    found = Findings(unit.where)
    if unit.kind == "timer":
        _timer(unit, found)
    elif unit.kind == "path" and not any(unit[row] for row in WATCHES):
        found.refuse(
            PATH_EXISTS, "missing: a path unit needs PathExists=, PathChanged= or their like"
        )
    return found.told


def _timer(unit: Unit, found: Findings) -> None:
    lists: tuple[Directive[Any], ...] = (*MONOTONIC, ON_CALENDAR)
    changes = unit[ON_CLOCK_CHANGE] or unit[ON_TIMEZONE_CHANGE]
    if not changes and not any(unit[row] for row in lists):
        found.refuse(
            ON_CALENDAR, "missing: a timer needs OnCalendar=, or another of the On...= directives"
        )
    if unit[PERSISTENT] and not unit[ON_CALENDAR]:
        found.warn(PERSISTENT, "only OnCalendar= can be caught up on: it does nothing here")


def watches(unit: Unit) -> list[tuple[Directive[tuple[str, ...]], str]]:
    """What a path unit watches: each path with the directive that names it, always in the same order."""
    return [(row, path) for row in WATCHES for path in unit[row]]
