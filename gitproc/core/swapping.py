"""When a new instance takes over from the one that serves, and what becomes of that one (Update=overlap)."""

from __future__ import annotations

from gitproc.core import deadlines, lifecycle
from gitproc.core.health import has_check
from gitproc.core.overlap import second_of
from gitproc.core.states import SubState
from gitproc.core.unit_state import UnitState
from gitproc.core.world import World
from gitproc.units.seats import other_seat


def act(world: World) -> None:
    """Have new instances take over that can, and old ones give way."""
    for name in tuple(world.updating):
        first, second = world.units.get(name), second_of(world, name)
        if second is None:
            del world.updating[name]
            world.look_at((name,))
        elif first is None or second.down or second.stopping:
            continue
        elif first.down:
            _exchange(world, first, second)
            text = "the new instance takes over from one that has ended"
            world.tell("unit.swapped", name, text, invocation=second.invocation)
        elif _can_take_over(second) and not first.stopping and not first.restart_wanted:
            _exchange(world, first, second)
            pid = second.main.pid if second.main is not None else 0
            text = f"the new instance (PID {pid}) serves; the one before drains"
            world.tell("unit.swapped", name, text, invocation=second.invocation, pid=pid)
            first.drains = True
            lifecycle.halt(world, first)


def _can_take_over(state: UnitState) -> bool:
    """It is ready, runs its program, and has passed its health check once if it has one."""
    if state.sub is not SubState.RUNNING or state.main is None or not state.main.executed:
        return False
    return state.health.passed or not has_check(state.definition)


def _exchange(world: World, first: UnitState, second: UnitState) -> None:
    """The two change names, and with them places; what is the unit's and not the instance's stays."""
    name, beside = first.name, other_seat(first.name)
    first.name, second.name = beside, name
    world.units[name], world.units[beside] = second, first
    second.demanded, first.demanded = first.demanded, False
    second.activation = first.activation
    for state in (first, second):
        deadlines.remind(world, state)
        world.touch(state.name)
