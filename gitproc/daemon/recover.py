"""Coming back: the state on disk, the shim's table, and what of both still fits.

Adoption comes before anything heavy is imported: a manager that was killed knows its services again within
a fraction of a second. What the records say is believed only as far as the machine is still the same (boot
id) and the shim is (its epoch); see `core.records.restore` and `core.adoption`.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable

from gitproc.core.events import Adopted, AdoptionDone, Event, Process
from gitproc.core.overlap import sitting
from gitproc.core.records import restore
from gitproc.core.socket_events import HoldingsFound
from gitproc.core.states import SubState
from gitproc.core.world import World
from gitproc.daemon.effects import Effects
from gitproc.daemon.loop import SIGNALLED, TOLD, boottime
from gitproc.daemon.surroundings import Surroundings
from gitproc.kernel import processes
from gitproc.kernel.dynamic_users import registry
from gitproc.kernel.process_manager import ProcessManager
from gitproc.kernel.sockets import Sockets
from gitproc.store.definitions import Definitions
from gitproc.store.event_log import EventLog
from gitproc.store.state_manager import StateManager
from gitproc.units.specifiers import Host
from gitproc.units.unit import Unit

_ENDED = (SubState.DEAD, SubState.FAILED)

log = logging.getLogger(__name__)


def unit_keeper(definitions: Definitions, host: Host) -> Callable[[str], Unit | None]:
    """How a kept definition is found by its fingerprint."""

    def definition(fingerprint: str) -> Unit | None:
        frozen = definitions.get(fingerprint)
        return Unit.thaw(frozen, host) if frozen is not None else None

    return definition


def load_world(
    world: World,
    state: StateManager,
    definitions: Definitions,
    events: EventLog,
    host: Host,
    epoch: str,
) -> bool:
    """Bring `world` back from disk. True if the shim is the one of the records.

    What a manager decided and did not live to tell is told now.
    """
    records = state.load()
    events.complete(records.get(TOLD, ()))
    for warning in state.warnings:
        log.warning("%s", warning)
    known = records.get("shim") or {}
    same_boot = known.get("boot") == host.boot_id
    same_shim = same_boot and known.get("epoch") == epoch
    definition = unit_keeper(definitions, host)
    restore(world, records, definition, same_boot=same_boot, same_shim=same_shim)
    world.recorded = dict(records)
    # What the disk never took must not be named again: neither instances nor processes of a manager
    # whose last records are lost.
    world.seed = os.urandom(16).hex()
    world.serial = max(world.serial, int(boottime() * 1000))
    world.signalled = records.get(SIGNALLED, 0.0) if same_boot else 0.0
    world.adopting = True
    world.clock.started = (known.get("started") if same_shim else None) or boottime()
    state.put("shim", {"boot": host.boot_id, "epoch": epoch, "started": world.clock.started})
    for key in records:
        kind, _, name = key.partition("/")
        if kind == "unit" and name not in world.units:
            world.dirty[name] = None  # forgotten by `restore`: forget it on disk too
    return same_shim


async def adopt(
    effects: Effects,
    surroundings: Surroundings,
    post: Callable[[Event], None],
    *,
    same_shim: bool,
) -> None:
    """Post what the shim's table says. With another shim: have it watch what survived its predecessor.

    A process that came after the last record is told with its kept definition, as the disk was full then.
    """
    world, manager, definitions = effects.world, effects.manager, effects.definitions
    definition = unit_keeper(definitions, effects.host)
    recorded = world.recorded.get("serial", 0)
    keep = {state.unit.fingerprint for state in world.units.values() if state.unit is not None}
    living = [x.unit for x in world.units.values() if x.sub not in _ENDED]
    owners = await _take_holdings(world, manager, effects.sockets, surroundings)
    for entry in await manager.list():
        process = entry.process
        unit = definition(process.fingerprint) if process.serial > recorded else None
        keep.add(process.fingerprint)
        if unit is not None:
            living.append(unit)
        alive = entry.alive or not entry.pid
        if entry.pid and entry.alive:
            effects.controller.attach(process.unit, process.invocation, entry.pid)
        post(Adopted(process, entry.pid, entry.start_time, alive, entry.executed, unit))
    if not same_shim:
        for process, pid, started in _survivors(world):
            manager.adopt(process, pid, started)
            effects.controller.attach(process.unit, process.invocation, pid)
            post(Adopted(process, pid, started))
    known = [x for x in living if x is not None]
    if len(known) == len(living):  # else nobody can tell what else is taken
        registry().keep(known)
    post(HoldingsFound(owners))
    post(AdoptionDone(same_shim))
    definitions.prune(keep)


def running_unit(world: World, seat: str) -> Unit | None:
    """The definition of the instance in this seat, if it is not down."""
    state = sitting(world, seat)
    return state.unit if state is not None and not state.down else None


async def _take_holdings(
    world: World, manager: ProcessManager, sockets: Sockets, surroundings: Surroundings
) -> frozenset[str]:
    some = (state for state in world.units.values() if not state.down)
    running = {state.seat: state.unit for state in some if state.unit is not None}
    surroundings.sweep(running)
    rows, fds = surroundings.take_over(*await manager.holdings())
    return sockets.restore(rows, fds, running.get)


def _survivors(world: World) -> list[tuple[Process, int, int]]:
    """Processes of the records that are alive, by pid and start time."""
    found = []
    for state in world.units.values():
        for slot in (state.main, state.control):
            if slot is not None and slot.pid and processes.is_alive(slot.pid, slot.start_time):
                found.append((slot.process, slot.pid, slot.start_time))
    return found
