"""The pretended kernel and shim: how processes are born, signalled and end, and who is told of it.

Births take a moment, exits stay in the shim's table until acknowledged, a cgroup tells when it is empty.
"""

from __future__ import annotations

import heapq
from abc import ABC, abstractmethod
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from gitproc.core.events import (
    Event,
    Executed,
    ExitCode,
    Exited,
    Notified,
    OutOfMemory,
    Process,
    SetupFailed,
    Slot,
    Spawned,
    SpawnFailed,
    TreeEmptied,
)
from gitproc.core.overlap import sitting
from gitproc.core.world import World
from gitproc.units import directives as d
from gitproc.units.exit_status import EXIT_STATUS_NAMES
from gitproc.units.unit import Unit
from tests.core.fake_programs import HUP, KILL, PROGRAMS, Program

BIRTH = 0.001  # seconds between the order to spawn and the process
STEP_STATUS = {step: number for number, step in EXIT_STATUS_NAMES.items() if number >= 200}


@dataclass
class Proc:
    """A process of the machine. `token` None: made by another one, unknown to the shim."""

    pid: int
    unit: str
    invocation: str
    program: Program
    parent: Proc | None = None  # None: the shim
    token: Process | None = None
    alive: bool = True
    executed: bool = False
    failure: SetupFailed | None = None
    command: str = ""
    pid_file_at: float = float("inf")

    @property
    def started(self) -> int:
        """Its start time."""
        return self.pid * 10

    @property
    def orphan(self) -> bool:
        """Whether the shim is its parent (it takes in whoever has lost his own)."""
        return self.parent is None or not self.parent.alive


@dataclass
class Shim:
    """What the parent of all services knows: its table, its unacknowledged exits."""

    born: dict[Process, Proc] = field(default_factory=dict)
    pending: dict[Process, list[int]] = field(default_factory=dict)
    exits: dict[int, Exited] = field(default_factory=dict)
    sequence: int = 0


