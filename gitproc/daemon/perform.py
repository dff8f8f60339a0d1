"""Carrying out orders: each action of the core becomes calls of the kernel, the store and the monitors.

What making a process takes lies in `launching.py`, what is given back when a unit is down in `releasing.py`.
Nothing is decided here. What comes of an order returns as an event through the mailbox, never as a value.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from functools import partial
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
    Exited,
    Process,
    Spawned,
    TreeEmptied,
)
from gitproc.core.overlap import present, sitting
from gitproc.core.socket_orders import SocketOrder
from gitproc.core.states import SubState
from gitproc.daemon.bus_watch import BusWatch
from gitproc.daemon.checking import Checking
from gitproc.daemon.effects import Effects
from gitproc.daemon.ends import Ends
from gitproc.daemon.launching import Launching
from gitproc.daemon.limiting import Limiting
from gitproc.daemon.opening import Opening, users
from gitproc.daemon.releasing import Releasing
from gitproc.daemon.senders import Senders
from gitproc.daemon.surroundings import Surroundings
from gitproc.daemon.unit_warnings import UnitWarnings
from gitproc.kernel.spaces import ROOTS as PRIVATE_ROOTS
from gitproc.kernel.trash import Trash
from gitproc.store import daemon_log
from gitproc.units import directives as d

log = logging.getLogger(__name__)

_LOUD = frozenset({"unit.failed", "commit.refused", "commit.failed", "unit.oom-kill"})


class Perform:
    """The performer of one manager; `post` puts events into the mailbox."""

    def __init__(self, effects: Effects, post: Callable[[Event], None]) -> None:
        self._e = effects
        self._post = post
        self._replies: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self.warnings = UnitWarnings()
        self.bus = BusWatch(effects.config.user_mode, post)
        self._checking = Checking(effects.host, post)
        self.trash = Trash(effects.host.run, *PRIVATE_ROOTS)
        self.surroundings = Surroundings(
            effects.config, effects.host, effects.manager, effects.controller, self.trash
        )
        self.watch: Callable[[WatchPaths | UnwatchPaths], None] = lambda _: None
        self.senders = Senders(
            effects.world,
            effects.controller,
            post,
            self.warnings.add,
            effects.sockets.store,
            effects.manager.process_of,
            effects.manager.is_init,
        )
        self.ends = Ends(
            effects.world,
            effects.controller,
            post,
            self.warnings.add,
            self.senders,
            effects.shim_pid,
        )
        self.limiting = Limiting(
            effects.controller,
            effects.world,
            effects.config.on_missing_isolation,
            self.warnings.add,
            post,
        )
        self.launching = Launching(effects, post, self.limiting, self.surroundings, self.warnings)
        effects.sockets.users = partial(users, effects.world)
        self._opening = Opening(effects.world, self.launching.lookups, effects.sockets.perform)
        self._releasing = Releasing(
            effects,
            self.limiting,
            self.surroundings,
            self.bus,
            self.launching.lookups,
            self.trash,
        )
        self.publish: Callable[[str], None] = lambda _: None
        """Makes a commit's laid out files the current ones."""
        self.ask_host_units: Callable[[tuple[str, ...]], None] = lambda _: None
        """Has the host's systemd asked for units of its."""
        self.look_again: Callable[[], None] = lambda: None
        """Has the branch looked at, where what is to be in force has changed."""
        self.look_outbox: Callable[[], None] = lambda: None
        """Has outcomes of commits told, where there are some."""
        self.finished = asyncio.get_running_loop().create_future()

    # -- the mailbox's side ----------------------------------------------------------------------

    def perform(self, action: Action) -> None:
        """Carry out one order."""
        if isinstance(action, SocketOrder):
            self._opening.perform(action)
            return
        match action:
            case Spawn():
                self.launching.spawn(action)
            case Signal(process, signal):
                if not self.launching.called_off(process, signal):
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
                self.launching.keep(definition)
            case SetLimits(unit=definition, invocation=invocation):
                self.limiting.change(definition, invocation)
            case Release(unit=definition, keep_runtime=keep_runtime, forget=forget):
                self._releasing.release(definition, keep_runtime=keep_runtime)
                if forget:
                    self.launching.forget(definition)
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

    def acknowledge(self, sequences: list[int]) -> None:
        """These exits are safe on disk."""
        self._e.manager.acknowledge(sequences)

    def tell(self, news: list[Announce]) -> str:
        """Put these into the event log, which is written when the turn ends; a JSON list, as they stand there."""
        daemon_log.gather()  # they are said there, too
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
