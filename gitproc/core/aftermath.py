"""What starts because something else has ended: OnFailure=, OnSuccess= and [X-GitProc] OnRetry=.

A unit that one end starts is told of it ($MONITOR_UNIT and its kin, systemd.exec(5)); if a second end comes
before it has begun, it would be told half the truth, and so is told nothing.
"""

from __future__ import annotations

from gitproc.core import triggers
from gitproc.core.world import World
from gitproc.immutable import replaced


def act(world: World) -> bool:
    """Act on every end of this step; whether there was one."""
    if not world.ends:
        return False
    ends, world.ends = world.ends, []
    for end in ends:
        for name in tuple(getattr(world.graph, end.relation).of(end.unit)):
            outcome = triggers.trigger(world, end.unit, name, *end.variables)
            state = world.state(name)
            if (
                outcome is triggers.Outcome.RUNNING
                and state.activation is not None
                and state.triggered
            ):
                state.activation = replaced(state.activation, variables=[])
                world.touch(name)
    return True
