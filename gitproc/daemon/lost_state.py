"""The state directory is taken away under a manager that runs: it writes all of it anew.

It knows all that was in there; it only must not go on writing into files that nobody will find.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from gitproc.daemon.effects import Effects
from gitproc.daemon.launching import Launching
from gitproc.errors import GitProcError
from gitproc.store.state_manager import StateManager

log = logging.getLogger(__name__)


class LostState:
    """Looks whether it is there. `prepare` makes the directories, `publish` lays a commit's files out."""

    def __init__(
        self,
        effects: Effects,
        state: StateManager,
        launching: Launching,
        prepare: Callable[[], None],
        publish: Callable[[str], None],
    ) -> None:
        self._e = effects
        self._state = state
        self._launching = launching
        self._prepare = prepare
        self._publish = publish
        self._loop = asyncio.get_running_loop()

    def look(self) -> None:
        """For a thread, from time to time."""
        if not self._state.lost and not self._e.definitions.lost:
            return
        try:
            self._prepare()
        except GitProcError as error:
            log.error("%s; trying again", error.message)
        else:
            self._loop.call_soon_threadsafe(self._write_anew)

    def _write_anew(self) -> None:
        if not self._state.lost and not self._e.definitions.lost:
            return  # definitions were being tidied as the thread looked
        world = self._e.world
        try:
            # First what the records name: without its definition a unit could only be ended after a crash.
            self._launching.keep_anew(x.unit for x in world.units.values() if x.unit is not None)
        except GitProcError as error:
            log.error("%s; trying again", error.message)
            return
        self._loop.run_in_executor(None, self._renew)
        if world.applied is not None:
            self._publish(world.applied.sha)

    def _renew(self) -> None:
        try:
            self._state.renew()
        except GitProcError as error:
            log.error("%s; trying again", error.message)
            return
        log.warning("files were gone from %s: all are written anew", self._state.directory)
