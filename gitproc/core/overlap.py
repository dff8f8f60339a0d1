"""Two instances of one service at once (Update=overlap): which is which, and whether there are to be two.

The unit's own state (`web.service`) is that of the instance that serves. Beside it stands a second one under a
name that no unit has (`web~.service`): a new instance that has not taken over yet, or the old one that has
given way and drains. It goes through states, records, adoption and requests as any unit does; no dependency
names it. What it is to be follows from what is: a new instance is wanted while the one that serves has another
definition than the commit in force, an old one never. When they change places, the states change names
(`swapping.py`), and each instance keeps its seat: the name by which the kernel's side knows it.
"""

from __future__ import annotations

from collections.abc import Iterator

from gitproc.core.events import Process
from gitproc.core.plan import compare, overlaps
from gitproc.core.reload import can_reload
from gitproc.core.states import FINE
from gitproc.core.unit_state import Running, UnitState
from gitproc.core.world import World
from gitproc.units.directive import Change
from gitproc.units.seats import home, is_second, other_seat
from gitproc.units.unit import Unit


def present(world: World, seat: str, invocation: str) -> UnitState | None:
    """The state of this very instance, whichever name it stands under; None if it is not there any more."""
    state = world.units.get(seat)
    if state is not None and state.invocation == invocation:
        return state
    if seat.endswith(".service"):
        state = world.units.get(other_seat(seat))
        if state is not None and state.invocation == invocation:
            return state
    return None


def owner(world: World, process: Process) -> tuple[UnitState | None, Running | None]:
    """The state that expects this process, and where; (None, None) if nobody does."""
    state = present(world, process.unit, process.invocation)
    return state, state.running(process) if state is not None else None


def sitting(world: World, seat: str) -> UnitState | None:
    """The state of the instance that sits, or sat last, in this seat."""
    names = (seat, other_seat(seat)) if seat.endswith(".service") else (seat,)
    for name in names:
        state = world.units.get(name)
        if state is not None and state.seat == seat:
            return state
    return None


def neighbour(world: World, seat: str) -> UnitState | None:
    """The state of the instance that lives in the other seat of the same service."""
    if not seat.endswith(".service"):
        return None
    other = other_seat(seat)
    for name in (seat, other):
        state = world.units.get(name)
        if state is not None and not state.down and state.seat == other:
            return state
    return None


def seat_of(world: World, state: UnitState) -> str:
    """Where an instance sits, also one whose definition is lost: not where the one beside it does."""
    if state.unit is None and state.name.endswith(".service"):
        mate = world.units.get(other_seat(state.name))
        if mate is not None and mate.unit is not None:
            return other_seat(mate.seat)
    return state.seat


def second_of(world: World, name: str) -> UnitState | None:
    """What stands beside the serving instance of a unit, if anything does."""
    return world.units.get(other_seat(name)) if name in world.updating else None


def instances(world: World, state: UnitState) -> Iterator[UnitState]:
    """All instances of a unit: the one that serves, and the one beside it that is not down."""
    yield state
    second = second_of(world, state.name)
    if second is not None and not second.down:
        yield second


def replaces(old: Unit, new: Unit) -> bool:
    """Whether `new` takes another instance than one of `old`."""
    if old.values is new.values or old.fingerprint == new.fingerprint:
        return False
    change = compare(old, new).change
    return change is Change.RESTART or (change is Change.RELOAD and not can_reload(new))


def _serves(state: UnitState) -> bool:
    return state.up and not state.restart_wanted


def begin_beside(world: World, state: UnitState, unit: Unit) -> bool:
    """Whether `unit` gets an instance beside this one, which is left alone; see to it that it does."""
    if is_second(state.name) or not overlaps(state, unit) or not _serves(state):
        return False
    if not replaces(state.definition, unit):
        return False
    second = other_seat(state.name)
    world.updating[state.name] = None
    world.state(second)
    world.look_at((second,))
    return True


def beside(world: World, second: str, unit: Unit | None) -> Unit | None:
    """The definition of which there is to be an instance beside the one that serves; `unit`: what that unit
    is to be. One that is there already stays, and takes over, if the one that serves ends meanwhile."""
    first, state = world.units.get(home(second)), world.units.get(second)
    if unit is None or first is None or first.unit is None or not overlaps(first, unit):
        return None
    there = state is not None and not state.down and not state.stopping
    there = there or _failed(state, unit)  # what is known of it counts as long as it is wanted
    if not (there or _serves(first)) or not replaces(first.unit, unit):
        return None
    return unit.seated(other_seat(first.seat))


def _failed(second: UnitState | None, unit: Unit) -> bool:
    return second is not None and second.down and second.done == unit.fingerprint


def kept_to(world: World, name: str, unit: Unit) -> Unit:
    """The definition by which the serving instance goes on: its own once a new one of `unit` has failed.

    What has been tried and found bad is not tried again by itself, nor in place of what was found good.
    """
    first = world.units.get(name)
    if first is None or first.unit is None or not _failed(second_of(world, name), unit):
        return unit
    return first.unit


def try_again(world: World, name: str) -> None:
    """Whatever has failed beside this unit is nobody's reason any more."""
    second = second_of(world, name)
    if second is not None and second.down and second.done:
        second.done = ""
        world.touch(second.name)


def failure(world: World, name: str) -> str:
    """How the new instance that the commit in force asks for has failed before it could take over; or empty."""
    second, unit = second_of(world, name), world.wanted_unit(name)
    if second is None or unit is None or not _failed(second, unit):
        return ""
    how = second.message or (
        second.result.value if second.result not in FINE else "it ended before it could take over"
    )
    return f"new instance: {how}; the one before goes on"
