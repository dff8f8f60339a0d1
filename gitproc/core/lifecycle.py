"""What a service does in each state: its commands, its signals, its deadline; and what their end means.

`transitions.py` says where a cause leads; this module carries a unit there. Entering a state orders that
state's work; `process_*` functions turn the end of that work into the next cause. Targets and slices have
no processes: they are up or down.
"""

from __future__ import annotations

from gitproc.core import attribution, deadlines, health, relations, reload, watchdog
from gitproc.core.actions import (
    CheckConditions,
    FindMain,
    Release,
    SignalTree,
    WatchBusName,
    WatchTree,
)
from gitproc.core.dialogue import RELOADING, STOPPING
from gitproc.core.events import Slot
from gitproc.core.killing import (
    FINAL_ROUND,
    FIRST_ROUND,
    gone,
    looks_for_main,
    order_signals,
    unknown_main,
    watch_rest,
)
from gitproc.core.restart import (
    SIGKILL,
    cured_at,
    restart_delay,
    shall_restart,
    start_limit_hit,
)
from gitproc.core.socket_orders import CloseSocket, OpenSocket
from gitproc.core.spawning import cancel, postpone, spawn
from gitproc.core.states import FINE, RESTS, Result, SubState
from gitproc.core.states import STOPPING as STOPPING_STATES
from gitproc.core.transitions import LIVES, Cause, End, next_state
from gitproc.core.unit_state import UnitState
from gitproc.core.world import World
from gitproc.units import directives as d
from gitproc.units.conditions import conditions_of
from gitproc.units.seats import home, is_second
from gitproc.units.service_types import ServiceType
from gitproc.units.unit import Unit

COMMANDS = {
    SubState.CONDITION: d.EXEC_CONDITION,
    SubState.START_PRE: d.EXEC_START_PRE,
    SubState.START_POST: d.EXEC_START_POST,
    SubState.RELOAD: d.EXEC_RELOAD,
    SubState.STOP: d.EXEC_STOP,
    SubState.STOP_POST: d.EXEC_STOP_POST,
}
LOOP = 2  # restarts in a row by which a unit is said to be in a loop


def move(world: World, state: UnitState, cause: Cause) -> None:
    """Take the arrow that the table has for `cause`, if it has one."""
    target = next_state(state.sub, cause)
    if target is None:
        return
    if isinstance(target, End):
        finish(world, state)
    else:
        at_rest = target is SubState.RUNNING
        enter(world, state, RESTS.get(state.definition.kind, target) if at_rest else target)


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
    checking = state.sub is SubState.CONDITION and not state.born and state.control is None
    if definite.kind not in LIVES or checking:
        if definite.kind == "slice":
            world.do(Release(definite, state.invocation, keep_runtime=False))
        enter(world, state, SubState.DEAD)
        return
    world.tell("unit.stopping", state.name, f"Stopping {describe(definite)}")
    move(world, state, Cause.HALT)


def describe(unit: Unit) -> str:
    """How a unit is spoken of: `name - Description=`."""
    text = unit[d.DESCRIPTION]
    name = home(unit.name)
    return f"{name} - {text}" if text else name


# -- entering states ---------------------------------------------------------------------------------


