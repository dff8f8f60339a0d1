"""Having it asked beside the loop who a process is to run as: a directory that is away holds up nobody else.

Where the host has none (`name_service.is_local`), nothing of this happens. Else an order to make a process waits
until the threads have asked all that compiling it will ask; then it is carried out as if it had just come.
"""

from __future__ import annotations

import asyncio
import grp
import logging
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cache, partial
from typing import Any

from gitproc.core.actions import Spawn
from gitproc.core.events import Process
from gitproc.immutable import mutable
from gitproc.kernel import name_service
from gitproc.kernel.accounts import account_of
from gitproc.kernel.launch import LaunchError
from gitproc.kernel.name_service import Answer, Question, Unanswered, answered
from gitproc.units import directives as d
from gitproc.units.directive import Directive
from gitproc.units.directives_sandbox import DYNAMIC_USER
from gitproc.units.unit import Unit

_THREADS = 8
FRESH = 5.0  # seconds for which a start believes what another one has asked
_DEADLINE = 30.0  # seconds
_WHO: tuple[Directive[Any], ...] = (d.USER, d.GROUP, d.SUPPLEMENTARY_GROUPS, DYNAMIC_USER)
_WHO_KEYS = frozenset(each.key for each in _WHO)

log = logging.getLogger(__name__)


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(_THREADS, "names")


async def number_of_group(name: str, patience: float = 5.0) -> int | None:
    """A group's number; None if there is no such group, or nobody says so within `patience` seconds."""
    question: Question = (grp.getgrnam, (name,))
    asking = asyncio.get_running_loop().run_in_executor(_pool(), answered, question, 0.0)
    if not (await asyncio.wait([asking], timeout=patience))[0]:
        log.warning("nobody says which group %s is: it is not let in", name)
        return None
    found = asking.result()
    return None if found.error else int(found.value.gr_gid)


def names_somebody(unit: Unit) -> bool:
    """Whether a unit says who it runs as: of all others nobody is to be looked up."""
    return not _WHO_KEYS.isdisjoint(unit.values) and any(unit[each] for each in _WHO)


@mutable
class _Waiting:
    """An order that waits. `since`: how old an answer may be."""

    order: Spawn
    since: float
    timer: asyncio.TimerHandle


class Lookups:
    """Orders that wait for the name service: `spawn` is called for each whose answers are there, `failed` for one
    that has waited for `deadline` seconds."""

    def __init__(
        self,
        spawn: Callable[[Spawn], None],
        failed: Callable[[Process, LaunchError], None],
        is_local: Callable[[], bool] = name_service.is_local,
        deadline: float = _DEADLINE,
    ) -> None:
        self._spawn = spawn
        self._failed = failed
        self._is_local = is_local
        self._deadline = deadline
        self._waiting: dict[Process, _Waiting] = {}
        self._asked: dict[Question, list[Callable[[], None]]] = {}

    def postpone(self, order: Spawn) -> bool:
        """Whether an order has to wait. Commands that follow the first believe what that was told."""
        if not names_somebody(order.unit):
            return False
        if self._is_local():
            name_service.forget()
            return False
        known = self._waiting.get(order.process)
        since = known.since if known else time.monotonic() - FRESH if order.first else 0.0
        try:
            with suppress(LaunchError), name_service.asking(since):  # which comes again
                account_of(order.unit, os.geteuid() == 0)
        except Unanswered as missing:
            self._wait(order, since, missing.question)
            return True
        self.end(order.process)
        return False

    def end(self, process: Process) -> bool:
        """Have its order not wait any more; whether it did."""
        known = self._waiting.pop(process, None)
        if known is not None:
            known.timer.cancel()
        return known is not None

    def unhurried(
        self, work: Callable[[], None], still: Callable[[], bool], since: float = 0.0
    ) -> None:
        """Do what no process waits for. What it asks, and nobody knows from `since` on (time.monotonic), is
        asked first; then it is done, from its beginning, if it is `still` to be done."""
        try:
            if self._is_local():
                name_service.forget()
                work()
            else:
                with name_service.asking(since):
                    work()
        except Unanswered as missing:
            again = partial(self.unhurried, work, still, since)
            self._ask(missing.question, lambda: again() if still() else None)

    def _wait(self, order: Spawn, since: float, question: Question) -> None:
        process = order.process
        if process not in self._waiting:
            loop = asyncio.get_running_loop()
            timer = loop.call_later(self._deadline, self._late, process)
            self._waiting[process] = _Waiting(order, since, timer)
        self._ask(question, partial(self._go_on, process))

    def _go_on(self, process: Process) -> None:
        if process in self._waiting:
            self._spawn(self._waiting[process].order)

    def _ask(self, question: Question, then: Callable[[], None]) -> None:
        if question in self._asked:
            self._asked[question].append(then)
            return
        self._asked[question] = [then]
        loop = asyncio.get_running_loop()
        asking = loop.run_in_executor(_pool(), answered, question, time.monotonic())
        asking.add_done_callback(partial(self._heard, question))

    def _heard(self, question: Question, answer: asyncio.Future[Answer]) -> None:
        if answer.cancelled():
            return
        name_service.learn(question, answer.result())
        for then in self._asked.pop(question):
            try:
                then()
            except Exception:
                log.exception("cannot go on after %r", question)  # the others are to

    def _late(self, process: Process) -> None:
        if self.end(process):
            text = f"the name service has not answered within {self._deadline:g} s"
            self._failed(process, LaunchError("USER", text))
