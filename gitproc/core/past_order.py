"""The order of yesterday: instances stop in the order in which they were started.

A commit may remove units, or the order between them, while their instances run. The graph knows the new
order alone; what is to be stopped by the old one is remembered here until it is down. Where old and new
order contradict one another, nobody waits for somebody who waits for him.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from gitproc.core.edges import Edge
from gitproc.core.world import World


def remember(world: World, former: Mapping[str, Iterable[Edge]]) -> None:
    """Instances stop in the order in which they were started, also where a commit takes that order away.

    `former`: the edges that the commit has replaced.
    """
    for edges in former.values():
        for edge in edges:
            state = world.units.get(edge.source)
            if edge.relation == "after" and state is not None and not state.down:
                world.past_order.setdefault(edge.source, set()).add(edge.target)


def followers(world: World, name: str) -> Iterable[str]:
    """Whoever still runs and was started after `name`, as far as only a former commit said so."""
    for other in [n for n, targets in world.past_order.items() if name in targets]:
        state = world.units.get(other)
        if state is None or state.down:
            del world.past_order[other]
        elif not _waits_for(world, other, name):
            yield other


def _waits_for(world: World, name: str, other: str) -> bool:
    """Whether `name` waits for `other`, by way of whomever: then `other` must not wait for it."""
    seen: set[str] = set()
    while name and name not in seen:
        seen.add(name)
        state = world.units.get(name)
        name = state.waits_for if state is not None else ""
        if name == other:
            return True
    return False
