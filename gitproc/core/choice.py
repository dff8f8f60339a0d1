"""What a start takes along (systemctl(1), "start"), and what of it is left out because both cannot be.

systemd drops from a transaction what its anchor can do without, where two jobs contradict one another
(transaction.c): so does this. Of two units that conflict and are only wanted, the one that the other names
in its Conflicts= is left out; with it whoever cannot do without it, and what nobody else pulls in.
"""

from __future__ import annotations

from collections.abc import Container

from gitproc.core.edges import edges_of
from gitproc.core.world import World
from gitproc.immutable import immutable


@immutable
class Choice:
    """`along`: what is started, itself included; nothing if there is an `obstacle`: of what it cannot do without
    something is masked, or two conflict. `left_out`: of what it wants, and why."""

    along: dict[str, None]
    left_out: dict[str, str]
    obstacle: str = ""


def chosen(world: World, name: str, *, held: bool = False) -> Choice:
    """What a start of `name` takes along.

    What is only wanted, and not required, stays held if an operator has stopped it, unless `held` ones count.
    """
    graph = world.graph
    left_out: dict[str, str] = {}
    needed = _closure(world, name, (), wants=False)
    for other in needed:
        unit = world.wanted_unit(other)
        if other != name and unit is not None and unit.masked:
            return Choice({}, {}, f"it needs {other}, which is masked")
    while True:
        along = _closure(world, name, left_out, held=held)
        pairs = ((each, other) for each in along for other in graph.rivals(each))
        clash = next((x for x in pairs if x[1] in along), None) if graph.conflicts else None
        if clash is None:
            return Choice(along, left_out)
        stays, out = clash if graph.conflicts.has(*clash) else clash[::-1]
        if out in needed:
            stays, out = out, stays
        if out in needed:
            return Choice({}, {}, "it needs {} and {}, which conflict".format(*clash))
        left_out[out] = f"it conflicts with {stays}"
        todo = [out]
        while todo:
            gone = todo.pop()
            for other in (*graph.requires.to(gone), *graph.binds_to.to(gone)):
                if other in along and other not in left_out:
                    left_out[other] = f"it needs {out}, which conflicts with {stays}"
                    todo.append(other)


def tell(world: World, name: str, choice: Choice) -> None:
    """Say what a start of `name` leaves out."""
    for other, why in choice.left_out.items():
        world.tell("unit.left-out", other, f"not started along with {name}: {why}")


def _closure(
    world: World, name: str, without: Container[str], *, wants: bool = True, held: bool = True
) -> dict[str, None]:
    found: dict[str, None] = {}
    todo = [(name, True)]
    while todo:
        current, required = todo.pop()
        unit = world.wanted_unit(current)
        if unit is None or current in found or current in without:
            continue
        state = world.units.get(current)
        if state is not None and state.hold is not None and not required and not held:
            continue
        found[current] = None
        if world.desired is not None and current not in world.desired.units:
            world.graph.replace(current, edges_of(unit, world.desired.canonical))
        if wants:
            optional = (*world.graph.wants.of(current), *world.graph.upholds.of(current))
            todo += ((other, False) for other in optional)
        todo += ((other, True) for other in world.graph.requirements(current))
    return found
