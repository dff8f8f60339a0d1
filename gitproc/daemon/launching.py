"""Orders to make processes: what each takes is compiled and handed to the shim, or why it cannot be is told.

What systemd finds out in the child and we before there is one ends as it does there, by the step's exit status.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from gitproc.core.actions import Spawn
from gitproc.core.events import Event, ExitCode, Exited, Process, SetupFailed, SpawnFailed
from gitproc.core.overlap import owner
from gitproc.daemon.effects import Effects
from gitproc.daemon.limiting import Limiting
from gitproc.daemon.lookups import Lookups
from gitproc.daemon.surroundings import Surroundings
from gitproc.daemon.unit_warnings import UnitWarnings
from gitproc.errors import HostError, StateError
from gitproc.immutable import replaced
from gitproc.kernel.launch import LaunchError
from gitproc.kernel.passing import tell_descriptors
from gitproc.kernel.spawn_spec import compile_spec
from gitproc.kernel.spec_namespaces import join_namespaces
from gitproc.units.exit_status import EXIT_STATUS_NAMES
from gitproc.units.names import bare_name
from gitproc.units.seats import home
from gitproc.units.unit import Unit

_STEP_STATUS = {name: number for number, name in EXIT_STATUS_NAMES.items() if number >= 200}


class Launching:
    """Carries out `Spawn`; `limiting` and `surroundings` are of the same manager."""

    def __init__(
        self,
        effects: Effects,
        post: Callable[[Event], None],
        limiting: Limiting,
        surroundings: Surroundings,
        warnings: UnitWarnings,
    ) -> None:
        self._e = effects
        self._post = post
        self._limiting = limiting
        self._surroundings = surroundings
        self._warnings = warnings
        self._kept: dict[str, int] = {}  # fingerprint -> hash of the settings that are on disk
        self.lookups = Lookups(self._spawn_late, self._failed)
        """What waits for the name service."""

    def spawn(self, action: Spawn) -> None:
        """Make a process, or have the order wait for who it is to run as."""
        process, unit = action.process, action.unit
        if self._e.manager.knows(process):
            return  # an order that is repeated must not end what it has made as a stranger
        try:
            self.keep(unit)
            if self.lookups.postpone(action):
                return
            if action.first:
                self._warnings.forget(unit.name)
                self._limiting.first(unit, process)
            passed = self._e.sockets.passed_to(unit, action.sockets)
            names = tuple(name for name, _ in passed)
            warnings: list[str] = []
            context, joined = self._surroundings.of(action, self._log_of(unit), warnings)
            context = replaced(context, fd_names=names, first=action.first)
            plan = compile_spec(unit, action.command, process, context, action.variables)
            tell_descriptors(plan.spec, unit, names)
            join_namespaces(plan.spec, [kind for kind, _ in joined], len(names))
        except LaunchError as error:
            self._failed(process, error)
            return
        except (HostError, StateError) as error:
            self._post(SpawnFailed(process, "RESOURCES", error.message))
            return
        for warning in warnings + plan.warnings:
            self._warnings.add(unit.name, warning)
        self._e.manager.spawn(process, plan.spec, [fd for _, fd in (*passed, *joined)])

    def called_off(self, process: Process, signal: int) -> bool:
        """Whether a process that is to be signalled was still waiting to be made: then it has ended by that."""
        if not self.lookups.end(process):
            return False
        self._ended(process, ExitCode.KILLED, signal)
        return True

    def keep(self, unit: Unit) -> None:
        """The definition must be on disk before anything of it runs: a stop after a crash needs it.

        Definitions of one fingerprint may differ in what does not decide how a unit runs (conditions).
        """
        settings = hash(unit.settings)
        if self._kept.get(unit.fingerprint) != settings:
            self._e.definitions.put(unit.fingerprint, unit.freeze())
            self._kept[unit.fingerprint] = settings

    def keep_anew(self, units: Iterable[Unit]) -> None:
        """The file of definitions was taken away: these are the ones that it must have."""
        self._e.definitions.close()
        self._kept.clear()
        for unit in units:
            self.keep(unit)

    def forget(self, unit: Unit) -> None:
        """Nothing of this definition runs, or will be stopped by it, any more."""
        self._kept.pop(unit.fingerprint, None)
        self._e.definitions.drop(unit.fingerprint)

    def _spawn_late(self, action: Spawn) -> None:
        if owner(self._e.world, action.process)[1] is not None:
            self.spawn(action)
        else:
            self.lookups.end(action.process)

    def _failed(self, process: Process, error: LaunchError) -> None:
        number = _STEP_STATUS.get(error.step)
        if number is None:
            self._post(SpawnFailed(process, error.step, error.message))
            return
        self._post(SetupFailed(process, error.step, 0, error.message))
        self._ended(process, ExitCode.EXITED, number)

    def _ended(self, process: Process, code: ExitCode, status: int) -> None:
        """A process that was never made has ended as if it had been."""
        empty = self._e.controller.is_empty(process.unit)
        self._post(Exited(process, code, status, tree_empty=empty, realtime=time.time()))

    def _log_of(self, unit: Unit) -> str:
        """Instances that are made for a connection share their template's log."""
        state = self._e.world.units.get(unit.name)
        connection = state is not None and state.connection is not None
        return bare_name(f"{unit.prefix}@.service" if connection else home(unit.name))
