"""The world: everything the manager knows, and nothing it does not need to decide.

Two axes are kept apart: what is *wanted* (the commit in force, holds, demands) and what *is* (one
`UnitState` a unit). `step.py` alone changes a World, in place; status is a projection of it, never stored.
All instants are seconds of CLOCK_BOOTTIME, which goes on over a crash of the manager and stops at a
reboot, when nothing of the old world runs any more.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterable
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from gitproc.core.actions import Action, Announce
from gitproc.core.clock import Clock
from gitproc.core.commit_states import Deploy, HeldBack, Outcome, Refusal, UnitChange
from gitproc.core.dependency_resolver import DependencyResolver
from gitproc.core.ends import End
from gitproc.core.events import CommitMeta, OperatorAsked, Process, Slot, Verb
from gitproc.core.foreign import Foreign
from gitproc.core.second_news import kind_of
from gitproc.core.unit_state import UnitState
from gitproc.immutable import field, mutable
from gitproc.units.names import comes_on_demand
from gitproc.units.seats import home, is_second, other_seat
from gitproc.units.unit import Unit

if TYPE_CHECKING:
    from gitproc.units.loader import UnitSet


@mutable
class Settings:
    """What the host's configuration says to decisions. Durations in seconds."""

    default_target: str = "default.target"
    settle: float = 5.0
    timeout_start: float = 90.0
    timeout_stop: float = 90.0
    restart_sec: float = 0.1
    start_limit_interval: float = 10.0
    start_limit_burst: int = 5
    on_failure: str = "keep"  # what a failed commit leads to: keep, hold or revert


@mutable
class Request:
    """An operator's verb under way: which units it still waits for, and what came of the others.

    `verbs`: what it comes down to for each unit.
    """

    verbs: dict[str, Verb]
    who: str
    waiting: set[str]
    invocations: dict[str, str] = field(default_factory=dict)
    outcomes: dict[str, dict[str, Any]] = field(default_factory=dict)