def enter(world: World, state: UnitState, sub: SubState) -> None:
    """Be in `sub` from now on and order what that state does."""
    was_up = state.up
    before, deadline = state.sub, state.deadline
    if before is SubState.RELOAD:
        reload.leave(world, state)
    if world.idlers and sub in STOPPING_STATES:
        cancel(world, state)
    state.sub = sub
    state.entered = world.now
    state.deadline = None
    state.find_main_at = None
    state.command = 0
    world.touch(state.name)
    if state.up and not was_up:
        state.active_since = world.now
        world.alarm(cured_at(world, state), state.name)
    watchdog.follow(world, state)
    match sub:
        case SubState.START:
            _enter_start(world, state)
        case SubState.RUNNING:
            if state.definition.kind == "service":
                _enter_running(world, state, fresh=not was_up)
        case SubState.STOP_WATCHDOG | SubState.STOP_SIGTERM | SubState.STOP_SIGKILL:
            _enter_signal(world, state, final=False)
        case SubState.RELOAD_SIGNAL:
            deadlines.arm(world, state, deadlines.start_timeout(world, state.definition))
        case SubState.RELOAD_NOTIFY:
            if before is SubState.RELOAD_SIGNAL and deadline is not None:
                deadlines.arm(world, state, deadline - world.now)  # one deadline for both
            else:
                deadlines.arm(world, state, deadlines.start_timeout(world, state.definition))
        case SubState.FINAL_WATCHDOG | SubState.FINAL_SIGTERM | SubState.FINAL_SIGKILL:
            _enter_signal(world, state, final=True)
        case (
            SubState.ACTIVE
            | SubState.EXITED
            | SubState.WAITING
            | SubState.ELAPSED
            | SubState.LISTENING
        ):
            if not was_up and state.definition.has_files:  # built-in targets come and go unsaid
                world.tell("unit.started", state.name, f"Started {describe(state.definition)}")
        case SubState.CONDITION if conditions_of(state.definition.values):
            deadlines.arm(world, state, world.settings.timeout_start)
            world.do(CheckConditions(state.definition, state.invocation))
        case SubState.DEAD | SubState.FAILED | SubState.AUTO_RESTART:
            pass
        case (
            SubState.CONDITION
            | SubState.START_PRE
            | SubState.START_POST
            | SubState.RELOAD
            | SubState.STOP
            | SubState.STOP_POST
        ):
            if sub in (SubState.STOP, SubState.STOP_POST):
                health.cease(world, state)
            elif sub is SubState.RELOAD:
                reload.send(world, state)
            if sub is SubState.STOP_POST and state.definition.kind == "socket":
                world.do(CloseSocket(state.definition))
            next_command(world, state)


def next_command(world: World, state: UnitState) -> None:
    """Run the state's next command, or be done with it."""
    unit = state.definition
    commands = unit[COMMANDS[state.sub]]
    if state.command >= len(commands):
        if state.sub is SubState.RELOAD:
            _reload_commands_done(world, state)
            return
        if looks_for_main(state):
            world.do(FindMain(unit, state.invocation))
            return
        move(world, state, Cause.DONE)  # if it has ended badly meanwhile, that counts now
        return
    starting = state.starting or state.sub is SubState.RELOAD
    limit = deadlines.start_timeout if starting else deadlines.stop_timeout
    deadlines.arm(world, state, limit(world, unit))
    state.control = spawn(world, state, Slot.CONTROL, commands[state.command])


def _reload_commands_done(world: World, state: UnitState) -> None:
    cause = reload.after_commands(state)
    if cause is Cause.DONE and state.result is Result.SUCCESS:
        reloaded(world, state)
    move(world, state, cause)


def reloaded(world: World, state: UnitState) -> None:
    """A reload has succeeded."""
    state.unread = ""
    world.tell("unit.reloaded", state.name, f"Reloaded {describe(state.definition)}")


def _enter_start(world: World, state: UnitState) -> None:
    unit = state.definition
    if not state.tree_empty and unit[d.KILL_MODE].ends_all:
        # What ExecStartPre= left behind does not go on beside the service (systemd.service(5)). Where KillMode=
        # leaves processes alone, it may be those of an earlier instance: a session of sshd's.
        world.do(SignalTree(state.seat, state.invocation, SIGKILL))
    deadlines.arm(world, state, deadlines.start_timeout(world, unit))
    if unit.kind == "socket":
        world.do(OpenSocket(unit, state.invocation))
        return
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
    elif state.definition[d.TYPE] is ServiceType.IDLE:
        state.main = postpone(world, state)
        move(world, state, Cause.READY)
    else:
        if state.definition[d.TYPE] is ServiceType.DBUS:
            world.do(WatchBusName(state.name, state.invocation, state.definition[d.BUS_NAME]))
        state.main = spawn(world, state, Slot.MAIN, command)


def _enter_running(world: World, state: UnitState, *, fresh: bool) -> None:
    """`fresh`: the unit has just come up, rather than been reloaded."""
    unit = state.definition
    if state.result is not Result.SUCCESS:  # it ended badly while something else was waited for
        move(world, state, Cause.CRASHED)
        return
    if state.main is None and not unknown_main(state):
        if unit[d.REMAIN_AFTER_EXIT]:
            if fresh:
                world.tell("unit.started", state.name, f"Started {describe(unit)}")
            move(world, state, Cause.DONE)
            return
        if unit[d.TYPE] is ServiceType.ONESHOT:
            world.tell("unit.finished", state.name, f"Finished {describe(unit)}")
        move(world, state, Cause.COMPLETED)
        return
    if state.main is None:
        world.do(WatchTree(state.seat, state.invocation))
    if fresh:
        world.tell("unit.started", state.name, f"Started {describe(unit)}")
    phase = state.dialogue.phase if state.dialogue is not None else ""
    if phase == RELOADING:  # said before it could be acted upon
        move(world, state, Cause.RELOADING)
        return
    if phase == STOPPING:
        leave(world, state)
        return
    deadlines.arm_runtime(world, state)
    health.commence(world, state)


