"""A machine that checks each order as it is given: whether it may be, as things stand."""

from __future__ import annotations

from collections import defaultdict

from gitproc.core.actions import Action, Announce, CheckConditions, Spawn
from gitproc.core.events import (
    AdoptionDone,
    ConditionsChecked,
    Event,
    Slot,
    Verb,
)
from gitproc.core.states import DOWN, STARTING, STOPPING, UP, SubState
from gitproc.core.unit_state import UnitState
from gitproc.core.world import Settings
from gitproc.units import directives as d
from gitproc.units.conditions import conditions_of
from gitproc.units.loader import UnitSet
from gitproc.units.service_types import ServiceType
from gitproc.units.unit import Unit
from tests.core.drawn import EXTRA, GUEST, NAMES, TALE, TARGET
from tests.core.fake_kernel import Machine
from tests.core.oracle import Oracle


class Fault(AssertionError):
    """Something that must always hold did not."""


class OrderWatcher(Machine):
    """A machine that checks each order as it is given."""

    everyone = frozenset((*NAMES, TARGET, GUEST))

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.oracle = Oracle({})
        self._seen: UnitSet | None = None
        self._repeating = False  # orders that a crash swallowed, decided before it
        self.excused: set[str] = set(self.everyone)
        self.causes = 0  # counts what came from outside
        self.stops: dict[str, int] = {}
        self.births: dict[str, list[str]] = defaultdict(list)
        self.tale: dict[str, list[str]] = defaultdict(list)  # of each unit's ups and downs
        self.began: set[str] = set()
        self.ran: set[str] = set()
        self.found: dict[tuple[str, str], bool] = {}  # of the tests before a start: all well
        self.denied: set[str] = set()  # invocations
        self.skipped: set[str] = set()
        self.requests: list[tuple[int, Verb, str]] = []
        super().__init__(programs=EXTRA, settings=Settings())
        self.emptied_first = bool(seed % 2)  # nobody promises an order

    def fail(self, text: str) -> None:
        raise Fault(f"seed {self.seed}, at {self.now:.3f}: {text}\n  {self.subs()}")

    def crash(self) -> None:
        super().crash()
        self.requests.clear()  # nobody waits for an answer of the one that died

    # -- looking at orders -----------------------------------------------------------------------

    def _turn(self, event: Event) -> None:
        self._repeating = isinstance(event, AdoptionDone)
        if isinstance(event, ConditionsChecked):
            well = all(finding.met for finding in event.findings)
            self.found[event.unit, event.invocation] = well
        before, same = len(self.actions), self.world.desired
        super()._turn(event)
        if self.manager_up and self.world.knowing and self.world.desired is same:
            self._check_ends([action for _, action in self.actions[before:]])
        if self.world.desired is not None and self.world.desired is not self._seen:
            self._seen = self.world.desired
            guest = self._seen.resolve(GUEST)
            units = {**self._seen.units, **({GUEST: guest} if guest is not None else {})}
            self.oracle = Oracle(units)
        if self.doubles():
            self.fail(f"two instances of {self.doubles()}")

    def perform(self, action: Action) -> None:
        match action:
            case Spawn(process, unit, command) if process.slot is not Slot.HEALTH:
                if command.path == "/bin/deny":
                    self.denied.add(process.invocation)
                elif process.slot is Slot.MAIN and process.invocation in self.denied:
                    self.fail(f"{unit.name} runs, and ExecCondition= forbids it")
                self._begins(unit, process.invocation)
                if process.invocation not in self.ran:
                    self.ran.add(process.invocation)
                    found = self.found.get((unit.name, process.invocation))
                    if conditions_of(unit.values) and not (found or self._repeating):
                        self.fail(f"{unit.name} begins before its conditions are known to hold")
                if process not in self.shim.born and process not in self.shim.pending:
                    self.births[unit.name].append(action.command.path)
            case CheckConditions(unit, invocation):
                self._begins(unit, invocation)
            case Announce("unit.skipped", name):
                self.skipped.add(name)
            case Announce(kind, name) if kind in TALE:
                self.skipped.discard(name)
                if kind == "unit.stopping":
                    self._check_stop(name)
                self.tale[name].append(kind)
            case _:
                pass
        super().perform(action)

    def _begins(self, unit: Unit, invocation: str) -> None:
        """The first order for an instance: it has been decided that it may start."""
        if invocation not in self.began:
            self.began.add(invocation)
            if not self._repeating and unit[d.TYPE] is not ServiceType.IDLE:
                self._check_start(unit)

    def standing(self, name: str) -> UnitState | None:
        """Where a unit stands that another one needs."""
        return self.world.units.get(name)

    def _check_start(self, unit: Unit) -> None:
        name = unit.name
        units = self.world.units
        oracle = Oracle({**(self.world.desired.units if self.world.desired else {}), name: unit})
        for other in oracle.needs[name] & oracle.after[name]:
            state = self.standing(other)
            if other in self.skipped and other not in oracle.bound[name] | oracle.requisite[name]:
                continue
            if state is None or not (state.sub in UP or state.finished):
                self.fail(f"{name} starts before {other}, which it needs and comes after, is up")
        for other in oracle.requisite[name]:
            if self.state(other).sub not in UP:
                self.fail(f"{name} starts, and {other}, which must be up already, is not")
        for other in oracle.after[name]:
            state = units.get(other)
            late = state is not None and state.activation is not None and state.entered == self.now
            if late:
                continue  # it was triggered in the same step, when this had been decided
            if state is not None and state.sub in STARTING | STOPPING:
                self.fail(f"{name} starts while {other}, which it comes after, is {state.sub}")
        for other in oracle.rivals[name]:
            state = units.get(other)
            if state is not None and state.sub not in DOWN:
                self.fail(f"{name} starts while its rival {other} is {state.sub}")

    def _check_ends(self, news: list[Action]) -> None:
        """Who is named by one that has failed for good is on its way, or it is said why not."""
        told = [(a.kind, a.unit) for a in news if isinstance(a, Announce)]
        for kind, name in told:
            if kind != "unit.failed" or self.world.stopping:
                continue
            for other in self.oracle.on_failure[name]:
                state = self.state(other)
                if state.sub in DOWN - {SubState.AUTO_RESTART} and state.activation is None:
                    unit = self.world.wanted_unit(other)
                    due = unit is not None and state.done != unit.fingerprint
                    if not due and {
                        ("unit.not-triggered", other),
                        ("unit.failed", other),
                    }.isdisjoint(told):
                        self.fail(f"{name} failed, and {other} hears nothing of it")

    def _check_stop(self, name: str) -> None:
        if name not in self.excused:
            self.fail(f"{name} is stopped, and nothing that happened concerns it: {self.excused}")
        for other in self.oracle.after[name]:
            state = self.world.units.get(other)
            if (
                state is not None
                and state.sub in STOPPING
                and state.ordered_stop
                and self.stops.get(other) == self.causes
            ):
                self.fail(f"{name} begins to stop while {other}, which it comes after, stops")
        self.stops[name] = self.causes

    def excuse(self, *roots: str) -> None:
        """Something from outside concerns these units."""
        self.causes += 1
        self.excused |= self.oracle.struck(roots)
