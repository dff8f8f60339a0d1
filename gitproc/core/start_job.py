"""What is remembered of a start whose time is limited as a whole; see `job_timeout.py`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(slots=True)
class StartJob:
    """`since`: the start is waited for from then on. `until`: it has begun, and is overdue then. Seconds."""

    since: float
    until: float | None = None

    def record(self) -> list[float | None]:
        """As JSON."""
        return [self.since, self.until]

    @staticmethod
    def restored(record: Sequence[float]) -> StartJob:
        """Inverse of `record`."""
        return StartJob(*record)
