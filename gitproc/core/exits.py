"""What the end (or the birth) of a process means for its unit: the causes that move the life cycle.

`lifecycle.py` orders processes on entering a state; this module hears how they fared, decides what that
means by the unit's Type= and the state it is in, and moves the unit on.
"""

from __future__ import annotations

from gitproc.core import health, reload
from gitproc.core.actions import FindMain, WatchTree
from gitproc.core.events import ExitCode, Slot
from gitproc.core.killing import FINAL_ROUND, FIRST_ROUND, looks_for_main
from gitproc.core.lifecycle import (
    COMMANDS,
    fail,
    move,
    next_command,
    note_failure,
    settle_signal,
    start_command,
)
from gitproc.core.restart import result_of_exit
from gitproc.core.spawning import spawn
from gitproc.core.states import RELOADING, Result, SubState
from gitproc.core.transitions import Cause
from gitproc.core.unit_state import LastExit, Running, UnitState
from gitproc.core.world import World
from gitproc.units import directives as d
from gitproc.units.exit_status import named_status
from gitproc.units.service_types import ExitType, ServiceType
from gitproc.units.signals import signal_name
from gitproc.units.values import ExecCommand

_TO_THEIR_END = (SubState.START_POST, SubState.RELOAD)  # run their commands all the same
FIND_MAIN_RETRY = 0.05  # seconds between looks for a PID file that is not there yet


def process_started(world: World, state: UnitState, slot: Running) -> None:
    """The main process exists: that is all a simple service waits for."""
    state.born = True
    if (
        state.sub is SubState.START
        and slot is state.main
        and state.definition[d.TYPE] in (ServiceType.SIMPLE, ServiceType.IDLE)
    ):
        move(world, state, Cause.READY)


def waits_for_exec(world: World, state: UnitState) -> bool:
    """Whether anything depends on a process having got as far as its program. Nothing does for most, and the
    shim's table tells it again after a crash."""
    starting = state.sub is SubState.START
    return starting or bool(world.requests) or bool(world.updating)


def process_executed(world: World, state: UnitState, slot: Running) -> None:
    """The main process runs its program: that is what Type=exec waits for."""
    if (
        state.sub is SubState.START
        and slot is state.main
        and state.definition[d.TYPE] is ServiceType.EXEC
    ):
        move(world, state, Cause.READY)


def process_refused(world: World, state: UnitState, slot: Running, message: str) -> None:
    """A process could not be made at all: a user that does not exist, a cgroup that is refused."""
    _never_was(world, state, slot)
    if slot.process.slot is Slot.HEALTH:
        probed(world, state, message)
        settle_signal(world, state)
        return
    if state.sub is SubState.RELOAD:
        reload.failed(world, state, message)
        move(world, state, Cause.FAILED)
    elif state.stopping:
        note_failure(state, Result.RESOURCES, message)
        move(world, state, Cause.FAILED)
        settle_signal(world, state)
    else:
        # Type=idle is up before it has a process.
        cause = Cause.CRASHED if state.sub is SubState.RUNNING else Cause.FAILED
        fail(world, state, Result.RESOURCES, message, cause)


def process_unmade(world: World, state: UnitState, slot: Running) -> None:
    """The order to make it was lost, and nobody wants it any more."""
    _never_was(world, state, slot)
    settle_signal(world, state)


def _never_was(world: World, state: UnitState, slot: Running) -> None:
    _forget(state, slot)
    if not state.born:
        state.tree_empty = True  # else nobody can tell but the tree itself
    world.touch(state.name)


