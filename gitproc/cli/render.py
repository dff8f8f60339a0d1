"""Tables on a terminal, by rich; the only module that imports it.

Everything from outside is escaped and put into Text objects: neither terminal sequences nor rich's own markup
in a commit's subject are ever obeyed. Each function returns False if there is nothing for a table.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from gitproc.api.text_style import ago, number, safe
from gitproc.cli.fast import terminal

if TYPE_CHECKING:
    from rich.table import Table

_COLORS = {
    "good": "green", "ok": "green", "warn": "yellow", "superseded": "dim",
    "failed": "red", "refused": "red", "fail": "red",
}  # fmt: skip


def history(result: Mapping[str, Any]) -> bool:
    """Commits, newest first."""
    now = time.time()
    rows = []
    for entry in result.get("entries") or ():
        when = number(entry.get("time"))
        units = entry.get("units") or {}
        said = "\n".join(f"{name}: {outcome}" for name, outcome in units.items())
        rows.append(
            (
                str(entry.get("sha", ""))[:10],
                str(entry.get("verdict") or "-"),
                ago(now - when) if when is not None else "-",
                str(entry.get("author", "")),
                f"{entry.get('subject', '')}" + (f"\n{said}" if said else ""),
            )
        )
    return _show(("COMMIT", "VERDICT", "WHEN", "AUTHOR", "SUBJECT"), rows, state=1)


def doctor(result: Mapping[str, Any]) -> bool:
    """Checks of the host and the manager."""
    rows = [
        (
            str(check.get("state", "?")),
            str(check.get("name", "")),
            "\n".join(str(check[key]) for key in ("detail", "advice") if check.get(key)),
        )
        for check in result.get("checks") or ()
    ]
    return _show(("STATE", "CHECK", "DETAIL"), rows, state=0)


def live(heads: tuple[str, ...], frames: Iterable[tuple[Sequence[tuple[str, ...]], str]]) -> None:
    """One table that changes with each frame (rows, and a line below), until these end or somebody has seen enough."""
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    _, color = terminal()
    system: Literal["auto"] | None = "auto" if color else None
    console = Console(color_system=system, highlight=False)
    with Live(console=console, auto_refresh=False, vertical_overflow="crop") as view:
        for rows, said in frames:
            table = _table(heads)
            table.caption, table.caption_justify = Text(said), "left"
            for row in rows[: max(1, console.height - 5)]:
                table.add_row(*(Text(safe(cell)) for cell in row))
            view.update(table, refresh=True)


def _show(heads: tuple[str, ...], rows: Sequence[tuple[str, ...]], *, state: int) -> bool:
    if not rows:
        return False
    from rich.console import Console
    from rich.text import Text

    width, color = terminal()
    table = _table(heads)
    for row in rows:
        cells = ["\n".join(safe(line) for line in cell.split("\n")) for cell in row]
        table.add_row(
            *(
                Text(cell, style=_COLORS.get(row[state], "") if column == state else "")
                for column, cell in enumerate(cells)
            )
        )
    system: Literal["auto"] | None = "auto" if color else None  # None: not even bold
    Console(width=width or None, color_system=system, highlight=False).print(table)
    return True


def _table(heads: tuple[str, ...]) -> Table:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for head in heads[:-1]:
        table.add_column(head, no_wrap=True)
    table.add_column(heads[-1], overflow="fold")
    return table
