"""What rules about several settings find in one unit, collected in their order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gitproc.units.diagnostics import Diagnostic, Location
from gitproc.units.directive import Directive


class Findings:
    """Told of by rules; `where` gives the place of a directive (the file, if it is unset)."""

    def __init__(self, where: Callable[[Directive[Any]], Location]) -> None:
        self._where = where
        self.told: list[Diagnostic] = []

    def refuse(self, at: Directive[Any], message: str) -> None:
        """No unit can be like this."""
        self.told.append(Diagnostic(self._where(at), "error", at.name, message))

    def warn(self, at: Directive[Any], message: str) -> None:
        """It does not do what it may be meant to."""
        self.told.append(Diagnostic(self._where(at), "warning", at.name, message))