def process_exited(
    world: World,
    state: UnitState,
    slot: Running,
    code: ExitCode,
    status: int,
    realtime: float,
    empty: bool,
) -> None:
    """A process of this instance ended: forget it and draw the consequence."""
    is_main = slot is state.main
    _forget(state, slot)
    # What is ordered and not born yet does not show in the tree.
    state.tree_empty = empty and state.main is state.control is state.probe is None
    world.touch(state.name)
    if slot.process.slot is Slot.HEALTH:
        how = _how(code, status)
        healthy = code is ExitCode.EXITED and status == 0
        probed(world, state, None if healthy else f"health command {how}")
        settle_signal(world, state)
        return
    unit = state.definition
    result = result_of_exit(unit, code, status, main=is_main, oom=state.oom)
    command = command_of(state, is_main=is_main)
    ignored = command is not None and command.ignore_failure
    if ignored or (code is ExitCode.LOST and state.stopping and state.ordered_stop):
        result = Result.SUCCESS  # whom we have told to end, and who is gone, has obeyed
    elif state.sub is SubState.CONDITION and code is ExitCode.EXITED and 0 < status < 255:
        result = Result.EXEC_CONDITION
    message = slot.problem or describe_exit(slot, code, status, result)
    if is_main:
        state.last_exit = LastExit(code.value, status, slot.pid, realtime)
        world.tell("unit.main-exited", state.name, message, code=code.value, status=status)
        _main_exited(world, state, result, message)
    else:
        _control_exited(world, state, result, message)


def _forget(state: UnitState, slot: Running) -> None:
    """That process is no more."""
    if slot is state.main:
        state.main = None
    elif slot is state.control:
        state.control = None
    else:
        state.probe = None


def command_of(state: UnitState, *, is_main: bool) -> ExecCommand | None:
    """The command that the main (or control) process of this state runs."""
    directive = d.EXEC_START if is_main else COMMANDS.get(state.sub, d.EXEC_START)
    commands = state.definition[directive]
    index = state.command if not is_main or state.sub is SubState.START else len(commands) - 1
    return commands[index] if 0 <= index < len(commands) else None


def describe_exit(slot: Running, code: ExitCode, status: int, result: Result) -> str:
    """`main process 12 exited with status 1/FAILURE (exit-code)`, for logs and status."""
    what = "main process" if slot.process.slot is Slot.MAIN else "control process"
    why = "" if result is Result.SUCCESS else f" ({result})"
    return f"{what} {slot.pid} {_how(code, status)}{why}"


def _how(code: ExitCode, status: int) -> str:
    match code:
        case ExitCode.EXITED:
            return f"exited with status {named_status(status)}"
        case ExitCode.KILLED:
            return f"was killed by signal {status}/{signal_name(status)}"
        case ExitCode.DUMPED:
            return f"dumped core on signal {status}/{signal_name(status)}"
        case ExitCode.LOST:
            return "ended unseen"


def _main_exited(world: World, state: UnitState, result: Result, message: str) -> None:
    sub = state.sub
    kind = state.definition[d.TYPE]
    if sub in FIRST_ROUND | FINAL_ROUND:
        if result is not Result.SUCCESS:
            note_failure(state, result, message)
        settle_signal(world, state)
    elif _goes_on(world, state, result, message):
        pass
    elif sub is SubState.START and kind is ServiceType.ONESHOT:
        if result is Result.SUCCESS:
            state.command += 1
            start_command(world, state)
        else:
            fail(world, state, result, message, Cause.FAILED)
    elif result is not Result.SUCCESS:
        if sub is SubState.STOP or (sub in _TO_THEIR_END and state.control is not None):
            note_failure(state, result, message)
        else:
            fail(world, state, result, message, Cause.CRASHED)
    elif sub is SubState.START and kind in (ServiceType.NOTIFY, ServiceType.NOTIFY_RELOAD):
        note = "main process ended before it said READY=1"
        fail(world, state, Result.PROTOCOL, note, Cause.COMPLETED)
    elif sub is SubState.START:
        move(world, state, Cause.COMPLETED)
    elif sub is SubState.RUNNING:
        _rest(world, state)
    elif sub in RELOADING and state.control is None:
        move(world, state, Cause.COMPLETED)


def _rest(world: World, state: UnitState) -> None:
    remain = state.definition[d.REMAIN_AFTER_EXIT]
    move(world, state, Cause.DONE if remain else Cause.COMPLETED)


def _goes_on(world: World, state: UnitState, result: Result, message: str) -> bool:
    """Whether ExitType= lets the unit go on without its main process; how that ended sticks."""
    whole = state.definition[d.EXIT_TYPE] is ExitType.CGROUP
    if not whole or state.tree_empty or not (state.up or state.starting):
        return False
    world.do(WatchTree(state.seat, state.invocation))
    if result is not Result.SUCCESS:
        note_failure(state, result, message)
    return True


