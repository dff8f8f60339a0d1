"""Having the conditions of a unit tested beside the loop: a path may lie on a file system that does not answer.

The threads are for this alone: those that look at the branch must not wait for such a path.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from gitproc.core.checked import Finding
from gitproc.core.events import ConditionsChecked, Event
from gitproc.kernel import conditions
from gitproc.units.conditions import conditions_of
from gitproc.units.specifiers import Host
from gitproc.units.unit import Unit

_THREADS = 8


class Checking:
    """Tests conditions and posts what was found."""

    def __init__(self, host: Host, post: Callable[[Event], None]) -> None:
        self._host = host
        self._post = post
        self._pool = ThreadPoolExecutor(_THREADS, "conditions")

    def check(self, unit: Unit, invocation: str) -> None:
        """Test those of an instance."""
        tests = conditions_of(unit.values)
        loop = asyncio.get_running_loop()
        running = loop.run_in_executor(self._pool, conditions.check, tests, self._host)

        def report(done: asyncio.Future[tuple[Finding, ...]]) -> None:
            if not done.cancelled():
                self._post(ConditionsChecked(unit.name, invocation, done.result(), time.time()))

        running.add_done_callback(report)
