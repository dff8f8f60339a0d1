"""Asking the host's systemd, for the world: in a thread, and the answer is an event."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from gitproc.core import foreign
from gitproc.core.events import Event, HostUnitsSeen
from gitproc.core.host_unit import HostUnit
from gitproc.errors import HostError
from gitproc.kernel import host_units

if TYPE_CHECKING:
    from gitproc.units.loader import UnitSet


class HostUnits:
    """Carries out `AskHostUnits`. Used from the loop's thread."""

    def __init__(self, post: Callable[[Event], None], *, user_mode: bool) -> None:
        self._post = post
        self._user_mode = user_mode
        self._tasks: set[asyncio.Task[None]] = set()

    def ask(self, names: tuple[str, ...]) -> None:
        """Ask; `HostUnitsSeen` follows in any case."""
        task = asyncio.get_running_loop().create_task(self._ask(names))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _ask(self, names: tuple[str, ...]) -> None:
        def work() -> dict[str, HostUnit]:
            return host_units.ask(names, user_mode=self._user_mode)

        try:
            answer = HostUnitsSeen(await asyncio.get_running_loop().run_in_executor(None, work))
        except (HostError, RuntimeError) as error:
            answer = HostUnitsSeen({}, str(error))
        self._post(answer)


def of_commit(
    units: UnitSet,
    names: Iterable[str],
    known: Iterable[str] = (),
    also: Iterable[str] = (),
    *,
    user_mode: bool,
) -> dict[str, HostUnit] | None:
    """What the host's systemd says of what these units depend on and the commit does not have.

    None without systemd. `known` is not asked for again, `also` is asked for, too. Blocks: call it in a thread.
    """
    if not host_units.booted():
        return None
    asked = (foreign.names_of(units, names) | set(also)) - set(known)
    return host_units.ask_if_booted(asked, user_mode=user_mode) if asked else {}