@mutable
class World:
    """All of it. `settings` and `seed` are given; the rest begins empty or comes from the journal."""

    settings: Settings = field(default_factory=Settings)
    clock: Clock = field(default_factory=Clock)
    seed: str = ""
    serial: int = 0
    desired: UnitSet | None = None
    graph: DependencyResolver = field(default_factory=DependencyResolver)
    pulled: frozenset[str] = frozenset()
    blocked: dict[str, str] = field(default_factory=dict)
    applied: CommitMeta | None = None
    goods: list[CommitMeta] = field(default_factory=list)
    refused: Refusal | None = None
    deploy: Deploy | None = None
    held_back: HeldBack | None = None
    outbox: dict[str, Outcome] = field(default_factory=dict)
    changes: dict[str, UnitChange] = field(default_factory=dict)
    verdicts: dict[str, str] = field(default_factory=dict)
    source_problem: str = ""
    foreign: Foreign = field(default_factory=Foreign)
    units: dict[str, UnitState] = field(default_factory=dict)
    stamps: dict[str, float] = field(default_factory=dict)  # of persistent timers, since 1970
    requests: dict[int, Request] = field(default_factory=dict)
    postponed: list[OperatorAsked] = field(default_factory=list)
    updating: dict[str, None] = field(default_factory=dict)  # see `overlap.py`
    ends: list[End] = field(default_factory=list)  # see `relations.py`
    signalled: float = 0.0  # up to when the former manager is known to have sent its signals
    grace: float = -math.inf  # no deadline passes before: the manager was away
    spared: dict[str, float] = field(default_factory=dict)  # units -> when theirs pass all the same
    adopting: bool = False
    stopping: bool = False
    exited: bool = False
    # Work of the present step.
    now: float = 0.0
    touched: dict[str, None] = field(default_factory=dict)
    queue: dict[str, None] = field(default_factory=dict)
    idlers: dict[str, float] = field(default_factory=dict)  # see `idling.py`
    busy: str = ""
    unsure: dict[str, None] = field(default_factory=dict)  # whose obstacle may be another now
    dirty: dict[str, None] = field(default_factory=dict)
    waiters: dict[str, dict[str, None]] = field(default_factory=dict)
    # Of a target -> who was started after it, in which instance; see `past_order.py`.
    past_order: dict[str, dict[str, str]] = field(default_factory=dict)
    actions: list[Action] = field(default_factory=list)
    alarms: list[tuple[float, str]] = field(default_factory=list)
    announced: set[Process] = field(default_factory=set)
    recorded: dict[str, Any] = field(default_factory=dict)
    recorded_commits: tuple[object, ...] = ()

    @property
    def undecided(self) -> bool:
        """A commit was in force before and has not been loaded yet: nothing is started or stopped by rule."""
        return self.desired is None and self.applied is not None and not self.stopping

    @property
    def knowing(self) -> bool:
        """What runs is known, and what is to run: only then do rules start and stop, and requests go in."""
        return not self.adopting and not self.undecided

    def state(self, name: str) -> UnitState:
        """The state of a unit, made on first mention."""
        found = self.units.get(name)
        if found is None:
            found = self.units[name] = UnitState(name)
        return found

    def wanted_unit(self, name: str) -> Unit | None:
        """The definition that the commit in force gives `name`, if any; instances are made on demand."""
        if self.desired is None:
            return None
        unit = self.desired.units.get(name)
        if unit is None and comes_on_demand(name) and not is_second(name):
            state = self.units.get(name)
            if state is not None and state.connection is not None:
                return state.connection.unit
            unit = self.desired.resolve(name)
        return unit

    def forget(self, name: str) -> None:
        """Nothing of `name` is left and nothing wants it."""
        self.units.pop(name, None)
        self.dirty[name] = None

    def do(self, action: Action) -> None:
        """Order something; orders are carried out in this order after the step."""
        self.actions.append(action)

    def tell(self, kind: str, unit: str, message: str, **data: Any) -> None:
        """Announce something to people."""
        if is_second(unit):
            kind, unit = kind_of(self.units.get(unit), kind), home(unit)
            if not kind:
                return
        self.actions.append(Announce(kind, unit, message, tuple(sorted(data.items()))))

    def touch(self, name: str) -> None:
        """The state of `name` has changed: record it, and look again at it and at who has to do with it."""
        self.dirty[name] = self.touched[name] = None

    def spread(self) -> None:
        """Have the rules look at whom it concerns that units have changed."""
        while self.touched:
            name = next(iter(self.touched))
            del self.touched[name]
            self._spread(name)

    def _spread(self, name: str) -> None:
        self.look_at((name, *self.graph.binds_to.to(name), *self.graph.triggers.to(name)))
        self.look_at(self.graph.upholds.of(name))
        if name in self.updating:
            self.look_at((other_seat(name),))
        elif self.updating and is_second(name):
            self.look_at((home(name),))
        state = self.units.get(name)
        if state is not None and state.down:
            self.look_at(self.graph.requires.to(name))
            self.look_at(self.graph.requisite.to(name))
        self.look_at(self.graph.unneeded_without(name))
        self.look_at(self.waiters.pop(name, ()))

    def look_at(self, names: Iterable[str]) -> None:
        """Have the rules look at these units before the step is over."""
        for name in names:
            self.queue[name] = self.unsure[name] = None

    def alarm(self, at: float | None, name: str) -> None:
        """See to it that a step happens at `at`; alarms that have become pointless are harmless."""
        if at is not None and at != float("inf"):
            heapq.heappush(self.alarms, (at, name))

    def new_process(self, state: UnitState, slot: Slot) -> Process:
        """A token for a process about to be ordered."""
        self.serial += 1
        fingerprint = state.unit.fingerprint if state.unit else ""
        return Process(state.seat, state.invocation, slot, self.serial, fingerprint)

    def new_invocation(self) -> str:
        """A fresh invocation id: 128 bit, in hex, unique to this world's seed (systemd.exec(5))."""
        self.serial += 1
        return sha256(f"{self.seed}/{self.serial}".encode()).hexdigest()[:32]
