"""The manager of the pretended machine: its mail, its disk, its commits; and how it is lost and comes back.

It hands events to `step` and has what comes back carried out. Only what was recorded survives it.
"""

from __future__ import annotations

import heapq
import json
import math
from abc import abstractmethod
from collections import deque
from collections.abc import Mapping
from typing import Any
from zoneinfo import ZoneInfo

from gitproc.core import foreign
from gitproc.core.actions import (
    Action,
    Keep,
    Record,
    Signal,
    SignalTree,
)
from gitproc.core.clock import Clock
from gitproc.core.events import (
    Adopted,
    AdoptionDone,
    CommitLoaded,
    CommitMeta,
    Event,
    Exited,
    Notified,
    OutOfMemory,
    Process,
    ShutdownAsked,
    Tick,
)
from gitproc.core.overlap import present
from gitproc.core.records import restore
from gitproc.core.step import next_deadline, step
from gitproc.core.world import Settings, World
from gitproc.immutable import replaced
from gitproc.units.loader import LoadOptions, SourceFile, UnitSet, load
from gitproc.units.specifiers import Host
from gitproc.units.unit import Unit
from tests.core.fake_processes import Shim
from tests.core.fake_programs import Program
from tests.core.fake_surroundings import Surroundings
from tests.units.trees import HOST, source


