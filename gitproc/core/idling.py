"""Type=idle: a service that counts as started at once, and whose program waits until all else is done.

It is for the tidiness of a console, so the wait is short: nothing starts, stops or reloads any more, or five
seconds have passed (systemd.service(5)). To look for somebody busy is to look at all units, so the one that
was found is remembered and looked at alone while it stays so.
"""

from __future__ import annotations

from gitproc.core import exits
from gitproc.core.spawning import order_spawn
from gitproc.core.standing import pending
from gitproc.core.states import RELOADING
from gitproc.core.world import World


def look(world: World) -> None:
    """Let those go whose wait is over."""
    if not world.knowing:
        return
    if _busy(world, world.busy):
        due = [name for name, until in world.idlers.items() if until <= world.now]
    else:
        world.busy = next(
            (x for x in {**world.units, **dict.fromkeys(world.pulled)} if _busy(world, x)), ""
        )
        due = [x for x, until in world.idlers.items() if not world.busy or until <= world.now]
    for name in due:
        del world.idlers[name]
        state = world.units[name]
        command = exits.command_of(state, is_main=True)
        if state.main is not None and command is not None:
            order_spawn(world, state, state.main.process, command)


def _busy(world: World, name: str) -> bool:
    state = world.units.get(name)
    if state is not None and (state.stopping or state.sub in RELOADING):
        return True
    return bool(name) and pending(world, name)
