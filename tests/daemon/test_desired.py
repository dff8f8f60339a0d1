"""The branch as it is to be: who waits for the first look at it."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest

from gitproc.daemon.desired import Desired


@pytest.mark.parametrize("turns", range(5))
def test_who_waits_for_the_first_look_can_be_cancelled_at_any_moment(turns):
    """A manager that steps aside cancels what is asked of it, and waits for that to end."""

    async def scenario():
        looked = asyncio.Event()
        desired = SimpleNamespace(_looked=looked)
        waiting = asyncio.create_task(Desired.looked(desired, 60.0))  # type: ignore[arg-type]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        looked.set()
        for _ in range(turns):
            await asyncio.sleep(0)
        heeded = waiting.cancel()
        await asyncio.wait([waiting])
        assert waiting.cancelled() is heeded

    asyncio.run(scenario())
