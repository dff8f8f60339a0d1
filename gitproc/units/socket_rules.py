"""What the settings of a socket must be together (systemd.socket(5)), and its addresses in their order."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from gitproc.units import directives_socket as s
from gitproc.units.addresses import Listen
from gitproc.units.assignments import Assignments
from gitproc.units.diagnostics import Diagnostic, Location
from gitproc.units.directive import Directive
from gitproc.units.directives_triggers import SOCKET_SERVICE
from gitproc.units.findings import Findings

_KEYS = frozenset(row.key for row in s.LISTENS)


def verify(
    values: Mapping[str, Any], where: Callable[[Directive[Any]], Location]
) -> list[Diagnostic]:
    """The rules a socket breaks; `where` gives the place of a directive (the file, if unset)."""
    found = Findings(where)
    listens = [each for row in s.LISTENS for each in row.of(values)]
    if not listens:
        found.refuse(
            s.LISTEN_STREAM, "missing: a socket listens somewhere (ListenStream= or another)"
        )
    if s.ACCEPT.of(values):
        if SOCKET_SERVICE.of(values):
            found.refuse(
                SOCKET_SERVICE, "Accept=yes starts instances of the template of the same name"
            )
        deaf = next((each for each in listens if not each.accepts), None)
        if deaf is not None:
            found.refuse(
                s.ACCEPT, f"there are no connections to accept on {deaf.text} ({deaf.kind})"
            )
    nodes = sum(1 for each in listens if each.path)
    if s.SYMLINKS.of(values) and nodes != 1:
        found.refuse(
            s.SYMLINKS, f"links lead to the one path that is listened on, and there are {nodes}"
        )
    return found.told


def listens_in_order(values: Mapping[str, Any], settings: Assignments) -> tuple[Listen, ...]:
    """What a socket listens on, in the order of the file: that of the descriptors passed.

    Of systemd's rule that an empty assignment drops the addresses of *all* kinds this is the place, too.
    """
    order: list[str] = []
    for key, text in settings.assigned:
        if key in _KEYS:
            order = [*order, key] if text else []
    left = {key: list(values.get(key, ()))[-order.count(key) :] for key in dict.fromkeys(order)}
    return tuple(left[key].pop(0) for key in order if left[key])
