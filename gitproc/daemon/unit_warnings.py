"""What could not be done as units ask: sentences for `status`, and lines of the manager's log."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from gitproc.core.events import Process
from gitproc.units.seats import home

log = logging.getLogger(__name__)


class UnitWarnings:
    """Of each unit's present instance; each sentence is kept and logged once."""

    def __init__(self) -> None:
        self._known: dict[str, list[str]] = {}

    def add(self, unit: str, text: str) -> None:
        """Something that this unit asks for was not done."""
        known = self._known.setdefault(home(unit), [])
        if text not in known:
            known.append(text)
            log.warning("%s: %s", unit, text)

    def of(self, unit: str) -> Sequence[str]:
        """The sentences, in the order in which they came."""
        return self._known.get(unit, ())

    def forget(self, unit: str) -> None:
        """A new instance begins."""
        self._known.pop(home(unit), None)

    def of_shim(self, process: Process | None, text: str) -> None:
        """The shim has something to say about a process, or about itself."""
        if process is None:
            log.warning("shim: %s", text)
        else:
            self.add(process.unit, text)
