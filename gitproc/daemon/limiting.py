"""The groups of units as their settings want them: made at the first process, changed live, given back.

What the host cannot do of a unit's limits is its warning, or with `on_missing_isolation = "fail"` the end of
its start.
"""

from __future__ import annotations

from collections.abc import Callable

from gitproc.core.events import Event, LimitsFailed, OutOfMemory, Process
from gitproc.core.world import World
from gitproc.kernel import strangers
from gitproc.kernel.launch import LaunchError
from gitproc.kernel.resource_controller import ResourceController
from gitproc.units import directives as d
from gitproc.units.directives_resources import SLICE
from gitproc.units.unit import Unit


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

    def first(self, unit: Unit, process: Process) -> None:
        """Before the first process of an instance. HostError, LaunchError."""
        problems = self._controller.create(unit)
        for warning in strangers.end(self._controller, unit):
            self._warn(unit.name, warning)
        if problems and self._missing == "fail":
            raise LaunchError("CGROUP", "; ".join(problems))
        self._failed(unit.name, process.invocation, problems)
        self._watch(unit, process.invocation)

    def change(self, unit: Unit, invocation: str) -> None:
        """The definition of a running unit, or of a slice, is another now."""
        self._failed(unit.name, invocation, self._controller.set_limits(unit))
        self._watch(unit, invocation)

    def resume(self) -> None:
        """A manager has come back to what an earlier one left running."""
        for state in self._world.units.values():
            if state.unit is not None and not state.down and state.unit.kind == "service":
                self._watch(state.unit, state.invocation)

    def _watch(self, unit: Unit, invocation: str) -> None:
        """Tell of OOM kills in the unit's cgroup, also of those that its main process survives."""
        if not unit.has(d.MEMORY_MAX) and not unit.has(SLICE):
            return

        def struck() -> None:
            if self._controller.new_oom_kills(unit.name):
                self._post(OutOfMemory(unit.name, invocation))

        self._controller.watch_oom(unit.name, struck)

    def _failed(self, unit: str, invocation: str, problems: list[str]) -> None:
        for problem in problems:
            self._warn(unit, problem)
            self._post(LimitsFailed(unit, invocation, problem))
