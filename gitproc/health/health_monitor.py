"""Health probes over the network: one at a time per instance, never blocking."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import TypeAlias

from gitproc.core.events import ProbeFailed, ProbeSucceeded

Deliver: TypeAlias = Callable[[ProbeSucceeded | ProbeFailed], None]

_log = logging.getLogger(__name__)


class HealthMonitor:
    """Runs probes in the running event loop and delivers each verdict as an event."""

    def __init__(self, deliver: Deliver) -> None:
        self._deliver = deliver
        self._running: dict[str, tuple[str, asyncio.Task[None]]] = {}

    def probe(
        self, unit: str, invocation: str, *, url: str = "", tcp: str = "", timeout: float
    ) -> None:
        """Begin one probe of `url` or of the address `tcp`; `timeout` in seconds covers all of it.

        Delivers `ProbeSucceeded` or `ProbeFailed` exactly once, later, unless cancelled. Nothing happens
        while a probe of the same instance runs; one of an earlier instance of the unit is cancelled.
        """
        running = self._running.get(unit)
        if running is not None:
            if running[0] == invocation:
                return
            self.cancel(unit)
        task = asyncio.get_running_loop().create_task(
            self._run(unit, invocation, url, tcp, timeout), name=f"probe {unit}"
        )
        self._running[unit] = (invocation, task)

    def cancel(self, unit: str) -> None:
        """Forget the unit's probe, if one runs; it delivers nothing any more."""
        running = self._running.pop(unit, None)
        if running is not None:
            running[1].cancel()

    async def close(self) -> None:
        """Cancel every probe and wait until their connections are closed."""
        tasks = [task for _, task in self._running.values()]
        for unit in list(self._running):
            self.cancel(unit)
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self, unit: str, invocation: str, url: str, tcp: str, seconds: float) -> None:
        from gitproc.health.network_probe import fault_of  # few units have one

        try:
            detail = await fault_of(url, tcp, seconds)
        except Exception as error:
            _log.exception("probe of %s failed in an unforeseen way", unit)
            detail = f"{url or tcp}: {error!r}"
        if self._running.get(unit, ("", None))[1] is asyncio.current_task():
            del self._running[unit]
        else:
            return
        if detail:
            self._deliver(ProbeFailed(unit, invocation, detail))
        else:
            self._deliver(ProbeSucceeded(unit, invocation))
