"""The loop: one thread owns the world. Facts come in through the mailbox, orders go out after each turn.

A turn takes in everything that has arrived, keeps the definitions that are in force from now on, writes what
became durable with one write(2), carries out the other orders (what people are told comes after what is done to
processes), and only when the journal is safely on disk (fdatasync, in a thread) are exits acknowledged to the
shim. A crash between any two of these steps loses nothing: an order that was not carried out is repeated under
the same token, limits that were being changed are set again, an exit that was not acknowledged comes again.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol, TypeGuard

from gitproc.core.actions import (
    Acknowledge,
    Action,
    Announce,
    Keep,
    Record,
    Release,
    SetLimits,
    Signal,
    SignalTree,
)
from gitproc.core.events import CommitLoaded, Event, SourceFailed, Tick
from gitproc.core.step import next_deadline, step
from gitproc.core.world import World
from gitproc.errors import StateError
from gitproc.store.state_manager import StateManager

log = logging.getLogger(__name__)

TOLD = "told"
"""The record of the last events told."""
SIGNALLED = "signalled"
"""The record of up to when (seconds, CLOCK_BOOTTIME) all signals that were ordered have been sent."""
LIMITED = "limited"
"""The record of the units (their names) whose limits are being changed or lifted."""
_TURN = 256  # events taken in before orders go out, so that a flood does not delay them
_SYNC_PAUSE = 0.01  # seconds for which an exit may wait to be made safe, so that many are at once
_DISK_RETRY = 5.0  # seconds


class Performer(Protocol):
    """Who carries out orders."""

    def perform(self, action: Action) -> None:
        """Carry out one order; whatever comes of it is posted as an event."""

    def tell(self, news: list[Announce]) -> str:
        """Put these into the event log, which is written when the turn ends; a JSON list, as they stand there."""

    def acknowledge(self, sequences: list[int]) -> None:
        """These exits are safe."""

    def turn_ends(self) -> None:
        """All orders of a turn have been given."""


def boottime() -> float:
    """Seconds of CLOCK_BOOTTIME."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Mailbox:
    """Takes events, runs `step`, hands out actions."""

    def __init__(self, world: World, state: StateManager, performer: Performer) -> None:
        self.world = world
        self._state = state
        self._performer = performer
        self._unkept: dict[str, Keep] = {}
        self._loop = asyncio.get_running_loop()
        self._events: deque[Event] = deque()
        self._taken = 0  # events so far
        self._callbacks: deque[tuple[int, Callable[[], None]]] = deque()
        self._scheduled = False
        self._alarm: asyncio.TimerHandle | None = None
        self._unsafe: list[int] = []
        self._syncing: asyncio.Future[None] | None = None
        self._disk_failed = False
        self._sync_due: asyncio.TimerHandle | None = None
        self._closed = False
        # One thread of its own: questions that keep all others busy must not delay an acknowledgement.
        self._disk = ThreadPoolExecutor(1, "journal")

    def post(self, event: Event) -> None:
        """Put an event in; it is taken in soon, in order. Only from the loop's thread."""
        if self._closed:
            return  # it could not be recorded any more
        self._events.append(event)
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._turn)

    def after(self, callback: Callable[[], None]) -> None:
        """Call back once everything that was posted so far has been taken in and acted upon."""
        if self._events:
            self._callbacks.append((self._taken + len(self._events), callback))
        else:
            callback()

    def post_threadsafe(self, event: Event) -> None:
        """`post` from any thread."""
        self._loop.call_soon_threadsafe(self.post, event)

    async def close(self) -> None:
        """Take in what has arrived, then nothing more; returns when what became durable is safe."""
        while self._events:
            self._turn()
        self._closed = True
        if self._alarm is not None:
            self._alarm.cancel()
        self._flush()
        if self._sync_due is not None:
            self._sync_due.cancel()
            self._sync_now()
        while self._syncing is not None:
            await asyncio.wait([self._syncing])
        # Not while all units were being stopped: by now nobody waits for it.
        if self._state.wants_checkpoint:
            self._checkpoint()
        self._disk.shutdown()

    def _turn(self) -> None:
        self._scheduled = False
        orders: list[Action] = []
        news: list[Announce] = []
        now = 0.0
        for _ in range(min(len(self._events), _TURN)):
            event = self._events.popleft()
            self._taken += 1
            now = boottime()
            try:
                actions = step(self.world, event, now)
            except Exception as fault:
                # A fault of ours must not take the services' manager down with it: say it, go on.
                log.exception("cannot take in %.2000r", event)
                actions = self.world.actions
                if isinstance(event, CommitLoaded):  # whoever pushed it waits for a word
                    self.post(SourceFailed(_not_taken_in(event, fault)))
            for action in actions:
                if isinstance(action, Record):
                    self._state.put(action.key, action.value)
                elif isinstance(action, Acknowledge):
                    self._unsafe.append(action.sequence)
                elif isinstance(action, Announce):
                    news.append(action)
                else:
                    orders.append(action)
        if news:  # they are in the journal before they are in their log: see `recover.load_world`
            self._state.put_text(TOLD, self._performer.tell(news))
        # A unit that the journal knows by a definition that is not there could only be ended after a crash.
        self._keep([x for x in orders if isinstance(x, Keep)])
        limited = [action.unit.name for action in orders if _limits(action)]
        if limited:
            self._state.put(LIMITED, limited)
        self._flush()
        self._carry_out([x for x in (*orders, *news) if not isinstance(x, Keep)])
        if limited:
            self._state.put(LIMITED, None)
        if any(isinstance(action, Signal | SignalTree) for action in orders):
            self._state.put(SIGNALLED, now)  # who comes after a crash need not send them again
            self._flush()
        self._performer.turn_ends()
        self._sync()
        while self._callbacks and self._callbacks[0][0] <= self._taken:
            try:
                self._callbacks.popleft()[1]()
            except Exception:
                log.exception("cannot go on after what was taken in")
        if self._events and not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._turn)
        self._set_alarm()

    def _keep(self, fresh: Sequence[Keep]) -> None:
        """Keep definitions; what a full disk refuses is tried again with each turn, before the journal is."""
        self._unkept |= {action.unit.fingerprint: action for action in fresh}
        for fingerprint, action in [*self._unkept.items()]:
            try:
                self._performer.perform(action)
            except StateError as error:
                if fresh:
                    log.error("%s; going on, and trying again", error.message)
                return
            except Exception:
                log.exception("cannot carry out %r", action)
            del self._unkept[fingerprint]

    def _carry_out(self, actions: Sequence[Action]) -> None:
        for action in actions:
            try:
                self._performer.perform(action)
            except Exception:
                log.exception("cannot carry out %r", action)

    def _set_alarm(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        if self._closed:
            return
        deadline = next_deadline(self.world)
        if deadline is not None:
            self._alarm = self._loop.call_later(max(0.0, deadline - boottime()), self._tick)

    def _tick(self) -> None:
        self._alarm = None
        self.post(Tick())

    def tidy(self) -> None:
        """Nothing is under way: a good moment to leave the next manager a checkpoint to read, off the loop."""
        if not self._closed and self._state.untidy:
            self._loop.run_in_executor(self._disk, self._checkpoint)

    def _checkpoint(self) -> None:
        try:
            self._state.checkpoint()
        except StateError as failure:
            log.error("%s", failure.message)

    def _flush(self) -> None:
        try:
            self._state.flush()
            self._disk_failed = False
        except StateError as error:
            if not self._disk_failed:
                log.error("%s; going on, and trying again", error.message)
            self._disk_failed = True

    def _sync(self) -> None:
        if self._unsafe and self._syncing is None and self._sync_due is None:
            if self._closed:
                self._sync_now()
            else:
                self._sync_due = self._loop.call_later(_SYNC_PAUSE, self._sync_now)

    def _sync_now(self) -> None:
        self._sync_due = None
        sequences, self._unsafe = self._unsafe, []
        self._syncing = self._loop.run_in_executor(self._disk, self._state.sync)
        self._syncing.add_done_callback(lambda done: self._synced(done, sequences))

    def _synced(self, done: asyncio.Future[None], sequences: list[int]) -> None:
        self._syncing = None
        error = done.exception()
        if error is not None:
            log.error("cannot make the journal safe: %s", error)
            self._unsafe = sequences + self._unsafe
            if not self._closed:
                self._sync_due = self._loop.call_later(_DISK_RETRY, self._sync_now)
            return
        self._performer.acknowledge(sequences)
        if self._state.wants_checkpoint and not self.world.stopping:
            self._checkpoint()
        self._sync()


def _limits(action: Action) -> TypeGuard[SetLimits | Release]:
    """Whether an order changes the limits of what goes on: those of a slice that is released are its units'."""
    return isinstance(action, SetLimits) or (
        isinstance(action, Release) and action.unit.kind == "slice"
    )


def _not_taken_in(event: CommitLoaded, fault: Exception) -> str:
    return (
        f"commit {event.commit.sha[:12]} cannot be taken in, which is a fault of GitProc "
        f"({type(fault).__name__}: {fault}; daemon.log has more): push another, or `gitproc rollback`"
    )