class Manager(Surroundings):
    """A machine with its manager."""

    def __init__(
        self,
        files: Mapping[str, str] | None = None,
        programs: Mapping[str, Program] | None = None,
        settings: Settings | None = None,
        host: Host = HOST,
    ) -> None:
        super().__init__(programs)
        self.host = host
        self.settings = settings or Settings()
        self.clock = Clock(zones=lambda name: ZoneInfo(name or "UTC"))
        self.world = World(settings=self.settings, seed="seed-0", clock=self.clock)
        self.disk: dict[str, Any] = {}
        self.definitions: dict[str, Unit] = {}
        self.signalled = 0.0  # up to when all signals have been sent
        self.actions: list[tuple[float, Action]] = []
        self.exited = False
        self.orders_left: int | None = None  # the manager dies after so many orders
        self.steps = 0
        self.files: dict[str, SourceFile] = {}
        self.units: UnitSet | None = None
        self._commits: dict[str, tuple[CommitMeta, UnitSet]] = {}
        self._manager = 0
        if files is not None:
            self.commit(files)

    @abstractmethod
    def perform(self, action: Action) -> None:
        """Carry out one order."""

    def commit(
        self,
        files: Mapping[str, str],
        sha: str = "",
        *,
        again: bool = False,
        incremental: bool = True,
    ) -> str:
        """Put files into the branch; the manager hears of it. Returns the commit's name."""
        self._manager += 1
        sha = sha or f"{self._manager:040x}"
        new = {path: source(path, text) for path, text in files.items()}
        meta = CommitMeta(sha, "Ann", 0.0, "change")
        changed: frozenset[str] | None = None
        if self.units is None or not incremental:
            units = load(new.values(), self.host, LoadOptions(frozenset(), False))
        else:
            edits: dict[str, SourceFile | None] = {
                path: file for path, file in new.items() if self.files.get(path) != file
            }
            edits.update({path: None for path in self.files if path not in new})
            units, changed = self.units.updated(edits)
        in_force = self.world.applied is not None and self.world.desired is self.units
        self._commits[sha] = (meta, units)
        names = foreign.names_of(units, units.units)
        heard = self._host_says(names)
        if not in_force:
            changed = None
        self.post(CommitLoaded(meta, units, changed, again=again, host_units=heard))
        if self.world.desired is units:
            self.files, self.units = new, units
        return sha

    def shutdown(self) -> None:
        """The host goes down: stop everything."""
        self.post(ShutdownAsked("SIGTERM"))

    def post(self, *events: Event) -> None:
        """News for the manager, taken in at once."""
        self.mail.extend(events)
        self.deliver()

    def run(self, seconds: float = 0.0) -> None:
        """Let time pass."""
        end = self.now + seconds
        for _ in range(100_000):
            self.deliver()
            at = self._next()
            if at is None or at > end:
                self.now = max(self.now, end)
                return
            self.now = max(self.now, at)
            if self._happenings and self._happenings[0][0] <= self.now:
                heapq.heappop(self._happenings)[2]()
            else:
                self.post(Tick())
        standing = {name: state.sub.value for name, state in self.world.units.items()}
        raise AssertionError(f"never comes to rest before {end}: {standing}")

    def settle(self, limit: float = 1000.0) -> None:
        """Let time pass until nothing more is going to happen by itself (probes apart)."""
        end = self.now + limit
        while self.mail or ((at := self._next()) is not None and at <= end):
            self.run(max(0.0, (at if (at := self._next()) is not None else self.now) - self.now))

    def _next(self) -> float | None:
        times = [self._happenings[0][0]] if self._happenings else []
        alarm = next_deadline(self.world) if self.manager_up else None
        if alarm is not None:
            times.append(alarm)
        return min(times, default=None)

    def deliver(self) -> None:
        """Have the manager take in its mail."""
        while self.mail and self.manager_up:
            self._turn(self.mail.popleft())

    def _turn(self, event: Event) -> None:
        if isinstance(event, Exited):
            event = self._completed(event)
            if self._is_present(event.process) and self._oom_kills.pop(event.process.unit, 0):
                self._turn(OutOfMemory(event.process.unit, event.process.invocation))
        orders = []
        for action in self.think(event):
            self.actions.append((self.now, action))
            if isinstance(action, Record):
                self._write(action)
            elif isinstance(action, Keep):
                self.perform(action)  # never later than the records that name it
            else:
                orders.append(action)
        for action in orders:
            if self.orders_left is not None:
                if self.orders_left == 0:
                    self.orders_left = None
                    self.signalled = math.nextafter(self.now, 0)  # not those of this turn
                    self.crash()
                    self.after(0.2, self.restart)
                    return
                self.orders_left -= 1
            self.perform(action)
        if self.manager_up and any(isinstance(x, Signal | SignalTree) for x in orders):
            self.signalled = self.now

    def think(self, event: Event) -> list[Action]:
        """What the manager orders on hearing this."""
        self.steps += 1
        return step(self.world, event, self.now)

    def _completed(self, event: Exited) -> Exited:
        empty = self._is_present(event.process) and not self.alive(event.process.unit)
        return replaced(event, tree_empty=empty)

    def _is_present(self, process: Process) -> bool:
        """Whether it is of the unit's present instance."""
        return present(self.world, process.unit, process.invocation) is not None

    def _write(self, record: Record) -> None:
        if record.value is None:
            self.disk.pop(record.key, None)
            return
        self.disk[record.key] = json.loads(json.dumps(record.value))

    # -- disasters -------------------------------------------------------------------------------

    def crash(self) -> None:
        """The manager is killed: its world, its mail and its watches are gone."""
        self.manager_up = False
        self.crashes += 1
        self.mail = deque(event for event in self.mail if isinstance(event, Notified))
        self._watches.clear()
        self._path_units.clear()
        self._probing.clear()
        self._oom_kills.clear()
        self.sockets.crash()

    def restart(self, *, again: bool = True, exits_first: bool = False) -> None:
        """A new manager comes up beside the same shim."""
        self._restore(same_boot=True, same_shim=True)
        notes, self.mail = self.mail, deque()
        for process, proc in self.shim.born.items():
            self.mail.append(Adopted(process, proc.pid, proc.started, proc.alive, proc.executed))
        for process, signals in self.shim.pending.items():
            signals.clear()  # the line that they wait at is the dead manager's
            self.mail.append(Adopted(process, 0, 0, executed=False))
        exits: list[Event] = []
        for exited in self.shim.exits.values():
            failure = self.shim.born[exited.process].failure
            exits += [exited] if failure is None else [failure, exited]
        if exits_first:
            self.mail.extend(exits)
        self.mail.append(self._holdings())
        self.mail.append(AdoptionDone(same_shim=True))
        if not exits_first:
            self.mail.extend(exits)
        # Who has ended meanwhile can be attributed to no unit any more.
        self.mail.extend(note for note in notes if self._can_be_attributed(note))
        self._load_applied(again=again)

    def new_shim(self, *, survivors: bool = True) -> None:
        """The shim is gone with the manager; its services live on, or not."""
        self.crash()
        self.mail.clear()
        if not survivors:
            for proc in self.alive():
                proc.alive = False
        self.shim = Shim()
        self._restore(same_boot=True, same_shim=False)
        living = [
            slot
            for state in self.world.units.values()
            for slot in (state.main, state.control)
            if slot is not None and slot.pid and self.procs[slot.pid].alive
        ]
        self.mail.extend(Adopted(slot.process, slot.pid, slot.start_time) for slot in living)
        self.sockets.lost()
        self.mail.append(self._holdings())
        self.mail.append(AdoptionDone(same_shim=False))
        for slot in living:
            self._adopt(slot.process, self.procs[slot.pid], slot.start_time)
        self._load_applied(again=True)

    def reboot(self) -> None:
        """The machine starts anew; the disk is all that is left."""
        self.crash()
        self.mail.clear()
        for proc in self.procs.values():
            proc.alive = False
        self._happenings.clear()
        self.shim = Shim()
        self.now = 10.0
        self._restore(same_boot=False, same_shim=False)
        self.sockets.lost()
        self.mail.append(AdoptionDone(same_shim=False))
        self._load_applied(again=True)

    def _holdings(self) -> Event:
        return self.sockets.found(n for n, state in self.world.units.items() if not state.down)

    def _can_be_attributed(self, note: Event) -> bool:
        return isinstance(note, Notified) and self.procs[note.pid].alive

    def _restore(self, *, same_boot: bool, same_shim: bool) -> None:
        self._manager += 1
        self.manager_up = True
        self.exited = False
        self.remember(same_boot=same_boot, same_shim=same_shim)

    def remember(self, *, same_boot: bool, same_shim: bool) -> None:
        """The new manager makes its world of what is on the disk."""
        seed = f"seed-{self._manager}"
        self.world = World(settings=self.settings, seed=seed, clock=self.clock)
        records = json.loads(json.dumps(self.disk))
        restore(self.world, records, self.definitions.get, same_boot=same_boot, same_shim=same_shim)
        self.world.recorded = dict(records)
        self.world.signalled = self.signalled if same_boot else 0.0
        self.world.adopting = True
        for key in records:
            kind, _, name = key.partition("/")
            if kind == "unit" and name not in self.world.units:
                self.world.dirty[name] = None

    def _load_applied(self, *, again: bool) -> None:
        applied = self.world.applied
        if applied is not None:
            meta, units = self._commits[applied.sha]
            heard = self._host_says(foreign.names_of(units, units.units))
            self.mail.append(CommitLoaded(meta, units, None, again=again, host_units=heard))
        self.deliver()
