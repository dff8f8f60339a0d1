"""Orders for sockets: one whose nodes have an owner by name waits until the name service has said who that is.

Its start has its deadline by itself (TimeoutSec=); an order that is overtaken meanwhile is not carried out.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from gitproc.core.edges import triggered
from gitproc.core.overlap import present
from gitproc.core.socket_orders import ConfigureSocket, OpenSocket, SocketOrder
from gitproc.core.states import SubState
from gitproc.core.world import World
from gitproc.daemon.lookups import FRESH, Lookups
from gitproc.kernel import socket_nodes
from gitproc.kernel.launch import LaunchError
from gitproc.units.unit import Unit


def users(world: World, unit: Unit) -> list[tuple[int, int]]:
    """The main process, and its start time, of the service that a socket is for."""
    state = world.units.get(triggered(unit))
    main = state.main if state is not None else None
    return [(main.pid, main.start_time)] if main is not None and main.pid else []


class Opening:
    """Carries out what the core orders for sockets."""

    def __init__(
        self, world: World, lookups: Lookups, perform: Callable[[SocketOrder], None]
    ) -> None:
        self._world = world
        self._lookups = lookups
        self._perform = perform

    def perform(self, order: SocketOrder) -> None:
        """Carry out one order, at once if nobody has to be asked for it."""
        match order:
            case OpenSocket(unit, invocation):
                self._when_known(unit, order, partial(self._opens, unit.name, invocation))
            case ConfigureSocket(unit):
                self._when_known(unit, order, partial(self._has, unit))
            case _:
                self._perform(order)

    def _when_known(self, unit: Unit, order: SocketOrder, still: Callable[[], bool]) -> None:
        if not socket_nodes.has_owner(unit):
            self._perform(order)
            return

        def work() -> None:
            with suppress(LaunchError):  # which comes again
                socket_nodes.owner_of(unit)
            self._perform(order)

        self._lookups.unhurried(work, still, time.monotonic() - FRESH)

    def _opens(self, name: str, invocation: str) -> bool:
        state = present(self._world, name, invocation)
        return state is not None and state.sub is SubState.START

    def _has(self, unit: Unit) -> bool:
        state = self._world.units.get(unit.name)
        return state is not None and state.up and state.unit is unit
