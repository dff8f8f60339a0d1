"""Questions that read from disk or git: in threads of their own, and only so many at once.

Whoever may read can ask, and compiling a commit takes a while. The threads that the manager itself needs
(looking at the branch, judging pushes, telling outcomes) must not be behind them in a queue.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from gitproc.errors import DaemonError

T = TypeVar("T")

THREADS = 3
MOST = 64  # asked and not answered


class Questions:
    """The threads; used from the loop's thread."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(THREADS, "question")
        self._open = 0

    async def ask(self, work: Callable[[], T]) -> T:
        """What `work` returns. DaemonError where too many others wait already."""
        if self._open >= MOST:
            raise DaemonError(f"busy: {MOST} questions wait already; try again later")
        self._open += 1
        future = asyncio.get_running_loop().run_in_executor(self._pool, work)
        future.add_done_callback(self._answered)  # a thread goes on where its client has gone
        return await asyncio.shield(future)

    def _answered(self, done: asyncio.Future[T]) -> None:
        self._open -= 1
        if not done.cancelled():
            done.exception()  # somebody may have hung up before it was raised

    def close(self) -> None:
        """No more; what has not begun never will."""
        self._pool.shutdown(wait=False, cancel_futures=True)
