"""Facts, in the past tense: everything that can happen to the world, as frozen values.

Each fact about a running thing names its instance (unit and invocation id, or the very process), so that
late news about a former incarnation is dropped. Instants are seconds of CLOCK_BOOTTIME unless a name says
`realtime` (seconds since 1970, decoration only).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from gitproc.core.checked import Finding
from gitproc.core.host_unit import HostUnit
from gitproc.core.occasions import ClockSet, PathsSeen, ZoneSet
from gitproc.core.socket_events import SocketEvent
from gitproc.units.diagnostics import Diagnostic
from gitproc.units.loader import UnitSet
from gitproc.units.unit import Unit


class Slot(StrEnum):
    """Which of a unit's processes: the main one, the control command of the moment, or a health probe."""

    MAIN = "main"
    CONTROL = "control"
    HEALTH = "health"


@dataclass(frozen=True, slots=True)
class Process:
    """The token of one spawned process: never reused, known before the process exists."""

    unit: str
    invocation: str
    slot: Slot
    serial: int
    fingerprint: str

    def cookie(self) -> str:
        """The opaque string the shim keeps beside the process."""
        return "\t".join(
            (self.unit, self.invocation, self.slot, str(self.serial), self.fingerprint)
        )

    @staticmethod
    def from_cookie(cookie: str) -> Process:
        """Inverse of `cookie()`; ValueError if it is not one of ours."""
        unit, invocation, slot, serial, fingerprint = cookie.split("\t")
        return Process(unit, invocation, Slot(slot), int(serial), fingerprint)


@dataclass(frozen=True, slots=True)
class CommitMeta:
    """Who committed what, for people."""

    sha: str
    author: str = ""
    time: float = 0.0
    subject: str = ""


@dataclass(frozen=True, slots=True)
class CommitLoaded:
    """The branch names this commit and its tree has been read and compiled.

    `changed` are the units whose definition may differ from those now in force (None: compare all).
    `findings` are about the tree rather than its units. `again`: a commit that was in force before (boot,
    recovery): it is applied but not judged anew. `stand_in`: the branch itself names another commit, which
    is refused or held back, or none that can be had; what was said about that still holds. `anew`: an
    operator wants it tried and judged once more. `host_units`: what the host's systemd says of names that
    the commit depends on and does not have (None: no systemd there).
    """

    commit: CommitMeta
    units: UnitSet
    changed: frozenset[str] | None = None
    findings: tuple[Diagnostic, ...] = ()
    again: bool = False
    stand_in: bool = False
    anew: bool = False
    host_units: Mapping[str, HostUnit] | None = None


@dataclass(frozen=True, slots=True)
class HostUnitsSeen:
    """What the host's systemd says of its units; or why it could not be asked."""

    states: Mapping[str, HostUnit]
    problem: str = ""


@dataclass(frozen=True, slots=True)
class SourceFailed:
    """The branch cannot be read (deleted, unreadable repository): what is applied stays in force."""

    reason: str


@dataclass(frozen=True, slots=True)
class BranchUnborn:
    """The repository is fine and the branch has no commit."""


@dataclass(frozen=True, slots=True)
class Spawned:
    """The kernel made the process; set-up in the child goes on. `start_time`: field 22 of /proc/PID/stat."""

    process: Process
    pid: int
    start_time: int


@dataclass(frozen=True, slots=True)
class Executed:
    """The child's execve succeeded."""

    process: Process


@dataclass(frozen=True, slots=True)
class SetupFailed:
    """Set-up in the child failed at `step` (EXEC, CHDIR, USER ...); its exit follows as `Exited`."""

    process: Process
    step: str
    errno: int
    message: str


@dataclass(frozen=True, slots=True)
class SpawnFailed:
    """No process came to be: bad user, missing environment file, cgroup or fork refused."""

    process: Process
    step: str
    message: str


class ExitCode(StrEnum):
    """How a process ended (`si_code`); LOST where its parent died and nobody could tell."""

    EXITED = "exited"
    KILLED = "killed"
    DUMPED = "dumped"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class Exited:
    """A process ended. `status` is the exit status or the signal number.

    `sequence` is acknowledged once the world's answer is safe on disk (0: nothing to acknowledge).
    `tree_empty`: nothing else was left of the unit's processes right after it.
    """

    process: Process
    code: ExitCode
    status: int
    sequence: int = 0
    tree_empty: bool = False
    cpu_seconds: float = 0.0
    realtime: float = 0.0


