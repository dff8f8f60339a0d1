"""What surrounds the services of the pretended machine: paths, tests of conditions, probes, the host's systemd."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from gitproc.core.checked import Finding
from gitproc.core.events import (
    ConditionsChecked,
    HostUnitsSeen,
    MainFound,
    ProbeFailed,
    ProbeSucceeded,
)
from gitproc.core.host_unit import HostUnit
from gitproc.core.occasions import PathsSeen
from gitproc.units import directives as d
from gitproc.units.conditions import conditions_of
from gitproc.units.trigger_rules import watches
from gitproc.units.unit import Unit
from tests.core.fake_processes import Processes
from tests.core.fake_programs import INSTANT, Program
from tests.core.fake_sockets import FakeSockets


class Surroundings(Processes):
    """Answers what a manager asks about."""

    def __init__(self, programs: Mapping[str, Program] | None = None) -> None:
        super().__init__(programs)
        self.healthy: dict[str, bool] = {}
        self.unmet: set[str] = set()  # what conditions find missing
        self.guesses = True  # which process of a tree is the main one can be told
        self.host_units: dict[str, HostUnit] | None = None  # what the host's systemd has
        self.host_silent = False
        self.host_asked = 0
        self.crashes = 0
        self.paths: dict[str, str] = {}  # what exists: path -> mark
        self.sockets = FakeSockets(lambda event: self.mail.append(event), self.answer_after)  # noqa: PLW0108 -- replaced
        self._path_units: dict[str, tuple[Unit, str]] = {}
        self._probing: dict[str, str] = {}

    def answer_after(self, seconds: float, happening: Callable[[], None]) -> None:
        """Something will happen, unless who asked for it is gone by then."""
        asked = self.crashes
        self.after(seconds, lambda: happening() if asked == self.crashes else None)

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

    def _check(self, unit: Unit, invocation: str) -> None:
        """What is tested holds unless `unmet` has it."""
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
