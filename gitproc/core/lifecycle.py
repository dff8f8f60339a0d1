"""What a service does in each state: its commands, its signals, its deadline; and what their end means.

`transitions.py` says where a cause leads; this module carries a unit there. Entering a state orders that
state's work; `process_*` functions turn the end of that work into the next cause. Targets and slices have
no processes: they are up or down.
"""

from __future__ import annotations

import math

from gitproc.core import health
from gitproc.core.actions import Release, Signal, SignalTree, Spawn, WatchTree
from gitproc.core.events import Process, Slot
from gitproc.core.restart import (
    SIGKILL,
    restart_delay,
    shall_restart,
    start_limit_hit,
)
from gitproc.core.states import Result, SubState
from gitproc.core.transitions import Cause, End, next_state
from gitproc.core.world import Health, LastExit, Running, UnitState, World
from gitproc.units import directives as d
from gitproc.units.service_types import KillMode, ServiceType
from gitproc.units.unit import Unit
from gitproc.units.values import ExecCommand

COMMANDS = {
    SubState.START_PRE: d.EXEC_START_PRE,
    SubState.START_POST: d.EXEC_START_POST,
    SubState.RELOAD: d.EXEC_RELOAD,
    SubState.STOP: d.EXEC_STOP,
    SubState.STOP_POST: d.EXEC_STOP_POST,
}
_START_STATES = frozenset({SubState.START_PRE, SubState.START, SubState.START_POST})


def begin(world: World, state: UnitState, unit: Unit) -> None:
    """Start a new instance of `unit`, whatever ended before."""
    if state.sub is not SubState.AUTO_RESTART:
        state.restarts = 0
        state.starts = []
    state.unit = unit
    state.invocation = world.new_invocation()
    state.result = Result.SUCCESS
    state.main = state.control = state.probe = None
    state.tree_empty = True
    state.restart_at = None
    state.restart_wanted = state.reload_wanted = ""
    state.ordered_stop = state.forced_restart = state.oom = state.reload_failed = False
    state.finished = False
    state.done = state.status_text = state.message = ""
    state.waits_for = state.waits_because = ""
    state.health = Health()
    state.last_exit = LastExit()
    if unit.kind != "service":
        enter(world, state, SubState.ACTIVE)
        return
    world.tell("unit.starting", state.name, f"Starting {describe(unit)}")
    move(world, state, Cause.BEGIN)


def move(world: World, state: UnitState, cause: Cause) -> None:
    """Take the arrow that the table has for `cause`, if it has one."""
    target = next_state(state.sub, cause)
    if target is None:
        return
    if isinstance(target, End):
        finish(world, state)
    else:
        enter(world, state, target)


def fail(world: World, state: UnitState, result: Result, message: str, cause: Cause) -> None:
    """Record a failure (the first one counts) and move on."""
    note_failure(state, result, message)
    move(world, state, cause)


def note_failure(state: UnitState, result: Result, message: str) -> None:
    """The first cause of failure sticks; later ones do not overwrite it."""
    if state.result is Result.SUCCESS:
        state.result = result
        state.message = message


def halt(world: World, state: UnitState) -> None:
    """Stop an instance because something (operator, commit, dependency, shutdown) says so."""
    state.ordered_stop = True
    definite = state.definition
    if definite.kind != "service":
        enter(world, state, SubState.DEAD)
        return
    world.tell("unit.stopping", state.name, f"Stopping {describe(definite)}")
    move(world, state, Cause.HALT)


def describe(unit: Unit) -> str:
    """How a unit is spoken of: `name - Description=`."""
    text = unit[d.DESCRIPTION]
    return f"{unit.name} - {text}" if text else unit.name


# -- entering states ---------------------------------------------------------------------------------


def enter(world: World, state: UnitState, sub: SubState) -> None:
    """Be in `sub` from now on and order what that state does."""
    was_up = state.up
    state.sub = sub
    state.entered = world.now
    state.deadline = None
    state.find_main_at = None
    state.command = 0
    world.touch(state.name)
    if state.up and not was_up:
        state.active_since = world.now
    match sub:
        case SubState.START:
            _enter_start(world, state)
        case SubState.RUNNING:
            _enter_running(world, state)
        case SubState.STOP_SIGTERM | SubState.STOP_SIGKILL:
            _enter_signal(world, state, final=False)
        case SubState.FINAL_SIGTERM | SubState.FINAL_SIGKILL:
            _enter_signal(world, state, final=True)
        case SubState.ACTIVE | SubState.EXITED:
            if state.definition.fragment:  # built-in targets come and go unsaid
                world.tell("unit.started", state.name, f"Started {describe(state.definition)}")
        case SubState.DEAD | SubState.FAILED | SubState.AUTO_RESTART:
            pass
        case (
            SubState.START_PRE
            | SubState.START_POST
            | SubState.RELOAD
            | SubState.STOP
            | SubState.STOP_POST
        ):
            if sub in (SubState.STOP, SubState.STOP_POST):
                health.cease(world, state)
            next_command(world, state)


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


