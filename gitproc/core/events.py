"""Facts, in the past tense: everything that can happen to the world, as frozen values.

Each fact about a running thing names its instance (unit and invocation id, or the very process), so that
late news about a former incarnation is dropped. Instants are seconds of CLOCK_BOOTTIME unless a name says
`realtime` (seconds since 1970, decoration only). Families lie in files of their own: the facts about
processes, commits and operators are had from here like the others.
"""

from __future__ import annotations

from typing import TypeAlias

from gitproc.core.checked import Finding
from gitproc.core.commit_events import (
    BranchUnborn,
    CommitEvent,
    CommitLoaded,
    CommitMeta,
    HostUnitsSeen,
    OutcomeTold,
    SourceFailed,
)
from gitproc.core.occasions import ClockSet, PathsSeen, ZoneSet
from gitproc.core.operator_events import (
    ApplyAsked,
    OperatorAsked,
    OperatorEvent,
    RequestDropped,
    ShutdownAsked,
    SyncAsked,
    Verb,
)
from gitproc.core.process_events import (
    Adopted,
    AdoptionDone,
    Executed,
    ExitCode,
    Exited,
    Process,
    ProcessEvent,
    SetupFailed,
    Slot,
    Spawned,
    SpawnFailed,
)
from gitproc.core.socket_events import (
    ConnectionCame,
    HoldingsFound,
    SocketFailed,
    SocketOpened,
    SocketReady,
)
from gitproc.immutable import immutable

__all__ = [
    "Adopted",
    "AdoptionDone",
    "ApplyAsked",
    "BranchUnborn",
    "CommitLoaded",
    "CommitMeta",
    "Executed",
    "ExitCode",
    "Exited",
    "HostUnitsSeen",
    "OperatorAsked",
    "OutcomeTold",
    "Process",
    "RequestDropped",
    "SetupFailed",
    "ShutdownAsked",
    "Slot",
    "SourceFailed",
    "SpawnFailed",
    "Spawned",
    "SyncAsked",
    "Verb",
]


@immutable
class TreeEmptied:
    """No process of this instance is left."""

    unit: str
    invocation: str


@immutable
class OutOfMemory:
    """The kernel's OOM killer struck in the unit's cgroup."""

    unit: str
    invocation: str


@immutable
class Notified:
    """A datagram on the notify socket, its sender found to be `pid` of this unit (sd_notify(3)).

    MAINPID= is a process of the unit, by the manager's own number; MONOTONIC_USEC= counts as CLOCK_BOOTTIME.
    """

    unit: str
    invocation: str
    pid: int
    fields: tuple[tuple[str, str], ...]


@immutable
class MainFound:
    """The main process of a forking service: read from its PID file or guessed. None: not found (yet)."""

    unit: str
    invocation: str
    pid: int | None
    start_time: int = 0
    message: str = ""


@immutable
class BusNameSeen:
    """Whether somebody owns BusName= now; `problem`: why the bus cannot be asked."""

    unit: str
    invocation: str
    owned: bool
    problem: str = ""


@immutable
class ProbeSucceeded:
    """A health probe of this instance passed."""

    unit: str
    invocation: str


@immutable
class ProbeFailed:
    """A health probe of this instance failed; `detail` says how, for people."""

    unit: str
    invocation: str
    detail: str


@immutable
class LimitsFailed:
    """A limit could not be set; the unit runs without it (or is failed, by configuration)."""

    unit: str
    invocation: str
    message: str


@immutable
class ConditionsChecked:
    """The conditions and assertions of this start have been tested, all of them."""

    unit: str
    invocation: str
    findings: tuple[Finding, ...]
    realtime: float


@immutable
class Tick:
    """Time has passed: deadlines that lie before `now` are due."""


InstanceEvent: TypeAlias = (
    TreeEmptied
    | OutOfMemory
    | Notified
    | MainFound
    | BusNameSeen
    | ProbeSucceeded
    | ProbeFailed
    | LimitsFailed
    | ConditionsChecked
    | PathsSeen
    | SocketOpened
    | SocketFailed
    | SocketReady
)
"""What is no news unless that very instance (`unit`, `invocation`) is still there."""

Event: TypeAlias = (
    CommitEvent
    | ProcessEvent
    | OperatorEvent
    | InstanceEvent
    | ConnectionCame
    | HoldingsFound
    | ClockSet
    | ZoneSet
    | Tick
)
