"""What timers and path units wait for: the clocks, the time zone, and paths."""

from __future__ import annotations

import logging
from collections.abc import Callable

from gitproc.core.actions import UnwatchPaths, WatchPaths
from gitproc.core.events import Event
from gitproc.core.occasions import ClockSet, ZoneSet
from gitproc.core.world import World
from gitproc.kernel.clock_watch import ClockWatch, find_zone, local_zone, wall_offset
from gitproc.kernel.path_units import PathUnits
from gitproc.kernel.path_watch import PathWatch
from gitproc.kernel.virtualization import container

log = logging.getLogger(__name__)


class Occasions:
    """Watches them, and posts what happens. Costs nothing while nothing does."""

    def __init__(self, world: World, machine: str, post: Callable[[Event], None]) -> None:
        """Tells `world` the time, too. `machine`: what tells this machine from others."""
        clock = world.clock
        clock.wall, clock.zone, clock.zones = wall_offset(), local_zone(), find_zone
        clock.machine = machine
        clock.booted = clock.started if container() else 0.0
        try:
            self._watch: PathWatch | None = PathWatch()
        except OSError as error:
            log.warning("cannot watch paths: %s", error.strerror)
            self._watch = None
        self._paths = PathUnits(post, self._watch)
        self._clock = ClockWatch(
            self._watch,
            lambda wall: post(ClockSet(wall)),
            lambda zone: post(ZoneSet(zone)),
        )

    def perform(self, action: WatchPaths | UnwatchPaths) -> None:
        """Carry out one order."""
        if isinstance(action, WatchPaths):
            self._paths.begin(action.unit, action.invocation, first=action.first)
        else:
            self._paths.end(action.unit)

    def close(self) -> None:
        """Watch no more."""
        self._clock.close()
        if self._watch is not None:
            self._watch.close()
