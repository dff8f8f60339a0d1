"""Sockets in plain text: `list-sockets` with systemctl's columns, and their lines of `status`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from gitproc.api.text_style import Style, counted, safe, table

_HEADS = ("LISTEN", "UNIT", "ACTIVATES")


def sockets(data: Mapping[str, Any], style: Style) -> list[str]:
    """One line an address."""
    rows = [
        (
            safe(one.get("listen")),
            safe(one.get("unit")),
            safe(", ".join(one.get("activates") or "-")),
        )
        for one in data.get("sockets") or ()
    ]
    count = f"{len(rows)} socket{'' if len(rows) == 1 else 's'} listed."
    return counted(table(_HEADS, rows, style) if rows else [], count, style)


def status_lines(socket: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    """Listen: and, with Accept=yes, Accepted:."""
    for index, each in enumerate(socket.get("listen") or ()):
        yield "" if index else "Listen", f"{safe(each.get('address'))} ({safe(each.get('type'))})"
    if socket.get("accept"):
        counts = f"{socket.get('accepted')}; Connected: {socket.get('connections')}"
        yield "Accepted", f"{counts}; Refused: {socket.get('refused')}"
