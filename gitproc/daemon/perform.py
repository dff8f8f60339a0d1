"""Carrying out orders: each action of the core becomes calls of the kernel, the store and the monitors.

Nothing is decided here. What comes of an order returns as an event through the mailbox, never as a value.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, assert_never

from gitproc.core.actions import (
    Acknowledge,
    Action,
    Adopt,
    Announce,
    AskHostUnits,
    CheckConditions,
    Exit,
    FindMain,
    GoBack,
    Keep,
    Probe,
    Publish,
    Record,
    Release,
    Reply,
    SetLimits,
    Signal,
    SignalTree,
    Spawn,
    UnwatchPaths,
    WatchBusName,
    WatchPaths,
    WatchTree,
)
from gitproc.core.events import (
    Event,
    ExitCode,
    Exited,
    Process,
    SetupFailed,
    Spawned,
    SpawnFailed,
    TreeEmptied,
)
from gitproc.core.overlap import neighbour, owner, present, sitting
from gitproc.core.socket_orders import SocketOrder
from gitproc.core.states import SubState
from gitproc.core.world import World
from gitproc.daemon.bus_watch import BusWatch
from gitproc.daemon.checking import Checking
from gitproc.daemon.config import Config
from gitproc.daemon.ends import Ends
from gitproc.daemon.limiting import Limiting
from gitproc.daemon.lookups import Lookups
from gitproc.daemon.senders import Senders
from gitproc.daemon.surroundings import Surroundings
from gitproc.errors import HostError, StateError
from gitproc.health.health_monitor import HealthMonitor
from gitproc.immutable import replaced
from gitproc.kernel import directories, spec_terminal
from gitproc.kernel.dynamic_users import open_registry
from gitproc.kernel.ipc_objects import IpcObjects
from gitproc.kernel.launch import LaunchError
from gitproc.kernel.passing import tell_descriptors
from gitproc.kernel.process_manager import ProcessManager
from gitproc.kernel.resource_controller import ResourceController
from gitproc.kernel.sockets import Sockets
from gitproc.kernel.spaces import ROOTS as PRIVATE_ROOTS
from gitproc.kernel.spawn_spec import compile_spec
from gitproc.kernel.spec_namespaces import join_namespaces
from gitproc.kernel.trash import Trash
from gitproc.store import daemon_log
from gitproc.store.definitions import Definitions
from gitproc.store.event_log import EventLog
from gitproc.units import directives as d
from gitproc.units.exit_status import EXIT_STATUS_NAMES
from gitproc.units.names import bare_name
from gitproc.units.seats import home
from gitproc.units.specifiers import Host
from gitproc.units.unit import Unit

log = logging.getLogger(__name__)

_STEP_STATUS = {name: number for number, name in EXIT_STATUS_NAMES.items() if number >= 200}
_LOUD = frozenset({"unit.failed", "commit.refused", "commit.failed", "unit.oom-kill"})


@dataclass
class Effects:
    """Everything that orders are carried out with."""

    config: Config
    world: World
    host: Host
    manager: ProcessManager
    controller: ResourceController
    health: HealthMonitor
    definitions: Definitions
    events: EventLog
    sockets: Sockets
    shim_pid: int


class Perform:
    """The performer of one manager; `post` puts events into the mailbox."""

    def __init__(self, effects: Effects, post: Callable[[Event], None]) -> None:
        self._e = effects
        self._post = post
        self._replies: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._kept: dict[str, int] = {}  # fingerprint -> hash of the settings that are on disk
        self.bus = BusWatch(effects.config.user_mode, post)
        self._checking = Checking(effects.host, post)
        self._lookups = Lookups(self._spawn_late, self._launch_failed)
        self._ipc = IpcObjects()
        taken = effects.config.run_dir / "dynamic-users"
        self._dynamic_users = open_registry(str(taken), str(effects.config.user_records))
        self.trash = Trash(effects.host.run, *PRIVATE_ROOTS)
        self.surroundings = Surroundings(
            effects.config, effects.host, effects.manager, effects.controller, self.trash
        )
        self.watch: Callable[[WatchPaths | UnwatchPaths], None] = lambda _: None
        self.senders = Senders(
            effects.world,
            effects.controller,
            post,
            self._warn,
            effects.sockets.store,
            effects.manager.process_of,
        )
        self.ends = Ends(
            effects.world, effects.controller, post, self._warn, self.senders, effects.shim_pid
        )
        self.publish: Callable[[str], None] = lambda _: None
        """Makes a commit's laid out files the current ones."""
        self.ask_host_units: Callable[[tuple[str, ...]], None] = lambda _: None
        """Has the host's systemd asked for units of its."""
        self.look_again: Callable[[], None] = lambda: None
        """Has the branch looked at, where what is to be in force has changed."""
        self.look_outbox: Callable[[], None] = lambda: None
        """Has outcomes of commits told, where there are some."""
        self.limiting = Limiting(
            effects.controller, effects.world, effects.config.on_missing_isolation, self._warn, post
        )
        self.warnings: dict[str, list[str]] = {}
        """What could not be done as a unit asks: unit -> sentences, of its present instance."""
        self.finished = asyncio.get_running_loop().create_future()

    # -- the mailbox's side ----------------------------------------------------------------------

    def perform(self, action: Action) -> None:
        """Carry out one order."""
        if isinstance(action, SocketOrder):
            self._e.sockets.perform(action)
            return
        match action:
            case Spawn():
                self._spawn(action)
            case Signal(process, signal):
                if self._lookups.end(process):
                    self._ended(process, ExitCode.KILLED, signal)
                else:
                    self._e.manager.signal(process, signal)
            case SignalTree(unit, _, signal, spare):
                self._signal_tree(unit, signal, spare)
            case WatchTree(unit, invocation):
                self._e.controller.watch_empty(
                    unit, lambda: self._post(TreeEmptied(unit, invocation))
                )
            case FindMain(unit=definition, invocation=invocation):
                self._post(self.ends.find_main(definition, invocation))
            case WatchBusName(unit, invocation, name):
                self.bus.watch(unit, invocation, name)
            case Adopt(process, pid, start_time):
                self._e.manager.adopt(
                    process, pid, start_time or self.senders.identity(process.unit, pid)
                )
            case Keep(unit=definition):
                self._keep(definition)
            case SetLimits(unit=definition, invocation=invocation):
                self.limiting.change(definition, invocation)
            case Release(unit=definition, keep_runtime=keep_runtime, forget=forget):
                self._release(definition, keep_runtime=keep_runtime)
                if forget:
                    self._kept.pop(definition.fingerprint, None)
                    self._e.definitions.drop(definition.fingerprint)
            case Probe(unit=definition, invocation=invocation):
                self._e.health.probe(
                    definition.name,
                    invocation,
                    url=definition[d.HEALTH_CHECK_URL],
                    tcp=definition[d.HEALTH_CHECK_TCP],
                    timeout=definition[d.HEALTH_CHECK_TIMEOUT],
                )
            case CheckConditions(unit=definition, invocation=invocation):
                self._checking.check(definition, invocation)
            case WatchPaths() | UnwatchPaths():
                self.watch(action)
            case Publish(sha):
                self.publish(sha)
            case AskHostUnits(names):
                self.ask_host_units(names)
            case GoBack():
                self.look_again()
            case Announce(kind, name, message):
                daemon_log.gather()
                level = logging.WARNING if kind in _LOUD else logging.INFO
                log.log(level, "%s: %s", name or kind, message)
            case Reply(request, outcomes):
                future = self._replies.pop(request, None)
                if future is not None and not future.done():
                    future.set_result(dict(outcomes))
            case Exit():
                if not self.finished.done():
                    self.finished.set_result(None)
            case Record() | Acknowledge():
                raise AssertionError("kept by the mailbox")
            case _:
                assert_never(action)

    def acknowledge(self, sequences: list[int]) -> None:
        """These exits are safe on disk."""
        self._e.manager.acknowledge(sequences)

    def tell(self, news: list[Announce]) -> str:
        """Put these into the event log, which is written when the turn ends; a JSON list, as they stand there."""
        now, told = time.time(), []
        for one in news:
            data = dict(one.data)
            who = data.pop("who", "")
            told.append(self._e.events.append(one.kind, one.unit, one.message, data, who, now))
        return f"[{','.join(told)}]"

    def turn_ends(self) -> None:
        """Write the events of the turn at once."""
        self._e.events.flush()
        daemon_log.release()
        self.look_outbox()

    def expect(self, request: int) -> asyncio.Future[dict[str, Any]]:
        """The future answer to a request that is about to be posted."""
        future: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._replies[request] = future
        return future

    def give_up(self, request: int) -> None:
        """Nobody waits for that answer any more."""
        self._replies.pop(request, None)

    # -- the kernel's side -----------------------------------------------------------------------

    def take(self, event: Event) -> None:
        """An event of the process manager, completed by what only the cgroup knows, then posted."""
        if isinstance(event, Spawned):
            process = event.process
            if self._served(process):
                self._e.sockets.given(process.unit)
            self._e.controller.attach(process.unit, process.invocation, event.pid)
        elif isinstance(event, Exited):
            event = self.ends.completed(event)
        self._post(event)

    def _served(self, process: Process) -> bool:
        """Whether a process is the one for which its unit was started, not a command before it."""
        state = present(self._e.world, process.unit, process.invocation)
        return state is not None and state.sub is SubState.START

    # -- orders ----------------------------------------------------------------------------------

    def _spawn(self, action: Spawn) -> None:
        process, unit = action.process, action.unit
        if self._e.manager.knows(process):
            return  # an order that is repeated must not end what it has made as a stranger
        try:
            self._keep(unit)
            if self._lookups.postpone(action):
                return
            if action.first:
                self._first(unit, process)
            passed = self._e.sockets.passed_to(unit, action.sockets)
            names = tuple(name for name, _ in passed)
            warnings: list[str] = []
            context, joined = self.surroundings.of(action, self._log_of(unit), warnings)
            context = replaced(context, fd_names=names, first=action.first)
            plan = compile_spec(unit, action.command, process, context, action.variables)
            tell_descriptors(plan.spec, unit, names)
            join_namespaces(plan.spec, [kind for kind, _ in joined], len(names))
        except LaunchError as error:
            self._launch_failed(process, error)
            return
        except (HostError, StateError) as error:
            self._post(SpawnFailed(process, "RESOURCES", error.message))
            return
        for warning in warnings + plan.warnings:
            self._warn(unit.name, warning)
        self._e.manager.spawn(process, plan.spec, [fd for _, fd in (*passed, *joined)])

    def _spawn_late(self, action: Spawn) -> None:
        if owner(self._e.world, action.process)[1] is not None:
            self._spawn(action)
        else:
            self._lookups.end(action.process)

    def _launch_failed(self, process: Process, error: LaunchError) -> None:
        """What systemd finds out in the child and we before it: the same end, by the step's exit status."""
        number = _STEP_STATUS.get(error.step)
        if number is None:
            self._post(SpawnFailed(process, error.step, error.message))
            return
        self._post(SetupFailed(process, error.step, 0, error.message))
        self._ended(process, ExitCode.EXITED, number)

    def _ended(self, process: Process, code: ExitCode, status: int) -> None:
        """A process that was never made has ended as if it had been."""
        empty = self._e.controller.is_empty(process.unit)
        self._post(Exited(process, code, status, tree_empty=empty, realtime=time.time()))

    def _keep(self, unit: Unit) -> None:
        """The definition must be on disk before anything of it runs: a stop after a crash needs it.

        Definitions of one fingerprint may differ in what does not decide how a unit runs (conditions).
        """
        settings = hash(unit.settings)
        if self._kept.get(unit.fingerprint) != settings:
            self._e.definitions.put(unit.fingerprint, unit.freeze())
            self._kept[unit.fingerprint] = settings

    def _first(self, unit: Unit, process: Process) -> None:
        self.warnings.pop(home(unit.name), None)
        self.limiting.first(unit, process)

    def _log_of(self, unit: Unit) -> str:
        """Instances that are made for a connection share their template's log."""
        state = self._e.world.units.get(unit.name)
        connection = state is not None and state.connection is not None
        return bare_name(f"{unit.prefix}@.service" if connection else home(unit.name))

    def _signal_tree(self, unit: str, signal: int, spare: tuple[int, ...]) -> None:
        state, manager = sitting(self._e.world, unit), self._e.manager
        known = (0, -1)
        if state is not None and state.main is not None:
            main = state.main.process
            known = (manager.pid(main), manager.pidfd(main))
            if signal != 9 and manager.init_pid(main):
                # The init of a PID namespace passes signals on; it would pass this one twice.
                spare = (*spare, manager.init_pid(main))
        self._e.controller.kill(unit, signal, spare, known)

    def _release(self, unit: Unit, *, keep_runtime: bool) -> None:
        if unit.kind == "slice":
            self.limiting.release(unit)
            return
        self._e.health.cancel(unit.name)
        self.bus.forget(unit.name)
        self._e.controller.remove(unit.name)
        self._e.sockets.release(unit, restart=keep_runtime)
        problems = directories.release(
            unit,
            self.surroundings.base,
            keep_runtime=keep_runtime,
            shared=neighbour(self._e.world, unit.name) is not None,
            trash=self.trash,
        )
        self._lookups.unhurried(
            lambda: self._release_user(unit, keep=keep_runtime),
            lambda: (state := sitting(self._e.world, unit.name)) is None or state.down,
        )
        problems += self.surroundings.leave(unit.name)
        problems += spec_terminal.leave(unit)
        for problem in problems:
            log.warning("%s: %s", unit.name, problem)

    def _release_user(self, unit: Unit, *, keep: bool) -> None:
        self._ipc.ended(unit, self._others(unit))
        if not keep:
            self._dynamic_users.ended(unit, self._others(unit))

    def _others(self, unit: Unit) -> Iterator[Unit]:
        """The definitions of all other instances that live: to be asked for by the few who need them."""
        living = (x.definition for x in self._e.world.units.values() if not x.down)
        return (x for x in living if x.name != unit.name)

    def _warn(self, unit: str, text: str) -> None:
        known = self.warnings.setdefault(home(unit), [])
        if text not in known:
            known.append(text)
            log.warning("%s: %s", unit, text)

    def warned(self, process: Process | None, text: str) -> None:
        """The shim has something to say about a process, or about itself."""
        if process is None:
            log.warning("shim: %s", text)
        else:
            self._warn(process.unit, text)
