"""Which bus services take their names on, and telling the core who has one (Type=dbus)."""

from __future__ import annotations

import os
from collections.abc import Callable

from gitproc.core.events import BusNameSeen, Event
from gitproc.kernel.bus_names import SYSTEM_BUS, BusNames


class BusWatch:
    """Watches names for instances; no connection is made before there is one."""

    def __init__(self, user_mode: bool, post: Callable[[Event], None]) -> None:
        variable = "DBUS_SESSION_BUS_ADDRESS" if user_mode else "DBUS_SYSTEM_BUS_ADDRESS"
        self._names = BusNames(os.environ.get(variable) or SYSTEM_BUS)
        self._post = post

    def watch(self, unit: str, invocation: str, name: str) -> None:
        """Post `BusNameSeen` now and whenever the name changes hands, until `forget`."""

        def tell(owned: bool, problem: str) -> None:
            self._post(BusNameSeen(unit, invocation, owned, problem))

        self._names.watch(unit, name, tell)

    def forget(self, unit: str) -> None:
        """The instance has ended."""
        self._names.forget(unit)

    def close(self) -> None:
        """Hang up."""
        self._names.close()
