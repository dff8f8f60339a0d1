"""Ordering processes: their tokens, and what the manager itself puts into their environment.

$MAINPID, $SERVICE_RESULT, $EXIT_CODE and $EXIT_STATUS are systemd.exec(5)'s, $WATCHDOG_USEC sd_notify(3)'s.
"""

from __future__ import annotations

import math

from gitproc.core import watchdog
from gitproc.core.actions import Keep, Spawn
from gitproc.core.events import ExitCode, Process, Slot
from gitproc.core.listening import sockets_for
from gitproc.core.states import SubState
from gitproc.core.unit_state import LastExit, Running, UnitState
from gitproc.core.world import World
from gitproc.units import directives as d
from gitproc.units.service_types import RestartMode
from gitproc.units.signals import signal_name
from gitproc.units.values import ExecCommand

IDLE_MAX = 5.0  # seconds that a Type=idle service waits for all else to be done


def spawn(world: World, state: UnitState, slot: Slot, command: ExecCommand) -> Running:
    """Order a process of this instance and remember its token."""
    process = world.new_process(state, slot)
    order_spawn(world, state, process, command)
    state.tree_empty = False
    world.dirty[state.name] = None
    if world.adopting:
        world.announced.add(process)  # the shim's table was read before it
    return Running(process)


def postpone(world: World, state: UnitState) -> Running:
    """As `spawn`, for a main process that is ordered later (Type=idle)."""
    wait(world, state)
    state.tree_empty = False
    world.do(Keep(state.definition))  # a crash may come before there is a process
    return Running(world.new_process(state, Slot.MAIN))


def wait(world: World, state: UnitState) -> None:
    """Its main process has a token, and is ordered when all else is done (`idling.py`)."""
    world.idlers[state.name] = world.now + IDLE_MAX
    world.alarm(world.now + IDLE_MAX, state.name)


def cancel(world: World, state: UnitState) -> None:
    """The unit goes down before its main process was ordered."""
    if world.idlers.pop(state.name, None) is not None:
        state.main = None
        state.tree_empty = not state.born


def order_spawn(world: World, state: UnitState, process: Process, command: ExecCommand) -> None:
    """The order alone: also used to repeat one that a crash has swallowed (the shim knows the token)."""
    variables = list(state.activation.variables) if state.activation is not None else []
    if process.slot is not Slot.MAIN and state.main is not None and state.main.pid:
        variables.append(f"MAINPID={state.main.pid}")
    if state.sub in (SubState.STOP, SubState.STOP_POST):
        variables.append(f"SERVICE_RESULT={state.result}")
        if state.last_exit.code:
            variables.append(f"EXIT_CODE={state.last_exit.code}")
            variables.append(f"EXIT_STATUS={exit_status_word(state.last_exit)}")
    service = process.slot is Slot.MAIN or state.sub is SubState.START
    if service and (span := watchdog.interval(state)) != math.inf:
        variables.append(f"WATCHDOG_USEC={round(span * 1e6)}")
    if state.restarts and state.definition[d.RESTART_MODE] is RestartMode.DEBUG:
        variables.append("DEBUG_INVOCATION=1")
    sockets = sockets_for(world, state) if process.slot is not Slot.HEALTH else None
    first = not state.born
    world.do(Spawn(process, state.definition, command, tuple(variables), first, sockets))


def exit_status_word(last: LastExit) -> str:
    """$EXIT_STATUS: the exit status, or the name of the signal without SIG."""
    if last.code in (ExitCode.KILLED, ExitCode.DUMPED):
        return signal_name(last.status).removeprefix("SIG")
    return str(last.status)
