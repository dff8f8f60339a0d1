"""Rows of the directive table for units that start other units: [Timer], [Path] and [Socket]."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from gitproc.units.directive import Directive, Specifiers
from gitproc.units.names import is_valid_name, split_name
from gitproc.units.rows import one


def _unit_name(*, only: str = "", never: str = "") -> Callable[[str], str]:
    """A parser of the name of one unit that can run, of kind `only`, or of any but `never`."""

    def parse(value: str) -> str:
        if not is_valid_name(value):
            raise ValueError(f"{value!r} is not a unit name")
        _, instance, suffix = split_name(value)
        if instance == "":
            raise ValueError(f"{value!r} is a template: name an instance of it")
        if (only and suffix != only) or suffix == never:
            raise ValueError(f"{value!r} cannot be started by this unit")
        return value

    return parse


TIMER_UNIT = one(
    "Timer",
    "Unit",
    _unit_name(never=".timer"),
    "",
    "Unit to start (default: the service of the same name).",
    specifiers=Specifiers.TEXT,
)
PATH_UNIT = one(
    "Path",
    "Unit",
    _unit_name(never=".path"),
    "",
    "Unit to start (default: the service of the same name).",
    specifiers=Specifiers.TEXT,
)
SOCKET_SERVICE = one(
    "Socket",
    "Service",
    _unit_name(only=".service"),
    "",
    "Service to start (default: the one of the same name).",
    specifiers=Specifiers.TEXT,
)

TRIGGERED: Mapping[str, Directive[str]] = MappingProxyType(
    {"timer": TIMER_UNIT, "path": PATH_UNIT, "socket": SOCKET_SERVICE}
)
"""Kind of a unit that starts others -> the directive that names which."""

ROWS: tuple[Directive[Any], ...] = (SOCKET_SERVICE,)
