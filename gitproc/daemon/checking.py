"""Having the conditions of a unit tested beside the loop: a path may lie on a file system that does not answer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from gitproc.core.checked import Finding
from gitproc.core.events import ConditionsChecked, Event
from gitproc.kernel import conditions
from gitproc.units.conditions import conditions_of
from gitproc.units.specifiers import Host
from gitproc.units.unit import Unit


def check(unit: Unit, invocation: str, host: Host, post: Callable[[Event], None]) -> None:
    """Test them in a thread and post what was found."""
    tests = conditions_of(unit.values)
    running = asyncio.get_running_loop().run_in_executor(None, conditions.check, tests, host)

    def report(done: asyncio.Future[tuple[Finding, ...]]) -> None:
        if not done.cancelled():
            post(ConditionsChecked(unit.name, invocation, done.result(), time.time()))

    running.add_done_callback(report)
