"""Turning the knobs of groups, in whichever hierarchy has the controller, and holding them against the commit.

Controllers reach a group from above: each slice on the way passes on what its parent has, less what
DisableControllers= keeps back. Those that few units want (io, cpuset) are passed on with the first that asks.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from gitproc.errors import HostError
from gitproc.kernel import cgroup_base, cgroup_v2, disk_weights
from gitproc.kernel.disks import disk_of
from gitproc.kernel.knobs import COUNTS, Knob, Wishes, wishes_of
from gitproc.kernel.live_limits import Reading, difference, is_so, read
from gitproc.kernel.places import parents
from gitproc.kernel.v1_words import CONTROLLER
from gitproc.units import directives_resources as r
from gitproc.units.control import own
from gitproc.units.unit import Unit

if TYPE_CHECKING:
    from gitproc.kernel.cgroup_v1 import Hierarchies

#: What the manager does itself where no controller does.
_ELSEWHERE = frozenset({"memory.oom.group"})


def wishes(unit: Unit, above: tuple[Unit, ...]) -> Wishes:
    """As `wishes_of`, with the disks of this machine."""
    return wishes_of(unit, above, disk_of)


def disabled_by(unit: Unit) -> frozenset[str]:
    """The controllers that a slice keeps from the groups below it."""
    names = own(unit, r.DISABLE_CONTROLLERS)
    return frozenset(names)


class Enforcement:
    """The knobs below one base. `base`: its path in the unified tree, "" without one.

    `controllers` are those that groups there have; `pass_on` has more of them reach the base.
    """

    def __init__(
        self,
        base: str,
        controllers: frozenset[str],
        v1: Hierarchies | None,
        pass_on: Callable[[frozenset[str]], frozenset[str]],
    ) -> None:
        self.base = base
        self.controllers = controllers
        self.v1 = v1
        self._pass_on = pass_on

    def has(self, controller: str) -> bool:
        """Whether groups can have that controller (by the name that the unified tree has for it)."""
        if controller in self.controllers or self._v1_has(controller):
            return True
        parent = os.path.dirname(self.base)
        return bool(self.base) and controller in cgroup_v2.controllers(parent)

    def _v1_has(self, controller: str) -> bool:
        return self.v1 is not None and self.v1.has(CONTROLLER.get(controller, controller))

    def want(self, controllers: Iterable[str]) -> None:
        """Have these reach our base, where they can."""
        missing = frozenset(controllers) & cgroup_base.ON_DEMAND - self.controllers
        missing = frozenset(x for x in missing if not self._v1_has(x))
        if missing and self.base:
            self.controllers |= self._pass_on(missing)

    def open_path(self, path: str, above: Sequence[Unit]) -> None:
        """Have the controllers reach the group at `path`, through its slices; they are made if need be.

        OSError if a group cannot be made.
        """
        disabled = {each.name: disabled_by(each) for each in above}
        kept = disabled.get("-.slice", frozenset[str]())
        if self.base and kept:
            self._close(self.base, kept)
        for each in [*parents(path)][::-1]:
            directory = f"{self.base}/{each}"
            if self.base:
                with suppress(FileExistsError):
                    os.mkdir(directory, 0o755)
                kept |= disabled.get(os.path.basename(each), frozenset())
                cgroup_v2.enable(directory, self.controllers - kept)
                if kept:
                    self._close(directory, kept)

    def _close(self, directory: str, kept: frozenset[str]) -> None:
        for controller in kept & cgroup_v2.controllers(directory, "cgroup.subtree_control"):
            cgroup_v2.write(directory, "cgroup.subtree_control", f"-{controller}")

    def reopen(self, path: str, disabled: frozenset[str]) -> list[str]:
        """DisableControllers= of a slice has changed: what could not be taken back."""
        directory = f"{self.base}/{path}" if path else self.base
        if not self.base:
            return []
        cgroup_v2.enable(directory, self.controllers - disabled)
        try:
            self._close(directory, disabled)
        except OSError as error:
            return [f"DisableControllers= is not in force: {error.strerror} (in use below)"]
        return []

    def apply(
        self,
        unit: Unit,
        above: tuple[Unit, ...],
        path: str,
        members: Callable[[], list[int]],
        *,
        fresh: bool,
    ) -> list[str]:
        """Turn the unit's knobs; what could not be done, one sentence each. A fresh group has defaults."""
        wanted = wishes(unit, above)
        knobs = wanted.asked if fresh else wanted.knobs
        extra = {knob.controller for knob in wanted.asked} & cgroup_base.ON_DEMAND
        problems = list(wanted.problems)
        if extra - self.controllers:
            self.want(extra)
        if extra:
            self.open_path(path, above)
        for knob in knobs:
            try:
                self._turn(knob, path, members)
            except FileNotFoundError:
                if knob.asked and knob.file not in _ELSEWHERE:
                    problems.append(_no(knob, f"its group has no {knob.file} on this kernel"))
            except OSError as error:
                if knob.asked:
                    problems.append(f"cannot set {knob.directive}=: {error.strerror}")
            except HostError as error:
                problems.append(_no(knob, error.message))
        return list(dict.fromkeys(problems))

    def _turn(self, knob: Knob, path: str, members: Callable[[], list[int]]) -> None:
        if knob.controller in self.controllers:
            self._write(f"{self.base}/{path}" if path else self.base, knob)
        elif self.v1 is not None and self._v1_has(knob.controller):
            if knob.file not in _ELSEWHERE:
                self.v1.limit(path, knob, members)
        elif knob.asked and knob.file not in _ELSEWHERE:
            raise HostError(f"this machine has no {knob.controller} controller for us")

    def _write(self, directory: str, knob: Knob) -> None:
        if knob.file == "io.weight":
            disk_weights.tell(directory, knob)
            return
        now = read(directory, knob.file)
        if now is None:
            raise FileNotFoundError(knob.file)
        if knob.file == COUNTS or is_so(knob, now):
            return
        if not knob.file.startswith("io."):
            cgroup_v2.write(directory, knob.file, knob.text)
            return
        nothing = {
            "io.max": "rbps=max wbps=max riops=max wiops=max",
            "io.latency": "target=0",
        }[knob.file]
        for disk in now.by_disk.keys() | knob.by_disk.keys():
            cgroup_v2.write(directory, knob.file, f"{disk} {knob.by_disk.get(disk, nothing)}")

    def join_v1(self, above: Sequence[Unit], path: str, members: Callable[[], list[int]]) -> None:
        """A limit of a slice in a v1 hierarchy holds for those who are in it: join. OSError, HostError."""
        if self.v1 is None:
            return
        for index, each in enumerate(above):
            for knob in wishes(each, tuple(above[index + 1 :])).asked:
                controller = CONTROLLER.get(knob.controller, knob.controller)
                if self.v1.has(controller) and self.v1.create(controller, path):
                    self.v1.join(controller, path, members())

    def differences(self, unit: Unit, above: tuple[Unit, ...], path: str) -> list[str]:
        """Knobs of the group that are not as the unit wants them, one sentence each."""
        directory = (f"{self.base}/{path}" if path else self.base) if self.base else ""
        knobs = wishes(unit, above).knobs
        found = readings(directory, knobs, self.controllers, self.v1, path)
        said = [difference(knob, now) for knob, now in found]
        return [text for text in said if text]


def _no(knob: Knob, why: str) -> str:
    return f"{knob.directive}= is not enforced: {why}"


def readings(
    directory: str,
    knobs: tuple[Knob, ...],
    controllers: frozenset[str],
    v1: Hierarchies | None,
    group: str,
) -> list[tuple[Knob, Reading]]:
    """The present state of every knob that the group has, in whichever hierarchy enforces it."""
    found = []
    for knob in knobs:
        now = None
        if knob.file == COUNTS:
            continue
        if directory and knob.controller in controllers:
            weighs = knob.file == "io.weight"
            now = disk_weights.hear(directory, knob) if weighs else read(directory, knob.file)
        elif v1 is not None:
            now = v1.reading(group, knob)
        if now is not None:
            found.append((knob, now))
    return found