def leave(world: World, state: UnitState) -> None:
    """STOPPING=1: it ends by itself, and is not signalled while it takes no longer than a stop may."""
    watchdog.dialogue(state).leaving = True
    move(world, state, Cause.LEAVING)


def _enter_signal(world: World, state: UnitState, *, final: bool) -> None:
    health.cease(world, state)
    unit = state.definition
    strong = state.sub in (SubState.STOP_SIGKILL, SubState.FINAL_SIGKILL)
    if strong and not unit[d.SEND_SIGKILL]:
        move(world, state, Cause.TIMEOUT)
        return
    if gone(state, final=final):
        move(world, state, Cause.EMPTY)
        return
    order_signals(world, state)
    deadlines.arm(world, state, deadlines.signal_timeout(world, state))


def settle_signal(world: World, state: UnitState) -> None:
    """In a waiting state: go on if what it waits for is gone."""
    final = state.sub in FINAL_ROUND
    if not final and state.sub not in FIRST_ROUND:
        return
    if gone(state, final=final):
        move(world, state, Cause.EMPTY)
    else:
        watch_rest(world, state)


# -- the end -----------------------------------------------------------------------------------------


def finish(world: World, state: UnitState) -> None:
    """Everything has ended: dead, failed, or waiting for an automatic restart."""
    unit = state.definition
    again = False
    delay = restart_delay(unit, world.settings, state.restarts + 1)
    replaced = state.ordered_stop or bool(state.restart_wanted)
    if not replaced and state.connection is None and not is_second(state.name):
        again = state.forced_restart or shall_restart(unit, state.result, state.last_exit)
        upheld = relations.upheld_by(world, state.name) is not None
        again = again or (upheld and state.result is not Result.EXEC_CONDITION)
        if again and start_limit_hit(state, unit, world.settings, world.now + delay):
            again = False
            state.message = f"start limit hit after: {state.message or state.result}"
            state.result = Result.START_LIMIT_HIT
    if state.connection is not None:
        state.demanded = False  # whoever wants it replaced: its connection ends with it
    keep = again or bool(state.restart_wanted)
    world.do(Release(unit, state.invocation, keep, forget=state.connection is not None))
    state.main = state.control = state.probe = None
    state.tree_empty = True
    state.active_since = None
    restarting = bool(state.restart_wanted)
    state.restart_wanted = state.reload_wanted = ""
    if again:
        state.restarts += 1
        state.restart_at = world.now + delay
        relations.note_end(world, state, "on_retry")
        enter(world, state, SubState.AUTO_RESTART)
        world.alarm(state.restart_at, state.name)
        text = f"{state.message or 'ended'}; restart {state.restarts} in {delay:g} s"
        change = None
        if state.restarts == LOOP and state.result is not Result.SUCCESS:
            text += attribution.blame(world, state.name)
            change = attribution.record(world.changes.get(state.name))
        world.tell("unit.restarting", state.name, text, result=state.result.value, change=change)
        return
    if not replaced:
        state.done = unit.fingerprint
        if state.activation is not None:  # it rests until it is triggered again
            state.demanded, state.activation = False, None
    bad = state.result not in FINE
    good = state.result is Result.SUCCESS
    state.finished = not replaced and good and unit[d.TYPE] is ServiceType.ONESHOT
    enter(world, state, SubState.FAILED if bad else SubState.DEAD)
    if bad:
        tell_failed(world, state)
    elif good:
        if not restarting:
            relations.note_end(world, state, "on_success")
        world.tell("unit.stopped", state.name, f"Stopped {describe(unit)}")
    else:
        world.tell("unit.skipped", state.name, f"Skipped {describe(unit)}: {state.message}")


def tell_failed(world: World, state: UnitState) -> None:
    """Announce a failure that no restart follows; OnFailure= hears of it, too."""
    relations.note_end(world, state, "on_failure")
    text = f"Failed: {describe(state.definition)}: {state.message or state.result}"
    text += attribution.blame(world, home(state.name))
    change = attribution.record(world.changes.get(home(state.name)))
    world.tell("unit.failed", state.name, text, result=state.result.value, change=change)