@dataclass(frozen=True, slots=True)
class Adopted:
    """A process that an earlier manager ordered is in the shim's table. Not `alive`: its exit follows.

    `unit`: the definition it runs by, where no record knows of the process since none could be written.
    """

    process: Process
    pid: int
    start_time: int
    alive: bool = True
    executed: bool = True
    unit: Unit | None = None


@dataclass(frozen=True, slots=True)
class AdoptionDone:
    """The shim's table has been read; a process expected and not announced was never spawned
    (`same_shim`), or died with its shim (exit status unknown)."""

    same_shim: bool


@dataclass(frozen=True, slots=True)
class TreeEmptied:
    """No process of this instance is left."""

    unit: str
    invocation: str


@dataclass(frozen=True, slots=True)
class OutOfMemory:
    """The kernel's OOM killer struck in the unit's cgroup."""

    unit: str
    invocation: str


@dataclass(frozen=True, slots=True)
class Notified:
    """A datagram on the notify socket, its sender found to be `pid` of this unit (sd_notify(3)).

    MAINPID= is a process of the unit, by the manager's own number; MONOTONIC_USEC= counts as CLOCK_BOOTTIME.
    """

    unit: str
    invocation: str
    pid: int
    fields: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class MainFound:
    """The main process of a forking service: read from its PID file or guessed. None: not found (yet)."""

    unit: str
    invocation: str
    pid: int | None
    start_time: int = 0
    message: str = ""


@dataclass(frozen=True, slots=True)
class BusNameSeen:
    """Whether somebody owns BusName= now; `problem`: why the bus cannot be asked."""

    unit: str
    invocation: str
    owned: bool
    problem: str = ""


@dataclass(frozen=True, slots=True)
class ProbeSucceeded:
    """A health probe of this instance passed."""

    unit: str
    invocation: str


@dataclass(frozen=True, slots=True)
class ProbeFailed:
    """A health probe of this instance failed; `detail` says how, for people."""

    unit: str
    invocation: str
    detail: str


@dataclass(frozen=True, slots=True)
class LimitsFailed:
    """A limit could not be set; the unit runs without it (or is failed, by configuration)."""

    unit: str
    invocation: str
    message: str


@dataclass(frozen=True, slots=True)
class ConditionsChecked:
    """The conditions and assertions of this start have been tested, all of them."""

    unit: str
    invocation: str
    findings: tuple[Finding, ...]
    realtime: float


class Verb(StrEnum):
    """What an operator can ask of a unit."""

    START = "start"
    STOP = "stop"
    RESTART = "restart"
    TRY_RESTART = "try-restart"
    RELOAD = "reload"
    KILL = "kill"
    RESET_FAILED = "reset-failed"


@dataclass(frozen=True, slots=True)
class OperatorAsked:
    """A verb came over the socket. `request` identifies it for the answer; `who` for the event log."""

    verb: Verb
    units: tuple[str, ...]
    request: int
    who: str
    signal: int = 0
    whom: str = "all"
    realtime: float = 0.0


@dataclass(frozen=True, slots=True)
class RequestDropped:
    """The client went away: nobody waits for the answer any more."""

    request: int


@dataclass(frozen=True, slots=True)
class SyncAsked:
    """Reconcile now: try again what a commit asks for and what gave up or ended by itself.

    `thorough`: an operator asked. If not, what ended with success stays so, and no work is no news.
    """

    request: int
    who: str
    thorough: bool = True


@dataclass(frozen=True, slots=True)
class ApplyAsked:
    """The branch's commit shall be tried again, whatever became of it before."""

    request: int
    who: str
    sha: str


@dataclass(frozen=True, slots=True)
class OutcomeTold:
    """One listener (`channel`) has heard how a commit ended. `last`: nobody else is to hear of it."""

    delivery: str
    channel: str
    last: bool


@dataclass(frozen=True, slots=True)
class ShutdownAsked:
    """Stop all units in order, then end."""

    reason: str


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed: deadlines that lie before `now` are due."""


Event: TypeAlias = (
    CommitLoaded
    | HostUnitsSeen
    | SourceFailed
    | BranchUnborn
    | Spawned
    | Executed
    | SetupFailed
    | SpawnFailed
    | Exited
    | Adopted
    | AdoptionDone
    | TreeEmptied
    | OutOfMemory
    | Notified
    | MainFound
    | BusNameSeen
    | ProbeSucceeded
    | ProbeFailed
    | LimitsFailed
    | ConditionsChecked
    | SocketEvent
    | OperatorAsked
    | RequestDropped
    | SyncAsked
    | ApplyAsked
    | OutcomeTold
    | ShutdownAsked
    | PathsSeen
    | ClockSet
    | ZoneSet
    | Tick
)
