"""Which units an operator means: by name, alias, pattern, or the PID of one of their processes."""

from __future__ import annotations

import fnmatch

from gitproc.core import status
from gitproc.core.events import Verb
from gitproc.core.world import World
from gitproc.errors import NoSuchUnit
from gitproc.kernel.resource_controller import ResourceController
from gitproc.units.seats import home, is_second
from gitproc.units.wildcards import is_pattern


class UnitNames:
    """Finds them in the commit in force, and among what still runs of earlier ones."""

    def __init__(self, world: World, controller: ResourceController) -> None:
        self._world = world
        self._controller = controller

    def canonical(self, name: str) -> str | None:
        """The unit a name means, following aliases and templates; None if there is none."""
        desired = self._world.desired
        if desired is not None:
            unit = desired.resolve(name)
            if unit is not None:
                return unit.name
        return name if name in self._world.units and not is_second(name) else None

    def matching(self, patterns: list[str]) -> list[str]:
        """The units that names and patterns mean, each once; a name that means none stays as it is."""
        names: dict[str, None] = {}
        for pattern in patterns:
            if is_pattern(pattern):
                shown = status.listed(self._world)
                names.update(dict.fromkeys(fnmatch.filter(shown, pattern)))
            else:
                names[self.canonical(pattern) or pattern] = None
        return list(names)

    def meant(self, verb: Verb, patterns: list[str]) -> list[str]:
        """What an operator means to act on: by a pattern, units that run; all of them, to start or forget them.

        NoSuchUnit: a pattern that nothing matches.
        """
        every = verb in (Verb.START, Verb.RESET_FAILED)
        names: dict[str, None] = {}
        for pattern in patterns:
            if not is_pattern(pattern):
                names[pattern] = None
                continue
            found = self.matching([pattern])
            states = {name: self._world.units.get(name) for name in found}
            meant = [n for n, state in states.items() if every or (state and not state.down)]
            if not meant:
                what = "unit" if every else "running unit"
                raise NoSuchUnit(f"no {what} matches {pattern}", unit=pattern)
            names.update(dict.fromkeys(meant))
        return list(names)

    def owner(self, name: str) -> str:
        """The unit whose process has this for a PID, where no unit has it for a name."""
        digits = name.removesuffix(".service")
        if not (digits.isascii() and digits.isdigit()) or self.canonical(name) is not None:
            return name
        found = self._controller.unit_of(int(digits))
        return name if found is None else home(found)
