"""How the processes of a unit are ended: which get which signal, and when they count as gone.

KillMode= says whom a stop signals (systemd.kill(5)): control-group all of the unit's tree, mixed the main
process first and then the rest with SIGKILL, process the main and control process alone, none nobody.
"""

from __future__ import annotations

from gitproc.core.actions import Signal, SignalTree, WatchTree
from gitproc.core.states import SubState
from gitproc.core.unit_state import UnitState
from gitproc.core.world import World
from gitproc.units import directives as d
from gitproc.units.service_types import ExitType, KillMode, ServiceType

FIRST_ROUND = frozenset({SubState.STOP_WATCHDOG, SubState.STOP_SIGTERM, SubState.STOP_SIGKILL})
FINAL_ROUND = frozenset({SubState.FINAL_WATCHDOG, SubState.FINAL_SIGTERM, SubState.FINAL_SIGKILL})
ABORTING = frozenset({SubState.STOP_WATCHDOG, SubState.FINAL_WATCHDOG})


def order_signals(world: World, state: UnitState) -> None:
    """Send what a waiting state sends: also to repeat what a crash of the manager may have swallowed."""
    unit = state.definition
    mode = unit[d.KILL_MODE]
    if state.sub is SubState.STOP_SIGTERM and state.dialogue is not None and state.dialogue.leaving:
        watch_rest(world, state)  # it has said that it is about to end
        return
    strong = state.sub in (SubState.STOP_SIGKILL, SubState.FINAL_SIGKILL)
    final = state.sub in FINAL_ROUND
    signal = unit[d.FINAL_KILL_SIGNAL] if strong else unit[d.KILL_SIGNAL]
    if state.sub is SubState.STOP_SIGTERM and state.restarting and unit.has(d.RESTART_KILL_SIGNAL):
        signal = unit[d.RESTART_KILL_SIGNAL]
    aborting = state.sub in ABORTING
    if aborting:
        signal = unit[d.WATCHDOG_SIGNAL]
    whole_tree = mode is KillMode.CONTROL_GROUP or (mode is KillMode.MIXED and (final or strong))
    if mode is KillMode.MIXED and final and not aborting:
        signal = unit[d.FINAL_KILL_SIGNAL]
    signals = (signal, 1) if unit[d.SEND_SIGHUP] and not strong and not aborting else (signal,)
    for number in signals if whole_tree else ():
        world.do(SignalTree(state.seat, state.invocation, number))
    for slot in (state.main, state.control):
        # One that has been ordered and is not seen yet may be born after the tree has been signalled.
        if slot is not None and mode is not KillMode.NONE and not (whole_tree and slot.pid):
            for number in signals:
                world.do(Signal(slot.process, number))
    watch_rest(world, state)


def watch_rest(world: World, state: UnitState) -> None:
    """Hear of it when the tree is empty; while the main or control process is there, its end says so first."""
    if state.main is None and state.control is None:
        world.do(WatchTree(state.seat, state.invocation))


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
    return mode is not KillMode.CONTROL_GROUP or not unknown_main(state)


def unknown_main(state: UnitState) -> bool:
    """Without a known main process, a forking service runs as long as anything of it does, and so does one
    with ExitType=cgroup."""
    if state.tree_empty:
        return False
    if state.definition[d.EXIT_TYPE] is ExitType.CGROUP:
        return True
    return state.definition[d.TYPE] is ServiceType.FORKING and not state.last_exit.code


def looks_for_main(state: UnitState) -> bool:
    """Whether a forking service waits for its main process to be told: once its parent has ended, and by its PID
    file until ExecStartPost=, which may write it, is done."""
    unit = state.definition
    if unit[d.TYPE] is not ServiceType.FORKING or state.last_exit.code:
        return False
    if state.main is not None or state.control is not None:
        return False
    return state.sub is SubState.START or (
        state.sub is SubState.START_POST and bool(unit[d.PID_FILE])
    )
