"""What is: the state of one unit, and what it is made of.

All instants are seconds of CLOCK_BOOTTIME but those named `realtime` (seconds since 1970).
"""

from __future__ import annotations

import dataclasses

from gitproc.core.checked import Checked
from gitproc.core.clock import TimerState
from gitproc.core.dialogue import Dialogue
from gitproc.core.events import Process
from gitproc.core.job import Job
from gitproc.core.listening import Connection, Listening
from gitproc.core.path_state import PathState
from gitproc.core.states import (
    ACTIVE_STATE,
    DOWN,
    STARTING,
    STOPPING,
    UP,
    ActiveState,
    Result,
    SubState,
)
from gitproc.immutable import field, immutable, mutable
from gitproc.units.unit import Unit


@dataclasses.dataclass(slots=True)
class Running:
    """A process of ours that was ordered and has not been seen to end. `pid` 0: not made yet."""

    process: Process
    pid: int = 0
    start_time: int = 0
    executed: bool = dataclasses.field(default=False, compare=False)  # not recorded
    problem: str = ""  # which step of its set-up failed, if one did


@mutable
class Hold:
    """An operator's stop: kept until `start`, or until a commit changes the unit."""

    who: str
    realtime: float
    fingerprint: str


@mutable
class Activation:
    """A start that `by` (a timer, path or socket) has caused. `begun`: the instance that it led to is
    there. `variables`: `TRIGGER_UNIT=...` and more for its processes (systemd.exec(5))."""

    by: str
    variables: list[str] = field(default_factory=list)
    begun: bool = False


@mutable
class Health:
    """Where the health checks of the present instance stand."""

    passed: bool = False  # at least once in this instance
    failures: int = 0  # in a row
    detail: str = ""
    next_probe: float | None = None
    in_flight: bool = False


@immutable
class LastExit:
    """How the main process (or the last command) ended; `code` is empty while none has."""

    code: str = ""
    status: int = 0
    pid: int = 0
    realtime: float = 0.0


NO_EXIT = LastExit()
"""No process of the unit has ended yet."""


@mutable
class UnitState:
    """What is: one unit's state. `unit` is the definition of the instance, not of the commit."""

    name: str
    sub: SubState = SubState.DEAD
    result: Result = Result.SUCCESS
    unit: Unit | None = None
    invocation: str = ""
    main: Running | None = None
    control: Running | None = None
    probe: Running | None = None
    command: int = 0
    tree_empty: bool = True
    born: bool = False  # some process of this instance has been made
    deadline: float | None = None
    find_main_at: float | None = None
    entered: float = 0.0
    active_since: float | None = None
    restart_at: float | None = None
    restarts: int = 0
    starts: list[float] = field(default_factory=list)
    hold: Hold | None = None
    demanded: bool = False
    activation: Activation | None = None
    job: Job | None = None  # where JobTimeoutSec= or its like is set
    timer: TimerState | None = None
    path: PathState | None = None
    listening: Listening | None = None  # of a socket
    connection: Connection | None = None  # of an instance that was made for one
    done: str = ""  # fingerprint of what ended by itself and is not to be started again
    finished: bool = False  # a oneshot that has done its work: satisfies who requires it
    restart_wanted: str = ""  # why the running instance is to be replaced
    taken_along: str = ""  # by whom, as that lost what it is bound to: see `relations.take_along`
    reload_wanted: str = ""
    ordered_stop: bool = False
    restarting: bool = False  # and it is one half of a restart
    forced_restart: bool = False
    oom: bool = False
    reload_failed: str = ""  # how the last reload failed, if it did
    unread: str = ""  # what commits have changed since the last reload that succeeded, or the start
    status_text: str = ""
    message: str = ""
    checked: Checked | None = None
    last_exit: LastExit = NO_EXIT
    health: Health = field(default_factory=Health)
    dialogue: Dialogue | None = None
    waits_for: str = ""
    waits_because: str = ""
    obstacle: str = ""  # the unit at the root of why this one stays down; maybe itself
    gate_index: int = 0
    drains: bool = False  # it has given way to a new instance; see `overlap.py`

    @property
    def definition(self) -> Unit:
        """The definition of the instance; there is one in every state but a first `dead`."""
        if self.unit is None:
            raise AssertionError(f"{self.name} is {self.sub} and has no definition")
        return self.unit

    @property
    def seat(self) -> str:
        """By which name the kernel's side knows the instance."""
        return self.unit.name if self.unit is not None else self.name

    @property
    def active(self) -> ActiveState:
        """The coarse state."""
        return ACTIVE_STATE[self.sub]

    @property
    def up(self) -> bool:
        """Active, by systemd's word."""
        return self.sub in UP

    @property
    def down(self) -> bool:
        """Nothing runs: dead, failed, or waiting for an automatic restart."""
        return self.sub in DOWN

    @property
    def starting(self) -> bool:
        """On its way up."""
        return self.sub in STARTING

    @property
    def stopping(self) -> bool:
        """On its way down."""
        return self.sub in STOPPING

    @property
    def resting(self) -> bool:
        """Down, and not about to be started again by its Restart=."""
        return self.sub in (SubState.DEAD, SubState.FAILED)

    @property
    def triggered(self) -> bool:
        """A start that something else has caused is still to begin."""
        return self.activation is not None and not self.activation.begun

    @property
    def skipped(self) -> bool:
        """A start was left out because a condition was unmet: that is fine with who requires the unit."""
        if self.sub is not SubState.DEAD:
            return False
        unmet = self.checked is not None and bool(self.checked.unmet)
        return unmet or self.result is Result.EXEC_CONDITION

    def running(self, process: Process) -> Running | None:
        """The slot that holds exactly this process, or None: stale news."""
        for slot in (self.main, self.control, self.probe):
            if slot is not None and slot.process == process:
                return slot
        return None
