"""The units around one unit, as a tree: what it depends on, or what depends on it (systemctl(1))."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from gitproc.core.unit_state import UnitState
from gitproc.core.world import World


def dependency_tree(
    world: World,
    name: str,
    *,
    ordering: bool = False,
    reverse: bool = False,
    recursive: bool = False,
) -> dict[str, Any]:
    """`{"unit", "active_state", "depends": [...]}` of `name`, each unit opened where it comes first.

    What it pulls in, or what it is ordered after (`ordering`); `reverse`: what pulls it in, or is ordered
    after it. As with systemctl only targets are opened, unless `recursive`.
    """
    opened = {name}

    def node(unit: str) -> dict[str, Any]:
        state = world.units.get(unit) or UnitState(unit)
        return {"unit": unit, "active_state": state.active.value, "depends": []}

    root = node(name)
    todo = [root]
    while todo:  # not by recursion: a chain may be longer than Python's stack is deep
        parent = todo.pop()
        for unit in sorted(_next(world, parent["unit"], ordering, reverse)):
            child = node(unit)
            parent["depends"].append(child)
            if unit not in opened and (recursive or unit.endswith(".target")):
                opened.add(unit)
                todo.append(child)
    return root


def _next(world: World, name: str, ordering: bool, reverse: bool) -> set[str]:
    graph = world.graph
    pulling = (graph.requires, graph.requisite, graph.binds_to, graph.wants, graph.upholds)
    found: set[str] = set()
    for relation in (graph.after,) if ordering else pulling:
        ends: Iterable[str] = relation.to(name) if reverse else relation.of(name)
        found.update(ends)
    return found
