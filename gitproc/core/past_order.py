"""The order of yesterday: instances stop in the order in which they were started.

A commit may remove units, or the order between them, while their instances run. The graph knows the new
order alone; what is to be stopped by the old one is remembered here until it is down. Where old and new
order contradict one another, nobody waits for somebody who waits for him.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from gitproc.core.edges import Edge, edges_of
from gitproc.core.world import World

if TYPE_CHECKING:
    from gitproc.units.loader import UnitSet


def remember(world: World, former: Iterable[Iterable[Edge]]) -> None:
    """Keep what of these edges the graph does not say any more, for the instances that run."""
    for edges in former:
        for source, target in ((x.source, x.target) for x in edges if x.relation == "after"):
            state = world.units.get(source)
            if state is None or state.down or world.graph.after.has(source, target):
                continue
            world.past_order.setdefault(target, {})[source] = state.invocation


def recall(world: World, units: UnitSet) -> None:
    """After a crash: what runs has its definition with it, and that says in which order it was started."""
    for name, state in world.units.items():
        unit = units.units.get(name)
        if state.unit is not None and (unit is None or unit.settings != state.unit.settings):
            remember(world, (edges_of(state.unit, units.canonical),))


def followers(world: World, name: str) -> Iterator[str]:
    """Whoever still runs and was started after `name`, as far as only a former commit said so."""
    sources = world.past_order.get(name, {})
    for other, invocation in tuple(sources.items()):
        state = world.units.get(other)
        if state is None or state.down or state.invocation != invocation:
            del sources[other]
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
