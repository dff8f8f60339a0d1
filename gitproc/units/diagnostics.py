"""Diagnostics: what is wrong with a unit file, where, collected rather than thrown."""

from __future__ import annotations

from typing import Literal

from gitproc.immutable import NamedTuple, immutable

Severity = Literal["error", "warning"]


class Location(NamedTuple):
    """Where an assignment stands: path inside the repository (or on disk) and line, from 1 (0: whole file)."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.line else self.file


@immutable
class Diagnostic:
    """One finding. `str()` gives `FILE:LINE: error: DIRECTIVE: message`."""

    location: Location
    severity: Severity
    directive: str
    message: str

    def __str__(self) -> str:
        subject = f"{self.directive}: " if self.directive else ""
        return f"{self.location}: {self.severity}: {subject}{self.message}"

    def as_dict(self) -> dict[str, object]:
        """The stable JSON form (`verify --json`, refused commits in `status --json`)."""
        return {
            "file": self.location.file,
            "line": self.location.line,
            "directive": self.directive,
            "severity": self.severity,
            "message": self.message,
        }
