"""What is remembered of an order whose time is limited as a whole; see `job_timeout.py`."""

from __future__ import annotations

from enum import StrEnum

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

    @staticmethod
    def restored(since: float, until: float | None, kind: str = JobKind.START) -> Job:
        """Of what its record says; without a kind, as older managers wrote it, it is a start."""
        return Job(since, until, JobKind(kind))
