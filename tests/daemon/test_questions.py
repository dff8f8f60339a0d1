"""Many who ask keep the manager's own threads free, and hear it when there are too many."""

from __future__ import annotations

import asyncio
import threading

import pytest

from gitproc.daemon.questions import MOST, THREADS, Questions
from gitproc.errors import DaemonError


def test_too_many_are_told_so_and_the_others_are_answered():
    async def scenario():
        questions, gate = Questions(), threading.Event()
        try:
            asked = [asyncio.create_task(questions.ask(gate.wait)) for _ in range(MOST)]
            await asyncio.sleep(0)
            with pytest.raises(DaemonError, match="busy"):
                await questions.ask(gate.wait)
            loop = asyncio.get_running_loop()
            async with asyncio.timeout(10):
                assert await loop.run_in_executor(None, lambda: "free") == "free"
            gate.set()
            assert await asyncio.gather(*asked) == [True] * MOST
            assert await questions.ask(lambda: 1) == 1
        finally:
            gate.set()
            questions.close()

    asyncio.run(scenario())


def test_who_hangs_up_makes_no_room_while_a_thread_works_for_them():
    async def scenario():
        questions, gate = Questions(), threading.Event()
        try:
            asked = [asyncio.create_task(questions.ask(gate.wait)) for _ in range(MOST)]
            await asyncio.sleep(0)
            for task in asked:
                task.cancel()
            await asyncio.wait(asked)
            with pytest.raises(DaemonError):
                await questions.ask(gate.wait)
            assert threading.active_count() <= THREADS + 2
        finally:
            gate.set()
            questions.close()

    asyncio.run(scenario())
