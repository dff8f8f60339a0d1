"""After a crash of the manager: match what the records expect with what the shim says is there.

The records name every process that was ordered, by token; the shim's table names every process that was
made. While adopting, events about processes are taken in but nothing is started or stopped by rule. When
the table has been read, an expected process that is in it goes on as if nothing had happened; one that is
not was either never made (same shim: the order was lost, and is repeated under the same token) or has died
unseen with its shim.
"""

from __future__ import annotations

from gitproc.core import (
    conditions,
    deadlines,
    exits,
    health,
    overlap,
    reload,
    schedule,
    spawning,
    watchdog,
)
from gitproc.core.actions import Adopt, FindMain, Signal, SignalTree, WatchBusName, WatchTree
from gitproc.core.events import Adopted, AdoptionDone, ExitCode, Process, Slot
from gitproc.core.killing import (
    FINAL_ROUND,
    FIRST_ROUND,
    looks_for_main,
    order_signals,
    watch_rest,
)
from gitproc.core.restart import SIGKILL
from gitproc.core.states import UP, SubState
from gitproc.core.transitions import LIVES
from gitproc.core.unit_state import Running, UnitState
from gitproc.core.world import World
from gitproc.units import directives as d
from gitproc.units.names import is_valid_slice
from gitproc.units.service_types import ServiceType
from gitproc.units.unit import Unit


def adopted(world: World, event: Adopted) -> None:
    """A process of ours is alive. One that nobody expects belongs to no instance and is ended."""
    state, slot = overlap.owner(world, event.process)
    if state is None or slot is None or state.unit is None:
        if not event.alive or (state is not None and _was_main(state, event.process)):
            return
        if event.unit is not None and event.process.slot is Slot.MAIN:
            _believe(world, event, event.unit)
            return
        if event.process.slot is not Slot.HEALTH:
            text = f"process {event.pid} belongs to no instance any more"
            world.tell("unit.stray", event.process.unit, text)
        world.do(Signal(event.process, SIGKILL))
        return
    world.announced.add(event.process)
    unseen = not slot.pid
    state.tree_empty = False
    if event.pid:
        slot.pid, slot.start_time = event.pid, event.start_time
        slot.executed = True
        exits.process_started(world, state, slot)
        if event.executed:
            exits.process_executed(world, state, slot)
    else:
        state.born = True  # being made: as one that was ordered and has not been heard of
    if unseen and state.sub in FIRST_ROUND | FINAL_ROUND:
        order_signals(world, state)  # what waited for its birth was lost


def _was_main(state: UnitState, process: Process) -> bool:
    """Whether it is the former main process of the instance that runs: another took its place (MAINPID=)."""
    same = process.slot is Slot.MAIN and process.invocation == state.invocation
    return same and state.main is not None and not state.down


def _believe(world: World, event: Adopted, unit: Unit) -> None:
    """The disk was full when this instance began: what runs is believed, and that it had come up."""
    process = event.process
    state = UnitState(process.unit, unit=unit.seated(process.unit), invocation=process.invocation)
    state.main = Running(process, event.pid, event.start_time, executed=True)
    state.tree_empty = False
    state.born = True
    state.sub = SubState.START if unit[d.TYPE] is ServiceType.ONESHOT else SubState.RUNNING
    state.entered = world.now
    state.active_since = world.now if state.up else None
    world.units[process.unit] = state
    world.announced.add(process)
    world.touch(state.name)
    world.tell("unit.adopted", state.name, f"process {event.pid} is in no record; it goes on")


def adoption_done(world: World, event: AdoptionDone) -> None:
    """The shim's table has been read: settle what it did not mention, and let the rules run."""
    for state in list(world.units.values()):
        if state.down:
            continue
        if state.unit is None:
            # Its kept definition is lost: nothing can be said about it but that it must not go on.
            if not is_valid_slice(state.name):  # what is in its group are other units
                world.do(SignalTree(overlap.seat_of(world, state), state.invocation, SIGKILL))
            fresh = UnitState(state.name, hold=state.hold, demanded=state.demanded)
            world.units[state.name] = fresh
            world.touch(state.name)
            continue
        if state.dialogue is not None and not event.same_shim:
            state.dialogue.former = []
        for slot in (state.main, state.control):
            if slot is not None and slot.process not in world.announced:
                _missing(world, state, slot, same_shim=event.same_shim)
        _resume(world, state)
    for state in world.units.values():
        deadlines.remind(world, state)
    world.announced.clear()
    world.adopting = False
    schedule.enqueue_all(world)


def _missing(world: World, state: UnitState, slot: Running, *, same_shim: bool) -> None:
    if not same_shim:
        exits.process_exited(world, state, slot, ExitCode.LOST, 0, 0.0, False)
    elif slot.pid:
        # It has been seen and the shim does not know it: the order to adopt it was lost.
        world.do(Adopt(slot.process, slot.pid, slot.start_time))
    elif state.sub in FIRST_ROUND | FINAL_ROUND:
        exits.process_unmade(world, state, slot)
    else:
        _repeat(world, state, slot.process)


def _repeat(world: World, state: UnitState, process: Process) -> None:
    """The order to spawn was lost with the manager: give it again, under the same token."""
    if process.slot is Slot.MAIN and state.definition[d.TYPE] is ServiceType.IDLE:
        spawning.wait(world, state)
        return
    command = exits.command_of(state, is_main=process.slot is Slot.MAIN)
    if command is not None:
        spawning.order_spawn(world, state, process, command)


def _resume(world: World, state: UnitState) -> None:
    """Set going again what the former manager did between events: watches, searches, probes."""
    if state.down or state.unit is None:
        return
    conditions.ask_again(world, state)
    if state.definition.kind not in LIVES:
        return
    if state.definition.kind == "service" and state.main is None and state.control is None:
        if looks_for_main(state):
            world.do(FindMain(state.definition, state.invocation))
            world.do(WatchTree(state.seat, state.invocation))
        elif state.sub in UP:
            world.do(WatchTree(state.seat, state.invocation))
    if state.definition[d.TYPE] is ServiceType.DBUS and (state.up or state.starting):
        world.do(WatchBusName(state.name, state.invocation, state.definition[d.BUS_NAME]))
    if state.sub in watchdog.WATCHED:
        watchdog.begin(world, state)
    if state.sub in FIRST_ROUND | FINAL_ROUND and state.entered > world.signalled:
        order_signals(world, state)
    elif state.sub in FIRST_ROUND | FINAL_ROUND:
        watch_rest(world, state)  # a second signal may mean more than one
    if state.sub in (SubState.RELOAD, SubState.RELOAD_SIGNAL):
        reload.send_again(world, state)
    if state.sub is SubState.RUNNING and state.definition.kind == "service":
        health.commence(world, state)
