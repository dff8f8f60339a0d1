"""The pretended machine, without a manager of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gitproc.core.actions import Action
from gitproc.core.events import Event, Process
from gitproc.units.unit import Unit
from tests.contract.programs import DOUBLES
from tests.contract.surroundings import Surroundings
from tests.core.fake_kernel import Machine

LIMIT = 30.0  # seconds of its clock
STEP = 0.005


class _Mindless(Machine):
    """A machine whose manager passes on what it hears."""

    def __init__(self, owner: Fake) -> None:
        super().__init__(programs={name: double.program for name, double in DOUBLES.items()})
        self._owner = owner
        self.world = owner.world

    def think(self, event: Event) -> list[Action]:
        self._owner.take(event)
        return []

    def remember(self, *, same_boot: bool, same_shim: bool) -> None:
        self.world = self._owner.world


class Fake(Surroundings):
    """`tests.core.fake_kernel`, by the contract."""

    programs = "/bin"
    here = "/run"
    address = "127.0.0.1:1"

    def __init__(self) -> None:
        super().__init__()
        self.machine = _Mindless(self)
        self.machine.healthy["a.service"] = False

    def perform(self, action: Action) -> None:
        self.machine.perform(action)

    def until(self, check: Callable[[], Any], what: str) -> None:
        end = self.machine.now + LIMIT
        self.machine.run()
        while not check():
            assert self.machine.now < end, f"never came true: {what}; {self.news}"
            self.machine.run(STEP)

    def crash(self) -> None:
        self.machine.crash()

    def restart(self) -> None:
        self.machine.restart()

    def lose_shim(self) -> None:
        self.machine.new_shim()

    def prepared(self, process: Process) -> None:
        pass

    def reaped(self, pid: int) -> None:
        assert not self.machine.procs[pid].alive

    def alone(self, process: Process) -> None:
        pass

    def hold_up(self, unit: Unit) -> None:
        self.machine.held_up[unit.name] = []

    def let_go(self, unit: Unit) -> None:
        for birth in self.machine.held_up.pop(unit.name):
            birth()

    def mark(self, there: bool) -> None:
        (self.machine.unmet.discard if there else self.machine.unmet.add)(f"{self.here}/mark")

    def connect(self, unit: Unit) -> None:
        self.machine.sockets.connect(unit.name)
        self.machine.deliver()

    def occupy(self, unit: Unit) -> None:
        self.machine.sockets.taken.add(unit.name)

    def healthy(self, unit: Unit) -> None:
        self.machine.healthy[unit.name] = True