def _arm(world: World, state: UnitState, seconds: float) -> None:
    if seconds != math.inf:
        state.deadline = world.now + seconds
        world.alarm(state.deadline, state.name)


def next_command(world: World, state: UnitState) -> None:
    """Run the state's next command, or be done with it."""
    unit = state.definition
    commands = unit[COMMANDS[state.sub]]
    if state.command >= len(commands):
        if state.sub is SubState.RELOAD and not state.reload_failed:
            world.tell("unit.reloaded", state.name, f"Reloaded {describe(unit)}")
        move(world, state, Cause.DONE)
        return
    starting = state.sub in (*_START_STATES, SubState.RELOAD)
    _arm(world, state, start_timeout(world, unit) if starting else stop_timeout(world, unit))
    state.control = spawn(world, state, Slot.CONTROL, commands[state.command])


def spawn(world: World, state: UnitState, slot: Slot, command: ExecCommand) -> Running:
    """Order a process of this instance and remember its token."""
    process = world.new_process(state, slot)
    order_spawn(world, state, process, command)
    state.tree_empty = False
    world.dirty[state.name] = None
    return Running(process)


def order_spawn(world: World, state: UnitState, process: Process, command: ExecCommand) -> None:
    """The order alone: also used to repeat one that a crash has swallowed (the shim knows the token)."""
    variables = []
    if process.slot is not Slot.MAIN and state.main is not None and state.main.pid:
        variables.append(f"MAINPID={state.main.pid}")
    if state.sub in (SubState.STOP, SubState.STOP_POST):
        variables.append(f"SERVICE_RESULT={state.result}")
        if state.last_exit.code:
            variables.append(f"EXIT_CODE={state.last_exit.code}")
            variables.append(f"EXIT_STATUS={state.last_exit.status}")
    world.do(Spawn(process, state.definition, command, tuple(variables), first=state.tree_empty))


def _enter_start(world: World, state: UnitState) -> None:
    unit = state.definition
    if not state.tree_empty:
        # What ExecStartPre= left behind does not go on beside the service (systemd.service(5)).
        world.do(SignalTree(state.name, state.invocation, SIGKILL))
    _arm(world, state, start_timeout(world, unit))
    start_command(world, state)


def start_command(world: World, state: UnitState) -> None:
    """Run the next ExecStart= command; a oneshot has several, and may have none."""
    commands = state.definition[d.EXEC_START]
    if state.command >= len(commands):
        move(world, state, Cause.DONE)
        return
    command = commands[state.command]
    if state.definition[d.TYPE] is ServiceType.FORKING:
        state.control = spawn(world, state, Slot.CONTROL, command)
    else:
        state.main = spawn(world, state, Slot.MAIN, command)


def _enter_running(world: World, state: UnitState) -> None:
    unit = state.definition
    if state.main is None and not _unknown_main(state):
        if unit[d.REMAIN_AFTER_EXIT]:
            move(world, state, Cause.DONE)
            return
        if unit[d.TYPE] is ServiceType.ONESHOT:
            world.tell("unit.finished", state.name, f"Finished {describe(unit)}")
        move(world, state, Cause.COMPLETED)
        return
    if state.main is None:
        world.do(WatchTree(state.name, state.invocation))
    world.tell("unit.started", state.name, f"Started {describe(unit)}")
    health.commence(world, state)


def _unknown_main(state: UnitState) -> bool:
    """A forking service without a known main process runs as long as anything of it does."""
    forking = state.definition[d.TYPE] is ServiceType.FORKING
    return forking and not state.tree_empty and not state.last_exit.code