class Processes(ABC):
    """All processes of a machine, and its clock."""

    world: World

    def __init__(self, programs: Mapping[str, Program] | None = None) -> None:
        self.now = 1000.0
        self.programs: dict[str, Program] = {**PROGRAMS, **(programs or {})}
        self.shim = Shim()
        self.procs: dict[int, Proc] = {}
        self.trees: dict[str, list[Proc]] = {}
        self.mail: deque[Event] = deque()
        self.manager_up = True
        self.held_up: dict[str, list[Callable[[], None]]] = {}  # births that wait, by unit
        self.emptied_first = False  # a tree's news overtake those of its last process
        self._watches: dict[str, str] = {}
        self._oom_kills: Counter[str] = Counter()
        self._happenings: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0
        self._pid = 100

    @abstractmethod
    def post(self, *events: Event) -> None:
        """News for the manager, taken in at once."""

    @abstractmethod
    def deliver(self) -> None:
        """Have the manager take in its mail."""

    def after(self, seconds: float, happening: Callable[[], None]) -> None:
        """Something will happen on the machine."""
        self._count += 1
        heapq.heappush(self._happenings, (self.now + seconds, self._count, happening))

    def alive(self, unit: str | None = None) -> list[Proc]:
        """Living processes."""
        some = self.procs.values() if unit is None else self.trees.get(unit, ())
        return [proc for proc in some if proc.alive]

    def _spawn(self, process: Process, unit: str, path: str, argv: Iterable[str]) -> None:
        program = self.programs[path.rpartition("/")[2]]
        if program.refused:
            self._refuse(process, program.refused)
            return
        if process in self.shim.pending:
            return
        if process in self.shim.born:
            self._announce_birth(self.shim.born[process])
            return
        self.shim.pending[process] = []
        line = as_line(argv)
        self.after(BIRTH, lambda: self._birth(process, unit, program, line))

    def _refuse(self, process: Process, step: str) -> None:
        """What the child would have ended with, if it has a number; no process comes to be."""
        if step not in STEP_STATUS:
            self.mail.append(SpawnFailed(process, step, "no"))
            return
        self.mail.append(SetupFailed(process, step, 0, "no"))
        self.mail.append(Exited(process, ExitCode.EXITED, STEP_STATUS[step]))

    def _end_strangers(self, unit: Unit) -> None:
        """Nothing goes on beside a new instance, unless KillMode= leaves it alone."""
        if unit[d.KILL_MODE].ends_all and unit[d.SEND_SIGKILL]:
            for proc in self.alive(unit.name):
                self.kill(proc, KILL)

    def _adopt(self, process: Process, proc: Proc | None, started: int) -> None:
        if (
            proc is None
            or not proc.alive
            or started not in (0, proc.started)
            or proc.token not in (None, process)
        ):
            self.mail.append(Exited(process, ExitCode.LOST, 0))
        else:
            proc.token, proc.executed = process, True
            self.shim.born[process] = proc
            self._announce_birth(proc)

    def _birth(self, process: Process, unit: str, program: Program, line: str) -> None:
        if unit in self.held_up:
            self.held_up[unit].append(lambda: self._birth(process, unit, program, line))
            return
        signals = self.shim.pending.pop(process, None)
        if signals is None:
            return  # its shim is gone
        proc = self._new(unit, process.invocation, program)
        proc.token, proc.command = process, line
        self.shim.born[process] = proc
        self._announce_birth(proc)
        if program.setup_error:
            proc.failure = SetupFailed(process, program.setup_error, 2, "No such file")
            self.tell_shim(proc.failure)
            self._die(proc, ExitCode.EXITED, STEP_STATUS[program.setup_error])
            return
        proc.executed = True
        self.tell_shim(Executed(process))
        self._begin(proc)
        for signal in signals:
            self.kill(proc, signal)

    def _announce_birth(self, proc: Proc) -> None:
        assert proc.token is not None
        self.tell_shim(Spawned(proc.token, proc.pid, proc.started))
        if proc.executed:
            self.tell_shim(Executed(proc.token))
        elif proc.failure is not None:
            self.tell_shim(proc.failure)

    def tell_shim(self, event: Event) -> None:
        """The shim sends news; nobody is there to hear it if the manager is down."""
        if self.manager_up:
            self.mail.append(event)

    def _new(
        self, unit: str, invocation: str, program: Program, parent: Proc | None = None
    ) -> Proc:
        self._pid += 1
        proc = self.procs[self._pid] = Proc(self._pid, unit, invocation, program, parent)
        self.trees.setdefault(unit, []).append(proc)
        return proc

    def _begin(self, proc: Proc) -> None:
        program = proc.program
        for child in program.children:
            self._begin(self._new(proc.unit, proc.invocation, child, proc))
        if program.ready is not None:
            self.after(program.ready, lambda: self.say(proc, READY="1"))
        if program.beats:
            self._beat(proc)
        if program.lasts != float("inf"):
            self.after(program.lasts, lambda: self._finish(proc))

    def _beat(self, proc: Proc) -> None:
        if proc.alive:
            self.say(proc, WATCHDOG="1")
            self.after(proc.program.beats, lambda: self._beat(proc))

    def _reload(self, proc: Proc, takes: float) -> None:
        self.say(proc, RELOADING="1", MONOTONIC_USEC=str(round(self.now * 1e6)))
        self.after(takes, lambda: self.say(proc, READY="1"))

    def _finish(self, proc: Proc) -> None:
        """A process has done what it does."""
        program = proc.program
        if program.out_of_memory:
            self.run_out_of_memory(proc)
        elif program.dies_of:
            code = ExitCode.DUMPED if program.dumps else ExitCode.KILLED
            self._die(proc, code, program.dies_of)
        else:
            self._die(proc, ExitCode.EXITED, program.status)

    def run_out_of_memory(self, proc: Proc) -> None:
        """The OOM killer ends a process. At once told of where there is a limit, else with the next exit."""
        state = sitting(self.world, proc.unit)
        if state is not None and state.unit is not None and state.unit.has(d.MEMORY_MAX):
            self.tell_shim(OutOfMemory(proc.unit, proc.invocation))
        else:
            self._oom_kills[proc.unit] += 1
        self._die(proc, ExitCode.KILLED, KILL)

    def say(self, proc: Proc, **fields: str) -> None:
        """A process sends a datagram to the notify socket; the socket outlives the manager."""
        if proc.alive:
            self.mail.append(Notified(proc.unit, proc.invocation, proc.pid, tuple(fields.items())))

    def kill(self, proc: Proc, signal: int) -> None:
        """A signal reaches a process."""
        program = proc.program
        if not proc.alive or (signal in program.ignores and signal != KILL) or not signal:
            return
        if signal == program.says_on:
            self.say(proc, READY="1")
            return
        if signal == HUP and program.reloads is not None:
            self._reload(proc, program.reloads)
            return
        wait = 0.0 if signal == KILL else program.takes
        if program.on_signal is not None and signal != KILL:
            status = program.on_signal
            self.after(wait, lambda: self._die(proc, ExitCode.EXITED, status))
        else:
            self.after(wait, lambda: self._die(proc, ExitCode.KILLED, signal))

    def exit(self, proc: Proc, status: int = 0) -> None:
        """A process ends by itself."""
        self._die(proc, ExitCode.EXITED, status)
        self.deliver()

    def _die(self, proc: Proc, code: ExitCode, status: int) -> None:
        if not proc.alive:
            return
        proc.alive = False
        if proc.program.daemon is not None and code is ExitCode.EXITED and not status:
            daemon = self._new(proc.unit, proc.invocation, proc.program.daemon)
            if proc.program.pid_file is not None:
                daemon.pid_file_at = self.now + proc.program.pid_file
            else:
                daemon.pid_file_at = float("inf")
            self._begin(daemon)
        if self.emptied_first:
            self._look_empty(proc.unit)
        if proc.token is not None and self.shim.born.get(proc.token) is proc:
            self.shim.sequence += 1
            exited = Exited(proc.token, code, status, self.shim.sequence)
            self.shim.exits[self.shim.sequence] = exited
            self.tell_shim(exited)
        self._look_empty(proc.unit)

    def _look_empty(self, unit: str) -> None:
        if unit in self._watches and not self.alive(unit):
            self.mail.append(TreeEmptied(unit, self._watches.pop(unit)))

    def doubles(self) -> list[str]:
        """Units of which two instances have a living main process."""
        mains = {
            (p.unit, p.invocation)
            for p in self.alive()
            if p.token is not None and p.token.slot is Slot.MAIN
        }
        return [name for name, count in Counter(unit for unit, _ in mains).items() if count > 1]


def as_line(argv: Iterable[str]) -> str:
    first, *rest = argv
    return " ".join((first.rpartition("/")[2], *rest))
