"""Units that only the host's systemd has, as far as ours depend on them.

Nothing of ours starts or stops them: their state there counts. What `Requires=` or `BindsTo=` one of them
starts when it is active there; what is bound to one stops when it is no longer. What is ordered after a
mount, a swap, an automount or a device of the host's waits while that comes up.

What was last heard is held against the rules as it stands; before a start it must be fresh. systemd is asked
again while somebody waits (after one second, then ever more slowly) or is bound, and otherwise not at all.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import chain
from typing import TYPE_CHECKING

from gitproc.core.actions import AskHostUnits
from gitproc.core.events import HostUnitsSeen
from gitproc.core.host_unit import HostUnit
from gitproc.immutable import field, mutable
from gitproc.units import directives as d

if TYPE_CHECKING:
    from gitproc.core.unit_state import UnitState
    from gitproc.core.world import World
    from gitproc.units.loader import UnitSet

HOST_KINDS = (".mount", ".swap", ".automount", ".device")
"""Kinds of units that the repository cannot have."""
FRESH = 3.0  # seconds: what was heard longer ago is asked for anew before a start
FOLLOW = 10.0  # seconds between two looks at what a running unit is bound to
SLOWEST = 30.0  # seconds between two looks for who waits
_SHORTEST = 1.0
_UNKNOWN = HostUnit()  # not asked about yet
_NOT_TOLD = HostUnit(active="unknown")


@mutable
class Foreign:
    """What is known of the host's units. `present`: the host runs systemd at all."""

    present: bool = False
    states: dict[str, HostUnit] = field(default_factory=dict)
    seen: float = float("-inf")
    asking: bool = False
    silent: bool = False  # it has not answered when it was last asked
    due: float | None = None
    pause: float = _SHORTEST


def names_of(units: UnitSet, names: Iterable[str]) -> set[str]:
    """What the units of these names depend on and `units` does not have: the host may."""
    found: set[str] = set()
    for name in names:
        unit = units.units.get(name)
        if unit is None or unit.masked:
            continue
        needed = {*unit[d.REQUIRES], *unit[d.BINDS_TO]}
        needed.update(x for x in unit[d.AFTER] if x.endswith(HOST_KINDS))
        found |= needed
    return {x for x in found if x not in units.units and "@." not in x and units.resolve(x) is None}


def heard_with_commit(world: World, heard: Mapping[str, HostUnit] | None) -> dict[str, HostUnit]:
    """What is known with what has been heard for a commit that has not been accepted yet."""
    return {**world.foreign.states, **(heard or {})}


def elsewhere(states: Mapping[str, HostUnit], *, again: bool) -> set[str]:
    """Which of these satisfy that a commit requires them. `again`: it was accepted before, when they did."""
    return {name for name, unit in states.items() if again or unit.there}


def put_in_force(world: World, heard: Mapping[str, HostUnit] | None) -> None:
    """The commit that this was heard for is in force, its graph too."""
    foreign = world.foreign
    if heard is None:
        if foreign.present:
            world.foreign = Foreign()
        return
    foreign.present = True
    if heard.keys() >= foreign.states.keys():
        foreign.seen = world.now
    desired = world.desired
    known = desired.units if desired is not None else {}
    for name, unit in heard_with_commit(world, heard).items():
        if name in known or not any(_dependents(world, name)):
            foreign.states.pop(name, None)
        elif foreign.states.get(name) != unit:
            foreign.states[name] = unit
            _look_at_dependents(world, name)
    _follow(world)


def seen(world: World, event: HostUnitsSeen) -> None:
    """The host's systemd has answered, or could not be asked: then what was heard before stays."""
    foreign = world.foreign
    foreign.asking = False
    foreign.due = None
    foreign.silent = bool(event.problem)
    if event.problem:
        if foreign.pause <= _SHORTEST:
            world.tell("host.silent", "", f"the host's systemd cannot be asked: {event.problem}")
        foreign.due = world.now + foreign.pause
        world.alarm(foreign.due, "")
        foreign.pause = min(2 * foreign.pause, SLOWEST)
        return
    foreign.seen = world.now
    for name, answer in event.states.items():
        unit = _NOT_TOLD if answer == _UNKNOWN else answer
        if foreign.states.get(name) != unit:
            foreign.states[name] = unit
            foreign.pause = _SHORTEST
        _look_at_dependents(world, name)
    _follow(world)


