"""Ordering the processes of an instance: under which token, with which variables, and for how long at most."""

from __future__ import annotations

import math

from gitproc.core.actions import Spawn
from gitproc.core.events import Process, Slot
from gitproc.core.states import SubState
from gitproc.core.world import Running, UnitState, World
from gitproc.units import directives as d
from gitproc.units.service_types import ServiceType
from gitproc.units.unit import Unit
from gitproc.units.values import ExecCommand


def spawn(world: World, state: UnitState, slot: Slot, command: ExecCommand) -> Running:
    """Order a process of this instance and remember its token."""
    process = world.new_process(state, slot)
    order_spawn(world, state, process, command)
    state.tree_empty = False
    world.dirty[state.name] = None
    if world.adopting:
        world.announced.add(process)  # the shim's table was read before it
    return Running(process)


def order_spawn(world: World, state: UnitState, process: Process, command: ExecCommand) -> None:
    """The order alone: also used to repeat one that a crash has swallowed (the shim knows the token)."""
    variables = [*state.activation.variables] if state.activation is not None else []
    if process.slot is not Slot.MAIN and state.main is not None and state.main.pid:
        variables.append(f"MAINPID={state.main.pid}")
    if state.sub in (SubState.STOP, SubState.STOP_POST):
        variables.append(f"SERVICE_RESULT={state.result}")
        if state.last_exit.code:
            variables.append(f"EXIT_CODE={state.last_exit.code}")
            variables.append(f"EXIT_STATUS={state.last_exit.status}")
    world.do(Spawn(process, state.definition, command, tuple(variables), first=not state.born))


def start_timeout(world: World, unit: Unit) -> float:
    """Seconds; a oneshot has no start timeout unless it names one (systemd.service(5))."""
    if unit.has(d.TIMEOUT_START_SEC):
        return unit[d.TIMEOUT_START_SEC] or math.inf
    return math.inf if unit[d.TYPE] is ServiceType.ONESHOT else world.settings.timeout_start


def stop_timeout(world: World, unit: Unit) -> float:
    """Seconds."""
    if unit.has(d.TIMEOUT_STOP_SEC):
        return unit[d.TIMEOUT_STOP_SEC] or math.inf
    return world.settings.timeout_stop
