"""Descriptors kept for units: listening sockets and what services stored, alive while nobody else has them.

A set of descriptors has an owner, a name of its own there, and a note that means something to the manager
alone. A connection in the backlog of a socket held here waits for whoever serves it next, whatever dies.
"""

from __future__ import annotations

import errno

from gitproc.shim.protocol import MAX_FDS, PAGE_ROWS, close_all, unlingering

TYPE_CHECKING = False  # `typing` and `collections` stay out of this process
if TYPE_CHECKING:
    from typing import Any

    from gitproc.shim.connection import Connection

SET_MAX = MAX_FDS - 1  # one place is a memfd's
_TEXT_MAX = 4096  # characters of an owner, a name or a note
_SETS_MAX = 65536


class Holdings:
    """All sets, by owner and name."""

    def __init__(self, line: Connection) -> None:
        self._line = line
        self._sets: dict[tuple[str, str], tuple[str, list[int]]] = {}

    def hold(self, request: int, owner: str, name: str, note: str, fds: list[int]) -> None:
        """Keep these descriptors (`fds` is emptied), in place of what the owner has under this name."""
        problem = ""
        if not 0 < len(fds) <= SET_MAX:
            problem = f"a set has 1 to {SET_MAX} descriptors, not {len(fds)}"
        elif not owner or max(len(owner), len(name), len(note)) > _TEXT_MAX:
            problem = "a set needs an owner, and short names"
        elif len(self._sets) >= _SETS_MAX and (owner, name) not in self._sets:
            problem = f"{_SETS_MAX} sets are held already"
        if problem:
            self._line.emit(("refused", request, "HOLD", errno.EINVAL, problem))
            return
        self._close((owner, name))
        self._sets[owner, name] = (note, fds[:])
        fds.clear()
        self._line.emit(("held", request))

    def drop(self, request: int, owner: str, name: str | None) -> None:
        """Close a set, or all of an owner; what is not there is no error. Says how many were."""
        keys = [key for key in self._sets if key[0] == owner] if name is None else [(owner, name)]
        count = sum(self._close(key) for key in keys)
        self._line.emit(("dropped", request, count))

    def _close(self, key: tuple[str, str]) -> bool:
        found = self._sets.pop(key, None)
        if found is not None:
            unlingering(close_all, found[1])
        return found is not None

    def send_table(self, request: int) -> None:
        """All sets in the order in which they came, with their descriptors, in pages."""
        pages: list[tuple[list[Any], list[int]]] = [([], [])]
        for (owner, name), (note, fds) in self._sets.items():
            rows, given = pages[-1]
            if len(rows) >= PAGE_ROWS or len(given) + len(fds) > SET_MAX:
                rows, given = [], []
                pages.append((rows, given))
            rows.append((owner, name, note, len(fds)))
            given.extend(fds)
        for number, (rows, given) in enumerate(pages, 1):
            last = number == len(pages)
            self._line.emit(("holdings", request, number - 1, last, rows), tuple(given))

    # ------------------------------------------------------------ over a re-exec

    def save(self, keep: list[int]) -> list[Any]:
        """Plain values of all sets; their descriptors go to `keep`."""
        for _, fds in self._sets.values():
            keep.extend(fds)
        return [[*key, note, fds] for key, (note, fds) in self._sets.items()]

    def restore(self, rows: list[Any]) -> None:
        """Inverse of `save`, in a new image of this process."""
        for owner, name, note, fds in rows:
            self._sets[owner, name] = (note, fds)
