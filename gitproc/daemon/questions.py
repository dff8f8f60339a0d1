"""Questions that read from disk or git: in threads of their own, and only so many at once.

Whoever may read can ask, and compiling a commit takes a while. The threads that the manager itself needs
(looking at the branch, judging pushes, telling outcomes) must not be behind them in a queue, and root must not
be behind everybody else: its questions come first, and a thread is kept free for them. The others take turns.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

from gitproc.daemon.shares import Shares
from gitproc.errors import DaemonError
from gitproc.immutable import NamedTuple

T = TypeVar("T")

THREADS = 3
MOST = 64  # asked and not answered


class _Question(NamedTuple):
    work: Callable[[], Any]
    answer: asyncio.Future[Any]


class Questions:
    """The threads; used from the loop's thread."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(THREADS, "question")
        self._shares = Shares(MOST, "questions wait")
        self._waiting: dict[int | None, deque[_Question]] = {}
        """By who asked, in the order of their turns."""
        self._busy = 0
        self._busy_for_others = 0  # than root
        self._closed = False

    async def ask(self, work: Callable[[], T]) -> T:
        """What `work` returns. DaemonError where too many others wait already."""
        if self._closed:
            raise DaemonError("the manager is about to end")
        self._forget_gone()
        answer: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        who = self._shares.take()
        self._waiting.setdefault(who, deque()).append(_Question(work, answer))
        self._begin()
        return await answer

    def _begin(self) -> None:
        while self._busy < THREADS and (found := self._next()) is not None:
            who, question = found
            self._busy += 1
            self._busy_for_others += who is not None
            running = asyncio.get_running_loop().run_in_executor(self._pool, question.work)
            running.add_done_callback(partial(self._answered, who, question.answer))

    def _forget_gone(self) -> None:
        """Who has hung up before a thread began with it has no use for the answer."""
        for who, queue in [*self._waiting.items()]:
            left = deque(one for one in queue if not one.answer.cancelled())
            self._shares.give(who, len(queue) - len(left))
            if left:
                self._waiting[who] = left
            else:
                del self._waiting[who]

    def _next(self) -> tuple[int | None, _Question] | None:
        """Root's first; the others' in turns, and not in the last thread."""
        others = self._busy_for_others < THREADS - 1
        turns = [who for who in self._waiting if who is None or others]
        if not turns:
            return None
        who = None if None in turns else turns[0]
        queue = self._waiting.pop(who)
        question = queue.popleft()
        if queue:
            self._waiting[who] = queue  # behind all others
        return who, question

    def _answered(
        self, who: int | None, answer: asyncio.Future[Any], done: asyncio.Future[Any]
    ) -> None:
        self._shares.give(who)
        self._busy -= 1
        self._busy_for_others -= who is not None
        error = None if done.cancelled() else done.exception()
        if answer.done():
            pass  # a thread goes on where its client has gone
        elif done.cancelled():
            answer.cancel()
        elif error is not None:
            answer.set_exception(error)
        else:
            answer.set_result(done.result())
        if not self._closed:
            self._forget_gone()
            self._begin()

    def close(self) -> None:
        """No more; what has not begun never will."""
        self._closed = True
        self._pool.shutdown(wait=False, cancel_futures=True)
        for queue in self._waiting.values():
            for question in queue:
                question.answer.cancel()
        self._waiting.clear()