def ask_if_due(world: World) -> None:
    """The end of a step: ask again if it is time, and if anybody cares."""
    foreign = world.foreign
    if foreign.due is None or foreign.due > world.now or foreign.asking:
        return
    foreign.due = None
    if any(world.waiters.get(name) for name in foreign.states) or _bound(world):
        _ask(world)


def _ask(world: World) -> None:
    foreign = world.foreign
    if not foreign.asking:
        foreign.asking = True
        world.do(AskHostUnits(tuple(sorted(foreign.states))))


def _bound(world: World) -> bool:
    for name in world.foreign.states:
        for other in world.graph.binds_to.to(name):
            state = world.units.get(other)
            if state is not None and not state.down:
                return True
    return False


def _follow(world: World) -> None:
    if _bound(world):
        _look_again(world, FOLLOW)


def _look_again(world: World, seconds: float) -> None:
    foreign = world.foreign
    at = world.now + seconds
    if foreign.due is None or at < foreign.due:
        foreign.due = at
        world.alarm(at, "")


def _dependents(world: World, name: str) -> Iterable[str]:
    graph = world.graph
    return chain(graph.requires.to(name), graph.binds_to.to(name), graph.after.to(name))


def _look_at_dependents(world: World, name: str) -> None:
    world.look_at(_dependents(world, name))
    world.look_at(world.waiters.pop(name, ()))


def has(world: World, name: str) -> bool:
    """Whether a name stands for a unit of the host's."""
    return name in world.foreign.states and world.wanted_unit(name) is None


def up(world: World, name: str) -> bool:
    """Active, as far as heard."""
    return world.foreign.states.get(name, _UNKNOWN).up


def there(world: World, name: str) -> bool:
    """Active or coming up there, or nobody can say: what is bound to it stays."""
    unit = world.foreign.states.get(name)
    return unit is not None and (unit.up or unit.active in ("activating", "unknown", ""))


def at_rest(world: World, name: str) -> bool:
    """Whether it has failed there, or is gone: then who needs it is not merely early."""
    unit = world.foreign.states.get(name, _UNKNOWN)
    return (unit.active == "failed" or not unit.there) and not world.foreign.asking


def waits(world: World, state: UnitState) -> bool:
    """Whether a unit waits for one of the host's that is down there: for who knows how long."""
    name = state.waits_for
    return bool(name) and has(world, name) and not there(world, name) and not world.foreign.asking


def blocker(world: World, name: str) -> tuple[str | None, str]:
    """Which of the host's units a unit that is to start waits for, and why."""
    foreign, graph = world.foreign, world.graph
    needed = [x for x in graph.requirements(name) if _is_foreign(world, x)]
    before = [x for x in graph.after.of(name) if x.endswith(HOST_KINDS) and has(world, x)]
    if not needed and not before:
        return None, ""
    for other in needed:
        foreign.states.setdefault(other, _UNKNOWN)  # required by an instance made on demand
    if world.now - foreign.seen > FRESH or _UNKNOWN in map(foreign.states.get, needed):
        if not foreign.silent or foreign.due is None or foreign.due <= world.now:
            _ask(world)
        return [*needed, *before][0], "the host's systemd is asked about"
    for other in needed:
        unit = foreign.states[other]
        if not unit.up:
            return _wait(world, other, unit)
    for other in before:
        unit = foreign.states[other]
        if unit.active == "activating":
            return _wait(world, other, unit)
    if any(x in needed for x in graph.binds_to.of(name)):
        _look_again(world, FOLLOW)
    return None, ""


def _wait(world: World, name: str, unit: HostUnit) -> tuple[str, str]:
    foreign = world.foreign
    if not foreign.asking and foreign.due is None:
        _look_again(world, foreign.pause)
        foreign.pause = min(2 * foreign.pause, SLOWEST)
    state = unit.active if unit.there else unit.load
    return name, f"is {state} (the host's systemd)"


def _is_foreign(world: World, name: str) -> bool:
    if world.desired is None or name in world.desired.units or "@." in name:
        return False
    return name in world.foreign.states or (
        name not in world.units and world.wanted_unit(name) is None
    )
