"""A machine for the core alone: clock, processes, shim, cgroups and disk, all pretended and deterministic.

`Machine` hands events to `step` and carries out what comes back, as the daemon, the shim and the kernel
would: births take a moment, exits stay in the shim's table until acknowledged, a cgroup tells when it is
empty, only what was recorded survives a crash of the manager. What a command does is a `Program`, found by
the base name of its path; `/bin/run` runs until it is signalled, `/bin/true` and `/bin/false` end at once.
"""

from __future__ import annotations

import heapq
import json
import math
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from zoneinfo import ZoneInfo

from gitproc.core import foreign
from gitproc.core.actions import (
    Acknowledge,
    Action,
    Adopt,
    Announce,
    AskHostUnits,
    CheckConditions,
    Exit,
    FindMain,
    GoBack,
    Keep,
    Probe,
    Publish,
    Record,
    Release,
    Reply,
    Signal,
    SignalTree,
    Spawn,
    UnwatchPaths,
    WatchPaths,
    WatchTree,
)
from gitproc.core.checked import Finding
from gitproc.core.clock import Clock
from gitproc.core.events import (
    Adopted,
    AdoptionDone,
    CommitLoaded,
    CommitMeta,
    ConditionsChecked,
    Event,
    Executed,
    ExitCode,
    Exited,
    HostUnitsSeen,
    MainFound,
    Notified,
    OperatorAsked,
    OutOfMemory,
    ProbeFailed,
    ProbeSucceeded,
    Process,
    SetupFailed,
    ShutdownAsked,
    Slot,
    Spawned,
    SpawnFailed,
    Tick,
    TreeEmptied,
    Verb,
)
from gitproc.core.host_unit import HostUnit
from gitproc.core.occasions import PathsSeen
from gitproc.core.records import restore
from gitproc.core.socket_orders import SocketOrder
from gitproc.core.step import next_deadline, step
from gitproc.core.unit_state import UnitState
from gitproc.core.world import Settings, World
from gitproc.units import directives as d
from gitproc.units.conditions import conditions_of
from gitproc.units.exit_status import EXIT_STATUS_NAMES
from gitproc.units.loader import LoadOptions, SourceFile, UnitSet, load
from gitproc.units.specifiers import Host
from gitproc.units.trigger_rules import watches
from gitproc.units.unit import Unit
from tests.core.fake_sockets import FakeSockets
from tests.units.trees import HOST, source

BIRTH = 0.001  # seconds between the order to spawn and the process
INSTANT = 0.01  # seconds that a command takes that only does something short
KILL, TERM = 9, 15
STEP_STATUS = {step: number for number, step in EXIT_STATUS_NAMES.items() if number >= 200}


@dataclass(frozen=True)
class Program:
    """What a command does. Times in seconds after its exec, or after the signal."""

    lasts: float = float("inf")
    status: int = 0
    dies_of: int = 0
    ready: float | None = None  # says READY=1
    ignores: frozenset[int] = frozenset()
    takes: float = 0.0  # from a signal to the end
    on_signal: int | None = None  # exit status after a signal; None: dies of it
    daemon: Program | None = None  # what goes on when this one (a parent that forks) has ended
    pid_file: float | None = None  # the daemon writes it, after its parent's end
    children: tuple[Program, ...] = ()
    setup_error: str = ""  # the step that fails before exec
    refused: str = ""  # no process can be made at all
    dumps: bool = False  # core, where it dies of a signal
    out_of_memory: bool = False  # it is the OOM killer that ends it
    says_on: int = 0  # the signal that has it say READY=1


RUN = Program()
PROGRAMS: Mapping[str, Program] = {
    "run": RUN,
    "true": Program(lasts=INSTANT),
    "false": Program(lasts=INSTANT, status=1),
    "stubborn": Program(ignores=frozenset({TERM})),
    "slow": Program(takes=3.0, on_signal=0),
    "notify": Program(ready=1.0),
    "mute": Program(),
    "crash": Program(lasts=0.05, status=3),
    "forks": Program(lasts=INSTANT, daemon=RUN, pid_file=0.02),
    "missing": Program(setup_error="EXEC"),
    "refused": Program(refused="RESOURCES"),
    "nobody": Program(refused="USER"),
    "brood": Program(children=(RUN, RUN)),
}


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


