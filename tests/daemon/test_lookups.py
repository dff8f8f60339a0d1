"""Orders that wait for the name service: carried out when it has answered, given up, or overtaken by an end."""

from __future__ import annotations

import asyncio
import pwd
import threading
import time

import pytest

from gitproc.core.actions import Spawn
from gitproc.core.events import Process, Slot
from gitproc.daemon import lookups
from gitproc.daemon.lookups import Lookups, _pool, number_of_group
from gitproc.kernel import name_service
from gitproc.units import directives as d
from tests.kernel.parts import unit


class Orders:
    """Takes orders as the manager does, and remembers what became of them."""

    def __init__(self, *, local=False, deadline=30.0):
        self.made: list[str] = []
        self.failed: list[str] = []
        self.lookups = Lookups(
            self.spawn, lambda _, error: self.failed.append(str(error)), lambda: local, deadline
        )

    def spawn(self, order):
        if not self.lookups.postpone(order):
            self.made.append(order.unit.name)

    def give(self, text, name="a.service", *, first=True):
        of = unit(text, name)
        process = Process(name, "i", Slot.MAIN, 1, "f")
        self.spawn(Spawn(process, of, of[d.EXEC_START][0], (), first, None))
        return process


@pytest.fixture(autouse=True)
def ignorant():
    name_service.forget()
    yield
    name_service.forget()
    _pool().shutdown()
    _pool.cache_clear()


class Slow(threading.Event):
    def __init__(self):
        super().__init__()
        self.asked: list[str] = []

    def getpwnam(self, name, real=pwd.getpwnam):
        self.asked.append(name)
        self.wait(20)
        return real(name)


@pytest.fixture
def slow(monkeypatch):
    """A name service that answers once it is told to."""
    made = Slow()
    monkeypatch.setattr(pwd, "getpwnam", made.getpwnam)
    yield made
    made.set()  # before the threads are waited for


async def until(condition):
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        await asyncio.sleep(0.01)


def test_who_runs_as_nobody_in_particular_or_where_all_is_local_waits_for_nothing():
    async def go():
        orders = Orders()
        orders.give("")
        orders.give("User=daemon", first=False)
        assert orders.made == ["a.service"]
        at_home = Orders(local=True)
        at_home.give("User=daemon\nGroup=games\nSupplementaryGroups=mail")
        assert at_home.made == ["a.service"]
        await until(lambda: len(orders.made) == 2)

    asyncio.run(go())


def test_an_order_is_carried_out_when_all_is_known_and_what_is_known_is_not_asked_again(
    slow, monkeypatch
):
    monkeypatch.setattr(lookups, "FRESH", 50.0)

    async def go():
        orders = Orders()
        for name in ("a.service", "b.service", "c.service"):
            orders.give("User=daemon\nGroup=games\nSupplementaryGroups=mail", name)
        orders.give("User=no-such-user", "d.service")
        await until(lambda: slow.asked)
        assert orders.made == []
        slow.set()
        await until(lambda: len(orders.made) == 4)
        assert sorted(slow.asked) == ["daemon", "no-such-user"]
        slow.clear()
        orders.give("User=daemon\nGroup=games", "e.service")
        name_service.learn((pwd.getpwnam, ("daemon",)), name_service.Answer(0.0, pwd.getpwuid(1)))
        orders.give("User=daemon\nGroup=games", "f.service", first=False)
        assert orders.made[4:] == ["e.service", "f.service"]
        orders.give("User=daemon\nGroup=games", "g.service")
        assert len(orders.made) == 6  # too long ago for a start

    asyncio.run(go())


def test_an_order_that_waits_too_long_or_is_ended_is_never_carried_out(slow):
    async def go():
        orders = Orders(deadline=0.1)
        orders.give("User=daemon", "a.service")
        ended = orders.give("User=bin", "b.service")
        assert orders.lookups.end(ended)
        assert not orders.lookups.end(ended)
        await until(lambda: orders.failed)
        slow.set()
        await until(lambda: not orders.lookups._asked)
        assert orders.made == []
        orders.lookups._deadline = 30.0
        orders.give("User=sys", "c.service")
        await until(lambda: orders.made)
        assert orders.made == ["c.service"]
        assert orders.failed == ["the name service has not answered within 0.1 s"]

    asyncio.run(go())


def test_what_nobody_waits_for_is_done_when_it_can_be_if_it_is_still_to_be_done(slow):
    async def go():
        it = Orders().lookups
        done = []

        def work():
            done.append(name_service.ask(pwd.getpwnam, "daemon").pw_uid)

        it.unhurried(work, lambda: True)
        it.unhurried(work, lambda: False)
        assert done == []
        slow.set()
        await until(lambda: done)
        it.unhurried(work, lambda: False)
        assert done == [1, 1]

    asyncio.run(go())


def test_a_group_that_nobody_tells_of_is_let_in_nowhere(monkeypatch, caplog):
    async def go():
        assert await number_of_group("daemon", 30.0) == 1
        assert await number_of_group("no-such-group", 30.0) is None
        monkeypatch.setattr("grp.getgrnam", lambda _: told.wait(20))
        assert await number_of_group("daemon", 0.05) is None
        told.set()

    told = threading.Event()
    asyncio.run(go())
    assert "nobody says which group daemon is" in caplog.text
