"""What is remembered of an order whose time is limited as a whole; see `job_timeout.py`."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Any

from gitproc.immutable import mutable


class JobKind(StrEnum):
    """What a unit is to do."""

    START = "start"
    STOP = "stop"
    RELOAD = "reload"


@mutable
class Job:
    """`since`: it is waited for from then on. `until`: it is overdue then (seconds); None: a start that has not
    begun, or a stop for which nobody waits any longer."""

    since: float
    until: float | None = None
    kind: JobKind = JobKind.START

    def record(self) -> list[Any]:
        """As JSON."""
        return [self.since, self.until, self.kind.value]

    @staticmethod
    def restored(record: Sequence[Any]) -> Job:
        """Inverse of `record`; without a kind, as older managers wrote it, it is a start."""
        since, until, *kind = record
        return Job(since, until, *map(JobKind, kind))
