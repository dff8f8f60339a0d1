"""The contract's view of a machine: orders go in, news come out; the test is the manager's mind.

`Surroundings` holds what pretended and real machine have in common: tokens, the list of news, waiting, and
as much of a world as performing orders asks for (which instance a unit has, and its main process).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, TypeVar

from gitproc.core.actions import Acknowledge, Action, Signal, SignalTree, Spawn
from gitproc.core.events import Adopted, Event, Executed, Exited, Process, Slot, Spawned
from gitproc.core.unit_state import Running, UnitState
from gitproc.core.world import World
from gitproc.units import directives as d
from gitproc.units.unit import Unit
from tests.contract.programs import DOUBLES
from tests.units.trees import tree

E = TypeVar("E")


class Surroundings(ABC):
    """One machine with one shim, and a manager that only hears and obeys."""

    programs = ""  # the folder that ExecStart= names
    here = ""  # what scripts know as $HERE
    address = ""  # of health probes
    dumps_core = True  # the kernel writes core files into working directories

    def __init__(self) -> None:
        self.world = World()
        self.news: list[Event] = []
        self._serial = 0
        self._instances = 0

    # -- what a machine does in its own way ----------------------------------------------------------

    @abstractmethod
    def perform(self, action: Action) -> None:
        """Carry out one order."""

    @abstractmethod
    def until(self, check: Callable[[], Any], what: str) -> None:
        """Let time pass until it is so; AssertionError after a deadline."""

    @abstractmethod
    def crash(self) -> None:
        """The manager is gone; shim and services go on."""

    @abstractmethod
    def restart(self) -> None:
        """Another manager comes up beside the same shim, and adopts."""

    @abstractmethod
    def lose_shim(self) -> None:
        """Manager and shim are killed; others take their place, and adopt what survives."""

    @abstractmethod
    def prepared(self, process: Process) -> None:
        """Wait until its program is done with its preparations."""

    @abstractmethod
    def reaped(self, pid: int) -> None:
        """Wait until nothing is left of a process that has ended, not even its status."""

    @abstractmethod
    def alone(self, process: Process) -> None:
        """Wait until nobody else of its tree lives: whoever is killed takes a moment to go."""

    @abstractmethod
    def hold_up(self, unit: Unit) -> None:
        """Whatever is made in its tree from now on comes to nothing: not even a mini-init to its announcement."""

    @abstractmethod
    def let_go(self, unit: Unit) -> None:
        """It goes on."""

    @abstractmethod
    def healthy(self, unit: Unit) -> None:
        """Something listens at `address` from now on."""

    @abstractmethod
    def mark(self, there: bool) -> None:
        """The file `mark` in `here` comes, or goes."""

    @abstractmethod
    def connect(self, unit: Unit) -> None:
        """Somebody connects to a socket unit."""

    @abstractmethod
    def occupy(self, unit: Unit) -> None:
        """Somebody else listens at `address`, as this socket unit is to."""

    # -- units and tokens ----------------------------------------------------------------------------

    def unit(self, program: str, *lines: str, name: str = "a.service") -> Unit:
        """A service that runs a program of `programs.DOUBLES`."""
        body = "\n".join((f"Environment=HERE={self.here}", *DOUBLES[program].lines, *lines))
        text = f"[Service]\nExecStart={self.programs}/{program}\n{body}\n"
        found = tree({name: text})
        assert name in found.units, found.diagnostics
        return found.units[name]

    def socket(self, *lines: str, name: str = "a.socket") -> Unit:
        """A socket unit that listens in `here`; nothing serves it."""
        body = "\n".join((f"ListenStream={self.here}/{name}", *lines))
        service = f"{name.removesuffix('.socket')}{'@' * ('Accept=yes' in lines)}.service"
        texts = {name: f"[Socket]\n{body}\n", service: "[Service]\nExecStart=/bin/true\n"}
        found = tree(texts)
        assert name in found.units, found.diagnostics
        return found.units[name]

    def instance(self, unit: Unit) -> str:
        """A new invocation of it."""
        self._instances += 1
        invocation = f"{self._instances:032x}"
        self.world.units[unit.name] = UnitState(unit.name, unit=unit, invocation=invocation)
        return invocation

    def invocation(self, unit: Unit) -> str:
        """The present one."""
        return self.world.units[unit.name].invocation

    def token(self, unit: Unit, slot: Slot = Slot.MAIN) -> Process:
        """A new token of the present instance."""
        self._serial += 1
        return Process(unit.name, self.invocation(unit), slot, self._serial, unit.fingerprint)

    # -- orders --------------------------------------------------------------------------------------

    def order(self, *actions: Action) -> None:
        """Give orders."""
        for action in actions:
            self.perform(action)

    def spawn(self, unit: Unit, *, process: Process | None = None) -> Process:
        """Order the first process of a new instance, or one of the present one, by its token."""
        first = process is None
        if process is None:
            self.instance(unit)
            process = self.token(unit)
            self.world.units[unit.name].main = Running(process, 0, 0)
        self.order(Spawn(process, unit, unit[d.EXEC_START][0], (), first))
        return process

    def start(self, unit: Unit) -> Process:
        """Order it, and wait until it is prepared."""
        process = self.spawn(unit)
        self.one(Executed, process)
        self.prepared(process)
        return process

    def kill(self, process: Process, signal: int) -> Exited:
        """Signal it; how it ended."""
        self.order(Signal(process, signal))
        return self.one(Exited, process)

    def kill_tree(self, unit: Unit, signal: int, spare: tuple[int, ...] = ()) -> None:
        """Signal all of it."""
        self.order(SignalTree(unit.name, self.invocation(unit), signal, spare))

    def acknowledge(self, exited: Exited) -> None:
        """It is safe on disk."""
        self.order(Acknowledge(exited.sequence))

    # -- news ----------------------------------------------------------------------------------------

    def take(self, event: Event) -> None:
        """Something happened."""
        self.news.append(event)
        if isinstance(event, Spawned | Adopted):
            state = self.world.units.get(event.process.unit)
            if state is not None and state.main is not None and state.main.process == event.process:
                state.main.pid, state.main.start_time = event.pid, event.start_time

    def all(self, kind: type[E], of: Process | Unit | None = None) -> list[E]:
        """The news of one kind (about a process, or an instance's) so far."""
        return [
            event
            for event in self.news
            if isinstance(event, kind)
            and (
                of is None
                or getattr(event, "process", None) == of
                or (isinstance(of, Unit) and getattr(event, "unit", None) == of.name)
            )
        ]

    def one(self, kind: type[E], of: Process | Unit | None = None) -> E:
        """Wait for the first news of this kind."""
        self.until(lambda: self.all(kind, of), f"{kind.__name__} of {of}")
        return self.all(kind, of)[0]

    def kinds(self, process: Process) -> list[type[Event]]:
        """What was said of a process, in order."""
        return [type(e) for e in self.news if getattr(e, "process", None) == process]

    def forget(self) -> None:
        """What was said so far is of no interest any more."""
        self.news.clear()

    def let_pass(self) -> None:
        """Have come in whatever was on its way: another unit's process lives and dies meanwhile."""
        other = self.unit("true", name="passer-by.service")
        self.acknowledge(self.one(Exited, self.spawn(other)))
