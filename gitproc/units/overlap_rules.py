"""Which services can have two instances at once, as Update=overlap asks for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from gitproc.pattern import pattern
from gitproc.units.assignments import Assignments
from gitproc.units.diagnostics import Diagnostic, Location
from gitproc.units.directive import Directive
from gitproc.units.directives_descriptors import FILE_DESCRIPTOR_STORE_MAX
from gitproc.units.directives_gitproc import UPDATE
from gitproc.units.directives_service import BUS_NAME, PID_FILE, REMAIN_AFTER_EXIT, TYPE
from gitproc.units.service_types import ServiceType, Update

_CREDENTIALS = pattern(r"(?<!%)(?:%%)*%d")
_TYPES = (ServiceType.SIMPLE, ServiceType.EXEC, ServiceType.NOTIFY, ServiceType.NOTIFY_RELOAD)
_ALONE: tuple[tuple[Directive[Any], str], ...] = (
    (BUS_NAME, "a name on the bus has one owner"),
    (PID_FILE, "a PID file names one process"),
    (REMAIN_AFTER_EXIT, "what is active without a process has no instance to replace"),
    (
        FILE_DESCRIPTOR_STORE_MAX,
        "stored descriptors go to the next instance when the one before has ended",
    ),
)


def verify_unit(
    kind: str,
    values: Mapping[str, Any],
    settings: Assignments,
    where: Callable[[Directive[Any]], Location],
) -> list[Diagnostic]:
    """Refuse it in units of other kinds, which have no instances, and where a text is about one of two."""
    if values.get(UPDATE.key) is not Update.OVERLAP:
        return []
    if kind == "service":
        text = "each instance has its own credentials: use $CREDENTIALS_DIRECTORY instead of %d"
        return [
            Diagnostic(x.where, "error", x.key.rpartition(".")[2], text)
            for x in settings
            if _CREDENTIALS.search(x.text)
        ]
    return [Diagnostic(where(UPDATE), "error", UPDATE.name, "Update=overlap is for services")]


def verify(values: Mapping[str, Any], refuse: Callable[[Directive[Any], str], None]) -> None:
    """Refuse what leaves no room for a second instance; `refuse` is told the directive and the reason."""
    if values.get(UPDATE.key) is not Update.OVERLAP:
        return
    kind = TYPE.of(values)
    if kind not in _TYPES:
        names = ", ".join(_TYPES)
        refuse(UPDATE, f"Update=overlap is for Type= {names}, and not for Type={kind}")
    for directive, reason in _ALONE:
        if values.get(directive.key):
            refuse(directive, f"{directive.name}= cannot be used with Update=overlap: {reason}")