def _control_exited(world: World, state: UnitState, result: Result, message: str) -> None:
    sub = state.sub
    good = result is Result.SUCCESS
    if sub is SubState.START:  # the parent of a forking service
        if good:
            world.do(FindMain(state.definition, state.invocation))
            world.do(WatchTree(state.seat, state.invocation))
        else:
            fail(world, state, result, message, Cause.FAILED)
    elif sub in COMMANDS:
        if good:
            state.command += 1
            next_command(world, state)
        elif sub is SubState.RELOAD:
            # A failed reload leaves the service running (systemd.service(5)).
            reload.failed(world, state, f"reload failed: {message}")
            move(world, state, Cause.FAILED)
        else:
            fail(world, state, result, message, Cause.FAILED)
    else:
        settle_signal(world, state)


def main_found(world: World, state: UnitState, pid: int | None, start_time: int, note: str) -> bool:
    """The main process of a forking service is known, or cannot be. True: it is to be adopted."""
    if not looks_for_main(state):
        return False
    unit = state.definition
    if pid is None and state.tree_empty:
        _left_nothing(world, state, note or "no process was left running")
        return False
    late = unit[d.EXEC_START_POST] and state.sub is SubState.START  # which may well write it
    if pid is None and unit[d.PID_FILE] and not late:
        # The parent has exited but the daemon has not written its PID file yet.
        state.message = note
        state.find_main_at = world.now + FIND_MAIN_RETRY
        world.alarm(state.find_main_at, state.name)
        return False
    if pid is not None:
        state.main = Running(world.new_process(state, Slot.MAIN), pid, start_time, executed=True)
    state.message = ""
    move(world, state, Cause.DONE)
    return pid is not None


def _left_nothing(world: World, state: UnitState, note: str) -> None:
    """A forking service is there without a process only if it is to remain so, as rc-local.service."""
    if state.definition[d.REMAIN_AFTER_EXIT] and not state.definition[d.PID_FILE]:
        move(world, state, Cause.READY)
    else:
        fail(world, state, Result.PROTOCOL, note, Cause.FAILED)


def main_passed_on(world: World, state: UnitState, pid: int, start_time: int) -> None:
    """The main process of a forking service has ended, and its PID file names another (PIDFile=)."""
    state.main = Running(world.new_process(state, Slot.MAIN), pid, start_time, executed=True)
    world.tell(
        "unit.main-changed", state.name, f"its PID file names process {pid} as the main one now"
    )


def bus_name_seen(world: World, state: UnitState, *, owned: bool, problem: str) -> None:
    """A Type=dbus service is up once its name has an owner, and for as long as it has one.

    A bus that goes away later is no news of the service: it has other means to hear of that.
    """
    if state.sub is SubState.START and problem:
        fail(world, state, Result.RESOURCES, problem, Cause.FAILED)
    elif state.sub is SubState.START and owned:
        move(world, state, Cause.READY)
    elif state.sub is SubState.RUNNING and not owned and not problem:
        world.tell("unit.name-lost", state.name, f"nobody has {state.definition[d.BUS_NAME]} now")
        move(world, state, Cause.COMPLETED)


def tree_emptied(world: World, state: UnitState) -> None:
    """Nothing of the instance is left. Exits of known processes may still be on their way."""
    if state.main is not None or state.control is not None or state.probe is not None:
        return
    state.tree_empty = True
    outlived = state.definition[d.EXIT_TYPE] is ExitType.CGROUP and state.last_exit.code
    if outlived and (state.up or state.starting):
        _main_exited(world, state, state.result, state.message)
    elif state.sub is SubState.RUNNING:
        _rest(world, state)
    elif state.sub in RELOADING:
        move(world, state, Cause.COMPLETED)
    else:
        settle_signal(world, state)


def probe_due(world: World, state: UnitState) -> None:
    """It may be time for a health probe."""
    command = health.due(world, state)
    if command is not None:
        state.probe = spawn(world, state, Slot.HEALTH, command)


def probed(world: World, state: UnitState, failure: str | None) -> None:
    """A health probe of this instance ended; `failure` says how it failed."""
    if failure is None:
        health.succeeded(world, state)
    elif health.failed(world, state, failure):
        # Whatever Restart= says: that is what a health check is for.
        state.forced_restart = True
        fail(world, state, Result.HEALTH_CHECK, f"unhealthy: {failure}", Cause.ABORT)