def _enter_signal(world: World, state: UnitState, *, final: bool) -> None:
    health.cease(world, state)
    unit = state.definition
    mode = unit[d.KILL_MODE]
    strong = state.sub in (SubState.STOP_SIGKILL, SubState.FINAL_SIGKILL)
    if strong and not unit[d.SEND_SIGKILL]:
        move(world, state, Cause.TIMEOUT)
        return
    if gone(state, final=final):
        move(world, state, Cause.EMPTY)
        return
    signal = unit[d.FINAL_KILL_SIGNAL] if strong else unit[d.KILL_SIGNAL]
    if not strong and state.restart_wanted and unit.has(d.RESTART_KILL_SIGNAL):
        signal = unit[d.RESTART_KILL_SIGNAL]
    whole_tree = mode is KillMode.CONTROL_GROUP or (mode is KillMode.MIXED and (final or strong))
    if mode is KillMode.MIXED and final:
        signal = unit[d.FINAL_KILL_SIGNAL]
    if whole_tree:
        world.do(SignalTree(state.name, state.invocation, signal))
        if unit[d.SEND_SIGHUP] and not strong:
            world.do(SignalTree(state.name, state.invocation, 1))
        world.do(WatchTree(state.name, state.invocation))
    elif mode is not KillMode.NONE:
        for slot in (state.main, state.control):
            if slot is not None:
                world.do(Signal(slot.process, signal))
                if unit[d.SEND_SIGHUP] and not strong:
                    world.do(Signal(slot.process, 1))
    _arm(world, state, stop_timeout(world, unit))


def gone(state: UnitState, *, final: bool) -> bool:
    """Whether the processes that this state waits for are gone.

    The first round waits for the main and control process; the final one for the whole tree, as far as
    KillMode= lets us kill it.
    """
    if state.tree_empty:
        return True
    mode = state.definition[d.KILL_MODE]
    if mode is KillMode.NONE:
        return True
    known = state.main is not None or state.control is not None
    if known:
        return False
    if final:
        return mode is KillMode.PROCESS
    # Nothing known is left: the final round takes care of the rest. Without a known main process the
    # tree is all there is to wait for.
    return mode is not KillMode.CONTROL_GROUP or not _unknown_main(state)


def settle_signal(world: World, state: UnitState) -> None:
    """In a waiting state: go on if what it waits for is gone."""
    final = state.sub in (SubState.FINAL_SIGTERM, SubState.FINAL_SIGKILL)
    waiting = final or state.sub in (SubState.STOP_SIGTERM, SubState.STOP_SIGKILL)
    if waiting and gone(state, final=final):
        move(world, state, Cause.EMPTY)


# -- the end -----------------------------------------------------------------------------------------


def finish(world: World, state: UnitState) -> None:
    """Everything has ended: dead, failed, or waiting for an automatic restart."""
    unit = state.definition
    again = False
    if not state.ordered_stop:
        again = state.forced_restart or shall_restart(unit, state.result, state.last_exit)
        if again and start_limit_hit(state, unit, world.settings, world.now):
            again = False
            state.message = f"start limit hit after: {state.message or state.result}"
            state.result = Result.START_LIMIT_HIT
    world.do(Release(unit, state.invocation, keep_runtime=again or bool(state.restart_wanted)))
    state.main = state.control = state.probe = None
    state.tree_empty = True
    state.active_since = None
    if again:
        state.restarts += 1
        delay = restart_delay(unit, world.settings)
        state.restart_at = world.now + delay
        enter(world, state, SubState.AUTO_RESTART)
        world.alarm(state.restart_at, state.name)
        world.tell(
            "unit.restarting",
            state.name,
            f"{state.message or 'ended'}; restart {state.restarts} in {delay:g} s",
            result=state.result.value,
        )
        return
    if not state.ordered_stop:
        state.done = unit.fingerprint
    bad = state.result is not Result.SUCCESS
    state.finished = not state.ordered_stop and not bad and unit[d.TYPE] is ServiceType.ONESHOT
    enter(world, state, SubState.FAILED if bad else SubState.DEAD)
    if bad:
        text = f"Failed: {describe(unit)}: {state.message or state.result}"
        world.tell("unit.failed", state.name, text, result=state.result.value)
    else:
        world.tell("unit.stopped", state.name, f"Stopped {describe(unit)}")


def timed_out(world: World, state: UnitState) -> None:
    """The state's deadline has passed."""
    sub = state.sub
    if sub in (SubState.STOP_SIGKILL, SubState.FINAL_SIGKILL):
        world.tell("unit.survivors", state.name, "processes still around after SIGKILL; going on")
    elif sub is SubState.RELOAD:
        state.reload_failed = True
        world.tell("unit.reload-failed", state.name, "reload timed out")
        if state.control is not None:
            world.do(Signal(state.control.process, SIGKILL))
            state.control = None
    else:
        what = "start" if sub in _START_STATES else "stop"
        note_failure(state, Result.TIMEOUT, state.message or f"{what} timed out in state {sub}")
    if state.control is not None and sub in (SubState.STOP, SubState.STOP_POST):
        world.do(Signal(state.control.process, SIGKILL))
    move(world, state, Cause.TIMEOUT)


def abort(world: World, state: UnitState, result: Result, message: str) -> None:
    """Take down a running instance that is no good any more (unhealthy, out of memory)."""
    fail(world, state, result, message, Cause.ABORT)
