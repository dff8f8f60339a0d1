"""Facts about single processes, in the past tense, and what tells a process from others; see `events.py`."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from gitproc.immutable import immutable
from gitproc.units.unit import Unit


class Slot(StrEnum):
    """Which of a unit's processes: the main one, the control command of the moment, or a health probe."""

    MAIN = "main"
    CONTROL = "control"
    HEALTH = "health"


@dataclass(frozen=True, slots=True)  # its own hash: it is the key of many tables
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


@immutable
class Spawned:
    """The kernel made the process; set-up in the child goes on. `start_time`: field 22 of /proc/PID/stat."""

    process: Process
    pid: int
    start_time: int


@immutable
class Executed:
    """The child's execve succeeded."""

    process: Process


@immutable
class SetupFailed:
    """Set-up in the child failed at `step` (EXEC, CHDIR, USER ...); its exit follows as `Exited`."""

    process: Process
    step: str
    errno: int
    message: str


@immutable
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


@immutable
class Exited:
    """A process ended. `status` is the exit status or the signal number.

    `sequence` is acknowledged once the world's answer is safe on disk (0: nothing to acknowledge).
    `tree_empty`: nothing else was left of the unit's processes right after it. `successor`: pid and start
    time of the process that its PID file names as the main one by now.
    """

    process: Process
    code: ExitCode
    status: int
    sequence: int = 0
    tree_empty: bool = False
    cpu_seconds: float = 0.0
    realtime: float = 0.0
    successor: tuple[int, int] | None = None


@immutable
class Adopted:
    """A process that an earlier manager ordered is in the shim's table. Not `alive`: its exit follows.

    `pid` 0: it is still being made; Spawned follows.
    `unit`: the definition it runs by, where no record knows of the process since none could be written.
    """

    process: Process
    pid: int
    start_time: int
    alive: bool = True
    executed: bool = True
    unit: Unit | None = None


@immutable
class AdoptionDone:
    """The shim's table has been read; a process expected and not announced was never spawned
    (`same_shim`), or died with its shim (exit status unknown)."""

    same_shim: bool


ProcessEvent: TypeAlias = (
    Spawned | Executed | SetupFailed | SpawnFailed | Exited | Adopted | AdoptionDone
)
