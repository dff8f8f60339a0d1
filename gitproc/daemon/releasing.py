"""What a unit had while it ran is given back when it is down: its group, sockets, directories, users, spaces."""

from __future__ import annotations

import logging
from collections.abc import Iterator

from gitproc.core.overlap import neighbour, sitting
from gitproc.daemon.bus_watch import BusWatch
from gitproc.daemon.effects import Effects
from gitproc.daemon.limiting import Limiting
from gitproc.daemon.lookups import Lookups, names_somebody
from gitproc.daemon.surroundings import Surroundings
from gitproc.kernel import directories, spec_terminal
from gitproc.kernel.dynamic_users import open_registry
from gitproc.kernel.ipc_objects import IpcObjects
from gitproc.kernel.trash import Trash
from gitproc.units.unit import Unit

log = logging.getLogger(__name__)


class Releasing:
    """Carries out `Release`. Who the users are that have to go may be asked by `lookups`, after the rest."""

    def __init__(
        self,
        effects: Effects,
        limiting: Limiting,
        surroundings: Surroundings,
        bus: BusWatch,
        lookups: Lookups,
        trash: Trash,
    ) -> None:
        self._e = effects
        self._limiting = limiting
        self._surroundings = surroundings
        self._bus = bus
        self._lookups = lookups
        self._trash = trash
        self._ipc = IpcObjects(trash.later)
        taken = effects.config.run_dir / "dynamic-users"
        self._dynamic_users = open_registry(str(taken), str(effects.config.user_records))

    def release(self, unit: Unit, *, keep_runtime: bool) -> None:
        """Take away what an instance had; `keep_runtime`: what is kept over a restart stays."""
        if unit.kind == "slice":
            self._limiting.release(unit)
            return
        self._e.health.cancel(unit.name)
        self._bus.forget(unit.name)
        self._e.controller.remove(unit.name)
        self._e.sockets.release(unit, restart=keep_runtime)
        problems = directories.release(
            unit,
            self._surroundings.base,
            keep_runtime=keep_runtime,
            shared=neighbour(self._e.world, unit.name) is not None,
            trash=self._trash,
        )
        if names_somebody(unit):
            self._lookups.unhurried(
                lambda: self._release_user(unit, keep=keep_runtime),
                lambda: (state := sitting(self._e.world, unit.name)) is None or state.down,
            )
        problems += self._surroundings.leave(unit.name)
        problems += spec_terminal.leave(unit)
        for problem in problems:
            log.warning("%s: %s", unit.name, problem)

    def _release_user(self, unit: Unit, *, keep: bool) -> None:
        self._ipc.ended(unit, self._others(unit))
        if not keep:
            self._dynamic_users.ended(unit, self._others(unit))

    def _others(self, unit: Unit) -> Iterator[Unit]:
        """The definitions of all other instances that live: to be asked for by the few who need them."""
        living = (x.definition for x in self._e.world.units.values() if not x.down)
        return (x for x in living if x.name != unit.name)
