"""The groups of units as their settings want them: made at the first process, changed live, given back.

What the host cannot do of a unit's limits is its warning, or with `on_missing_isolation = "fail"` the end of
its start.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from gitproc.core.events import Event, LimitsFailed, OutOfMemory, Process
from gitproc.core.world import World
from gitproc.kernel import strangers
from gitproc.kernel.launch import LaunchError
from gitproc.kernel.resource_controller import ResourceController
from gitproc.units import directives as d
from gitproc.units.control import ROOT
from gitproc.units.directives_access import ROWS as ACCESS_ROWS
from gitproc.units.directives_resources import (
    ALLOWED_CPUS,
    ALLOWED_MEMORY_NODES,
    CPU_QUOTA,
    DEFAULT_MEMORY_LOW,
    DEFAULT_MEMORY_MIN,
    IP_ADDRESS_ALLOW,
    IP_ADDRESS_DENY,
    SLICE,
)
from gitproc.units.names import is_valid_slice
from gitproc.units.specifiers import Host
from gitproc.units.unit import Unit

_GUARDS = frozenset(x.key for x in ACCESS_ROWS)
_INHERITED = frozenset(
    f"Slice.{x.name}"
    for x in (IP_ADDRESS_ALLOW, IP_ADDRESS_DENY, DEFAULT_MEMORY_LOW, DEFAULT_MEMORY_MIN)
)
_CUT_IN_V1 = frozenset(f"Slice.{x.name}" for x in (ALLOWED_CPUS, ALLOWED_MEMORY_NODES, CPU_QUOTA))
"""What a slice of a v1 hierarchy takes away from the groups in it, and must be given back (`v1_nesting`)."""


class Limiting:
    """`missing`: what to do where the host cannot (`fail`, `warn`, None). `warn` keeps a unit's warning."""

    def __init__(
        self,
        controller: ResourceController,
        world: World,
        missing: str | None,
        warn: Callable[[str, str], None],
        post: Callable[[Event], None],
    ) -> None:
        self._controller = controller
        self._world = world
        self._missing = missing
        self._warn = warn
        self._post = post
        self._cuts = bool(controller.layout.v1)
        self._passed_on = _INHERITED | _CUT_IN_V1 if self._cuts else _INHERITED
        self._givers: set[str] = set()  # slices whose units have taken something over

    def first(self, unit: Unit, process: Process) -> None:
        """Before the first process of an instance. HostError, LaunchError."""
        problems = self._controller.create(unit)
        for warning in strangers.end(self._controller, unit):
            self._warn(unit.name, warning)
        if problems and self._missing == "fail":
            raise LaunchError("CGROUP", "; ".join(problems))
        self._failed(unit.name, process.invocation, problems)
        self._restrict(unit)
        self._watch(unit, process.invocation)

    def change(self, unit: Unit, invocation: str) -> None:
        """The definition of a running unit, or of a slice, is another now."""
        self._failed(unit.name, invocation, self._controller.set_limits(unit))
        self._failed(unit.name, invocation, self._guarded(unit))
        if unit.kind == "slice":
            self._pass_on(unit)
        else:
            self._watch(unit, invocation)

    def release(self, unit: Unit) -> None:
        """A slice is down: nothing of its limits is left, for its units neither."""
        self._controller.release_slice(unit)
        self._pass_on(unit)

    def _restrict(self, unit: Unit) -> None:
        """Nothing runs unguarded that asks for a guard, unless the host's configuration lets it."""
        found = self._controller.restrict(unit, fresh=True)
        for text in (*found.warnings, *found.problems):
            self._warn(unit.name, text)
        if found.problems and self._missing != "warn":
            if any(setting.key in _GUARDS for setting in unit.settings):  # it asks for one itself
                raise LaunchError("CGROUP", "; ".join(found.problems))

    def _guarded(self, unit: Unit) -> list[str]:
        found = self._controller.restrict(unit)
        for text in found.warnings:
            self._warn(unit.name, text)
        return [*found.problems]

    def _pass_on(self, unit: Unit) -> None:
        """What units take over from a slice has changed: addresses, memory that is kept for them."""
        gives = not self._passed_on.isdisjoint(unit.values)
        if not gives and unit.name not in self._givers:
            return
        (self._givers.add if gives else self._givers.discard)(unit.name)
        inner = [x for x in self._world.units if _lies_in(x, unit.name)] if self._cuts else []
        for name in (*sorted(inner, key=len), *self._controller.units_in(unit.name)):
            state = self._world.units.get(name)
            if state is not None and state.unit is not None and not state.down:
                problems = self._controller.set_limits(state.unit)
                self._failed(name, state.invocation, problems + self._guarded(state.unit))

    def resume(self, interrupted: Iterable[str] = ()) -> None:
        """A manager has come back to what an earlier one left running.

        `interrupted`: units whose limits that one was about to change, or to lift.
        """
        for state in self._world.units.values():
            if state.unit is None or state.down:
                continue
            if state.unit.kind == "service":
                self._failed(state.seat, state.invocation, self._controller.settle(state.unit))
                self._watch(state.unit, state.invocation)
            elif not self._passed_on.isdisjoint(state.unit.values):
                self._givers.add(state.name)
        for name in interrupted:
            found = self._world.units.get(name)
            if is_valid_slice(name):
                self._givers.add(name)  # by its former definition it may have been one
            if found is not None and found.unit is not None and not found.down:
                self.change(found.unit, found.invocation)
            elif is_valid_slice(name):
                self.release(Unit(name, "", (), Host()))

    def _watch(self, unit: Unit, invocation: str) -> None:
        """Tell of OOM kills in the unit's cgroup, also of those that its main process survives."""
        limited = unit.has(d.MEMORY_MAX) or unit.has(SLICE)

        def struck() -> None:
            if self._controller.oom.news(unit.name):
                self._post(OutOfMemory(unit.name, invocation))

        self._controller.oom.watch(unit.name, struck, limited=limited)

    def _failed(self, unit: str, invocation: str, problems: list[str]) -> None:
        for problem in problems:
            self._warn(unit, problem)
            self._post(LimitsFailed(unit, invocation, problem))


def _lies_in(name: str, outer: str) -> bool:
    """Whether a unit is a slice in another one, at any depth."""
    within = outer == ROOT or name.startswith(outer.removesuffix(".slice") + "-")
    return name.endswith(".slice") and name != ROOT and within
