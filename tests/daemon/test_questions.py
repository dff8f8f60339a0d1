"""Many who ask keep the manager's own threads free, and hear it when there are too many."""

from __future__ import annotations

import asyncio
import threading

import pytest

from gitproc.api.caller import Caller
from gitproc.daemon.questions import MOST, THREADS, Questions
from gitproc.daemon.shares import asked_by
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
            async with asyncio.timeout(30):
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
        before = {*threading.enumerate()}  # of an earlier test, some may be ending
        try:
            asked = [asyncio.create_task(questions.ask(gate.wait)) for _ in range(MOST)]
            await asyncio.sleep(0)
            for task in asked:
                task.cancel()
            await asyncio.wait(asked)
            room = range(MOST - THREADS)
            asked = [asyncio.create_task(questions.ask(gate.wait)) for _ in room]
            await asyncio.sleep(0)
            with pytest.raises(DaemonError):
                await questions.ask(gate.wait)
            assert len({*threading.enumerate()} - before) <= THREADS
            gate.set()
            assert await asyncio.gather(*asked) == [True for _ in room]
        finally:
            gate.set()
            questions.close()

    asyncio.run(scenario())


def caller(uid: int) -> Caller:
    return Caller(1, uid, uid, frozenset(), f"user{uid}")


async def ask_as(uid, questions, work):
    """As a request of this user does, in a task of its own."""

    async def asking():
        asked_by(caller(uid))
        return await questions.ask(work)

    task = asyncio.create_task(asking())
    await asyncio.sleep(0)
    return task


def test_one_user_has_a_quarter_and_all_of_them_leave_some_for_root():
    async def scenario():
        questions, gate = Questions(), threading.Event()
        try:
            asked = [await ask_as(1001, questions, gate.wait) for _ in range(MOST // 4)]
            refused = await ask_as(1001, questions, gate.wait)
            with pytest.raises(DaemonError, match="busy: 16 questions wait already for you"):
                await refused
            for uid in (1002, 1003):
                asked += [await ask_as(uid, questions, gate.wait) for _ in range(MOST // 4)]
            refused = await ask_as(1004, questions, gate.wait)
            with pytest.raises(DaemonError, match="busy: 48 questions wait already;"):
                await refused
            async with asyncio.timeout(30):  # a thread has been kept free
                assert await (await ask_as(0, questions, lambda: "root's")) == "root's"
            gate.set()
            assert await asyncio.gather(*asked) == [True] * (3 * MOST // 4)
            assert await (await ask_as(1004, questions, lambda: 1)) == 1
        finally:
            gate.set()
            questions.close()

    asyncio.run(scenario())


def test_users_take_turns():
    async def scenario():
        questions, order = Questions(), []
        gates = [threading.Event() for _ in range(THREADS - 1)]
        try:
            held = [await ask_as(1001, questions, gate.wait) for gate in gates]
            asked = [
                await ask_as(uid, questions, lambda uid=uid: order.append(uid))
                for uid in (1001, 1001, 1001, 1002, 1003)
            ]
            asked.pop(1).cancel()
            gates[0].set()  # one thread for them all
            await asyncio.gather(held[0], *asked)
            assert order == [1001, 1002, 1003, 1001]
        finally:
            for gate in gates:
                gate.set()
            await asyncio.gather(*held)
            questions.close()

    asyncio.run(scenario())


def test_what_goes_wrong_is_told_to_who_asked():
    async def scenario():
        questions = Questions()

        def wrong():
            raise ValueError("wrong")

        with pytest.raises(ValueError, match="wrong"):
            await questions.ask(wrong)
        assert await questions.ask(lambda: 1) == 1
        questions.close()
        with pytest.raises(DaemonError, match="about to end"):
            await questions.ask(lambda: 1)

    asyncio.run(scenario())
