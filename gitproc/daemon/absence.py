"""Why there is no unit of a name, for people."""

from __future__ import annotations

from gitproc.core.world import World


def absence(world: World, name: str) -> str:
    """What to say of a name that the commit in force makes no unit of."""
    if world.desired is None:
        return f"no unit {name}: no commit is in force"
    return world.desired.absence(name)