class Machine:
    """The pretended machine, its manager, and everything that was seen to happen."""

    def __init__(
        self,
        files: Mapping[str, str] | None = None,
        programs: Mapping[str, Program] | None = None,
        settings: Settings | None = None,
        host: Host = HOST,
    ) -> None:
        self.now = 1000.0
        self.host = host
        self.settings = settings or Settings()
        self.programs: dict[str, Program] = {**PROGRAMS, **(programs or {})}
        self.healthy: dict[str, bool] = {}
        self.clock = Clock(zones=lambda name: ZoneInfo(name or "UTC"))
        self.world = World(settings=self.settings, seed="seed-0", clock=self.clock)
        self.shim = Shim()
        self.procs: dict[int, Proc] = {}
        self.trees: dict[str, list[Proc]] = {}
        self.mail: deque[Event] = deque()
        self.disk: dict[str, Any] = {}
        self.definitions: dict[str, Unit] = {}
        self.signalled = 0.0  # up to when all signals have been sent
        self.actions: list[tuple[float, Action]] = []
        self.replies: dict[int, dict[str, dict[str, Any]]] = {}
        self.unmet: set[str] = set()
        self.published = ""
        self.guesses = True  # which process of a tree is the main one can be told
        self.host_units: dict[str, HostUnit] | None = None  # what the host's systemd has
        self.host_silent = False
        self.host_asked = 0
        self.exited = False
        self.manager_up = True
        self.orders_left: int | None = None  # the manager dies after so many orders
        self.steps = 0
        self.files: dict[str, SourceFile] = {}
        self.units: UnitSet | None = None
        self.held_up: dict[str, list[Callable[[], None]]] = {}  # births that wait, by unit
        self.emptied_first = False  # a tree's news overtake those of its last process
        self.sockets = FakeSockets(lambda event: self.mail.append(event), self.after)  # noqa: PLW0108 -- replaced
        self._watches: dict[str, str] = {}
        self.paths: dict[str, str] = {}  # what exists: path -> mark
        self._path_units: dict[str, tuple[Unit, str]] = {}
        self._probing: dict[str, str] = {}
        self._oom_kills: Counter[str] = Counter()
        self._happenings: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0
        self._pid = 100
        self._request = 0
        self._commits: dict[str, tuple[CommitMeta, UnitSet]] = {}
        self._manager = 0
        if files is not None:
            self.commit(files)

    # -- what tests ask --------------------------------------------------------------------------

    def state(self, name: str) -> UnitState:
        """The state of a unit; a fresh one if the world has none."""
        return self.world.units.get(name) or UnitState(name)

    def sub(self, name: str) -> str:
        """The sub-state of a unit."""
        return self.state(name).sub.value

    def subs(self, *names: str) -> dict[str, str]:
        """The sub-states of units, or of all services."""
        chosen = names or sorted(n for n in self.world.units if n.endswith(".service"))
        return {name: self.sub(name) for name in chosen}

    def told(self, kind: str = "", unit: str | None = None) -> list[str]:
        """What was announced, as `kind unit: message`."""
        return [
            f"{a.kind} {a.unit}: {a.message}"
            for _, a in self.actions
            if isinstance(a, Announce) and a.kind.startswith(kind) and unit in (None, a.unit)
        ]

    def spawns(self, unit: str | None = None) -> list[str]:
        """The commands ordered, by base name and arguments."""
        return [
            _line(a.command.argv)
            for _, a in self.actions
            if isinstance(a, Spawn) and unit in (None, a.unit.name)
        ]

    def orders(self, kind: type[Action], unit: str | None = None) -> list[Any]:
        """All orders of one class (about one unit)."""
        found = []
        for _, action in self.actions:
            if not isinstance(action, kind):
                continue
            owner = getattr(action, "process", None) or getattr(action, "unit", None)
            name = (
                owner
                if isinstance(owner, str)
                else getattr(owner, "unit", None) or getattr(owner, "name", None)
            )
            if unit in (None, name):
                found.append(action)
        return found

    def alive(self, unit: str | None = None) -> list[Proc]:
        """Living processes."""
        some = self.procs.values() if unit is None else self.trees.get(unit, ())
        return [proc for proc in some if proc.alive]

    def main(self, unit: str) -> Proc:
        """The main process of a unit."""
        running = self.state(unit).main
        assert running is not None, f"{unit} has no main process"
        return self.procs[running.pid]

    def verdict(self, sha: str) -> str | None:
        """What became of a commit."""
        return self.world.verdicts.get(sha)

    # -- what happens ----------------------------------------------------------------------------

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

    def ask(self, verb: Verb, *names: str, signal: int = TERM, whom: str = "all") -> int:
        """An operator asks; returns the number of the request."""
        self._request += 1
        self.post(OperatorAsked(verb, names, self._request, "op", signal, whom, 0.0))
        return self._request

    def answer(self, request: int, name: str) -> str:
        """The result that a request got for a unit; empty while there is none."""
        outcome = self.replies.get(request, {}).get(name)
        return str(outcome["result"]) if outcome else ""

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
        raise AssertionError(f"never comes to rest before {end}: {self.subs()}")

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
        return replace(event, tree_empty=empty)

    def _is_present(self, process: Process) -> bool:
        """Whether it is of the unit's present instance."""
        state = self.world.units.get(process.unit)
        return state is not None and state.invocation == process.invocation

    def _write(self, record: Record) -> None:
        if record.value is None:
            self.disk.pop(record.key, None)
            return
        self.disk[record.key] = json.loads(json.dumps(record.value))

    # -- orders ----------------------------------------------------------------------------------

    def perform(self, action: Action) -> None:
        """Carry out one order."""
        if isinstance(action, SocketOrder):
            self.sockets.perform(action)
            return
        match action:
            case Keep(unit):
                self.definitions[unit.fingerprint] = unit
            case Spawn(process, unit, command, _, first):
                self.definitions[unit.fingerprint] = unit
                if first:
                    self._end_strangers(unit)
                self._spawn(process, unit.name, command.path, command.argv)
            case Signal(process, signal):
                if process in self.shim.born:
                    self.kill(self.shim.born[process], signal)
                elif process in self.shim.pending:
                    self.shim.pending[process].append(signal)
            case SignalTree(unit_name, _, signal, spare):
                for proc in self.alive(unit_name):
                    if proc.pid not in spare:
                        self.kill(proc, signal)
            case WatchTree(unit_name, invocation):
                self._watches[unit_name] = invocation
                self._look_empty(unit_name)
            case FindMain(unit, invocation):
                self.mail.append(self._find_main(unit, invocation))
            case Adopt(process, pid, start):
                self._adopt(process, self.procs.get(pid), start)
            case Release(unit):
                self.sockets.close(unit.name)
                self._watches.pop(unit.name, None)
                self._probing.pop(unit.name, None)
            case Probe(unit, invocation):
                self._begin_probe(unit.name, invocation)
            case CheckConditions(unit, invocation):
                self.after(INSTANT, lambda: self._check(unit, invocation))
            case WatchPaths(unit, invocation):
                self._path_units[unit.name] = (unit, invocation)
                self._look_at_paths(unit.name, begun=True)
            case UnwatchPaths(unit_name):
                self._path_units.pop(unit_name, None)
            case Publish(sha):
                self.published = sha
            case Reply(request, outcomes):
                assert request not in self.replies, "answered twice"
                self.replies[request] = dict(outcomes)
            case Acknowledge(sequence):
                exited = self.shim.exits.pop(sequence, None)
                if exited is not None:
                    del self.shim.born[exited.process]
            case Exit():
                self.exited = True
            case AskHostUnits(names):
                self.after(INSTANT, lambda: self._answer_host(names))
            case GoBack(to):
                meta, units = self._commits[to.sha]
                self.mail.append(CommitLoaded(meta, units, again=True, stand_in=True))
            case _:  # told to people, or kept by the turn
                pass

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
        line = _line(argv)
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
        if program.lasts != float("inf"):
            self.after(program.lasts, lambda: self._finish(proc))

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
        state = self.world.units.get(proc.unit)
        if state is not None and state.unit is not None and state.unit.has(d.MEMORY_MAX):
            self.tell_shim(OutOfMemory(proc.unit, proc.invocation))
        else:
            self._oom_kills[proc.unit] += 1
        self._die(proc, ExitCode.KILLED, KILL)

    def write(self, path: str, mark: str, *, closed: bool = True) -> None:
        """A path comes to be, is written (and closed), or goes (an empty mark)."""
        old = self.paths.get(path, "")
        self.paths[path] = mark
        for name, (unit, _) in tuple(self._path_units.items()):
            for number, (row, watched) in enumerate(watches(unit)):
                if watched == path:
                    told = bool(old and mark and closed) and "Exists" not in row.name
                    self._look_at_paths(name, frozenset({number}) if told else frozenset())
        self.deliver()

    def _look_at_paths(
        self, name: str, changed: frozenset[int] = frozenset(), *, begun: bool = False
    ) -> None:
        unit, invocation = self._path_units[name]
        marks = tuple(self.paths.get(path, "") for _, path in watches(unit))
        self.mail.append(PathsSeen(name, invocation, marks, changed, begun))

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

    def _check(self, unit: Unit, invocation: str) -> None:
        """What is tested holds unless `unmet` has it."""
        if not self.manager_up:
            return
        findings = []
        for one in conditions_of(unit.values):
            holds = one.parameter not in self.unmet
            findings.append(Finding(str(one), holds is not one.negate, one.trigger))
        self.mail.append(ConditionsChecked(unit.name, invocation, tuple(findings), 1e9 + self.now))

    def _find_main(self, unit: Unit, invocation: str) -> MainFound:
        alive = self.alive(unit.name)
        if unit[d.PID_FILE]:
            found = [proc for proc in alive if proc.pid_file_at <= self.now]
        else:
            found = [proc for proc in alive if proc.orphan] if unit[d.GUESS_MAIN_PID] else []
        if len(found) == 1 and self.guesses:
            return MainFound(unit.name, invocation, found[0].pid, found[0].started)
        return MainFound(unit.name, invocation, None, message="no PID file")

    def _begin_probe(self, unit: str, invocation: str) -> None:
        running = self._probing.get(unit)
        if running != invocation:
            self._probing[unit] = invocation
            self.after(INSTANT, lambda: self._probe(unit, invocation))

    def _probe(self, unit: str, invocation: str) -> None:
        if self._probing.get(unit) != invocation:
            return  # taken back
        del self._probing[unit]
        if self.healthy.get(unit, True):
            self.mail.append(ProbeSucceeded(unit, invocation))
        else:
            self.mail.append(ProbeFailed(unit, invocation, "HTTP 500"))

    def _host_says(self, names: Iterable[str]) -> dict[str, HostUnit] | None:
        if self.host_units is None:
            return None
        absent = HostUnit("not-found", "inactive")
        return {name: self.host_units.get(name, absent) for name in names}

    def _answer_host(self, names: Iterable[str]) -> None:
        self.host_asked += 1
        if self.host_silent:
            self.post(HostUnitsSeen({}, "no answer"))
        else:
            self.post(HostUnitsSeen(self._host_says(names) or {}))

    def after(self, seconds: float, happening: Callable[[], None]) -> None:
        """Something will happen on the machine."""
        self._count += 1
        heapq.heappush(self._happenings, (self.now + seconds, self._count, happening))

    # -- disasters -------------------------------------------------------------------------------

    def crash(self) -> None:
        """The manager is killed: its world, its mail and its watches are gone."""
        self.manager_up = False
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
        self.mail.append(self.sockets.found())
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
        self.mail.append(self.sockets.found())
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

    # -- what must always hold -------------------------------------------------------------------

    def doubles(self) -> list[str]:
        """Units of which two instances have a living main process."""
        mains = {
            (p.unit, p.invocation)
            for p in self.alive()
            if p.token is not None and p.token.slot is Slot.MAIN
        }
        return [name for name, count in Counter(unit for unit, _ in mains).items() if count > 1]


def _line(argv: Iterable[str]) -> str:
    first, *rest = argv
    return " ".join((first.rpartition("/")[2], *rest))


def service(*lines: str, unit: str = "", install: bool = True, own: str = "") -> str:
    """The text of a service: [Service] lines; `ExecStart=/bin/run` unless they say otherwise."""
    body = list(lines)
    if not any(line.startswith("ExecStart=") for line in body):
        body.insert(0, "ExecStart=/bin/run")
    text = f"[Unit]\n{unit}\n[Service]\n" + "\n".join(body) + "\n"
    if own:
        text += f"[X-GitProc]\n{own}\n"
    if install:
        text += "[Install]\nWantedBy=multi-user.target\n"
    return text
