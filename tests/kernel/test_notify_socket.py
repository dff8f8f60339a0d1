"""Datagrams on a real notify socket."""

from __future__ import annotations

import array
import asyncio
import os
import select
import socket
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitproc.core.events import Notified
from gitproc.kernel.notify_socket import MESSAGE_BYTES_MAX, NotifySocket, parse_fields
from tests.descriptors import descriptors
from tests.kernel.parts import soon


class Listener:
    def __init__(
        self,
        path,
        attribute=lambda pid, pidfd: ("a.service", "1" * 32),
        after=lambda callback: callback(),
        counts=lambda event: False,
        server=None,
    ):
        if server is None:
            server = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            server.bind(str(path))
        self.server = server.dup()  # as the shim has it
        self.path = str(path)
        self.told: list[Notified] = []
        self.rejected: list[str] = []
        self.notify = NotifySocket(
            server.detach(),
            attribute,
            self.told.append,
            self.rejected.append,
            after,
            counts=counts,
        )
        self.client = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.client.connect(self.path)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.notify.close()
        self.client.close()
        self.server.close()


async def turns():
    """Let the loop look at its sockets several times."""
    for _ in range(10):
        await asyncio.sleep(0)


def names(listener):
    return [dict(event.fields) for event in listener.told]


@pytest.mark.parametrize(
    "said", ["READY=1", "STATUS=up\nREADY=1", "RELOADING=1", "STOPPING=1", "MAINPID=1", "FDSTORE=1"]
)
def test_what_is_said_once_stays_until_it_is_recorded(tmp_path, said):
    """A manager that is killed between hearing it and writing it down leaves it to the next one."""

    async def scenario():
        recorded: list[Callable[[], None]] = []
        mine = dict(line.split("=") for line in said.split("\n"))
        with Listener(tmp_path / "n", after=recorded.append, counts=lambda event: True) as it:
            for text in ("WATCHDOG=1", said, "STATUS=later"):
                it.client.send(text.encode())
            await soon(lambda: len(it.told) == 2, "told")
            await turns()
            assert names(it) == [{"WATCHDOG": "1"}, mine]
            server = it.server.dup()
        (dead,) = recorded
        recorded.clear()
        with Listener(
            tmp_path / "n", after=recorded.append, counts=lambda event: True, server=server
        ) as other:
            await soon(lambda: other.told, "told again")
            dead()
            await turns()
            assert names(other) == [mine]
            recorded.pop()()
            await soon(lambda: len(other.told) == 2, "the next one")
            assert names(other) == [mine, {"STATUS": "later"}]

    asyncio.run(scenario())


def test_who_is_not_heeded_has_nobody_wait(tmp_path):
    async def scenario():
        recorded: list[Callable[[], None]] = []
        with Listener(tmp_path / "n", after=recorded.append) as it:
            it.client.send(b"READY=1")
            it.client.send(b"STATUS=later")
            await soon(lambda: len(it.told) == 2, "told")
            assert not recorded

    asyncio.run(scenario())


def test_in_a_hurry_all_is_taken_in_once(tmp_path):
    async def scenario():
        recorded: list[Callable[[], None]] = []
        with Listener(tmp_path / "n", after=recorded.append, counts=lambda event: True) as it:
            for number in range(3):
                it.client.send(b"READY=1\nSTATUS=%d" % number)
            await soon(lambda: it.told, "told")
            it.notify.read(hurry=True)
            assert [x["STATUS"] for x in names(it)] == ["0", "1", "2"]
            it.client.send(b"READY=1\nSTATUS=3")
            await soon(lambda: len(it.told) == 4, "told")
            recorded.pop(0)()  # of the first, which is gone already
            it.client.send(b"STATUS=4")
            await turns()
            assert len(it.told) == 4
            recorded.pop()()
            await soon(lambda: len(it.told) == 5, "told")

    asyncio.run(scenario())


def test_a_message_that_waits_costs_no_descriptors(tmp_path):
    async def scenario():
        recorded: list[Callable[[], None]] = []
        with Listener(tmp_path / "n", after=recorded.append, counts=lambda event: True) as it:
            before = descriptors()
            ours, theirs = os.pipe()
            socket.send_fds(it.client, [b"READY=1\nFDSTORE=1"], [theirs])
            os.close(theirs)
            await soon(lambda: it.told, "told")
            recorded.pop()()
            ends = select.poll()
            ends.register(ours, 0)
            # Nobody has the other end, nor soon the process that looked at it before it was taken.
            await soon(lambda: ends.poll(0), "closed")
            os.close(ours)
            assert not descriptors() - before

    asyncio.run(scenario())


def test_messages_come_with_their_senders_pid(tmp_path):
    async def scenario():
        with Listener(tmp_path / "n") as it:
            it.client.send(b"READY=1\nSTATUS=up = fine\nnonsense\nX_OWN=\n")
            await soon(lambda: it.told, "told")
            (event,) = it.told
            assert (event.unit, event.invocation, event.pid) == ("a.service", "1" * 32, os.getpid())
            assert event.fields == (("READY", "1"), ("STATUS", "up = fine"), ("X_OWN", ""))

    asyncio.run(scenario())


def test_the_pid_is_the_senders_own(tmp_path):
    async def scenario():
        asked = []

        def attribute(pid, pidfd):
            asked.append(pid)

        with Listener(tmp_path / "n", attribute) as it:
            code = f"import socket; s = socket.socket(1, 2); s.sendto(b'READY=1', {it.path!r})"
            child = await asyncio.create_subprocess_exec("/usr/bin/env", "python3", "-c", code)
            await child.wait()
            await soon(lambda: it.rejected, "rejected")
            assert asked == [child.pid]
            assert it.told == []

    asyncio.run(scenario())


def test_descriptors_are_closed_and_a_barrier_is_answered(tmp_path):
    async def scenario():
        with Listener(tmp_path / "n") as it:
            for text in (b"BARRIER=1", b"FDSTORE=1"):
                ours, theirs = os.pipe()
                rights = array.array("i", [theirs])
                it.client.send(b"STATUS=before")
                it.client.sendmsg([text], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])
                os.close(theirs)
                assert await asyncio.to_thread(os.read, ours, 1) == b"", "closed over there"
                os.close(ours)
                assert ("STATUS", "before") in it.told[-1 if text == b"BARRIER=1" else -2].fields
            assert all(name != "BARRIER" for each in it.told for name, _ in each.fields)

    asyncio.run(scenario())


def send_fds(client, text, count):
    """Send pipes' write ends; the read ends."""
    pipes = [os.pipe() for _ in range(count)]
    rights = array.array("i", [theirs for _, theirs in pipes])
    client.sendmsg([text], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])
    for _, theirs in pipes:
        os.close(theirs)
    return [ours for ours, _ in pipes]


def test_a_barrier_is_held_until_all_before_it_has_had_its_effect(tmp_path):
    async def scenario():
        waiting: list[Callable[[], None]] = []
        with Listener(tmp_path / "n", after=waiting.append) as it:
            (ours,) = send_fds(it.client, b"BARRIER=1", 1)
            os.set_blocking(ours, False)
            await soon(lambda: waiting, "it is told of the barrier")
            with pytest.raises(BlockingIOError):
                os.read(ours, 1)
            waiting.pop()()
            assert os.read(ours, 1) == b""
            os.close(ours)

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("text", "count"), [(b"BARRIER=2", 2), (b"BARRIER=1\nREADY=1", 1), (b"BARRIER=0", 1)]
)
def test_what_is_no_proper_barrier_is_closed_at_once(tmp_path, text, count):
    async def scenario():
        waiting: list[Callable[[], None]] = []
        with Listener(tmp_path / "n", after=waiting.append) as it:
            for ours in send_fds(it.client, text, count):
                assert await asyncio.to_thread(os.read, ours, 1) == b""
                os.close(ours)
            assert not waiting

    asyncio.run(scenario())


def test_too_large_messages_are_dropped_whole(tmp_path):
    async def scenario():
        with Listener(tmp_path / "n") as it:
            it.client.send(b"STATUS=" + b"x" * MESSAGE_BYTES_MAX)
            it.client.send(b"STATUS=" + b"x" * (MESSAGE_BYTES_MAX - 7))
            await soon(lambda: it.told, "the second is told")
            assert len(it.told) == 1
            assert "too large" in it.rejected[0]

    asyncio.run(scenario())


def test_a_flood_leaves_the_loop_time_for_others(tmp_path):
    async def scenario():
        with Listener(tmp_path / "n") as it:
            it.client.setblocking(False)
            turns = 0
            while len(it.told) < 500:
                try:
                    while True:
                        it.client.send(b"WATCHDOG=1")
                except BlockingIOError:
                    pass
                before = len(it.told)
                await asyncio.sleep(0)
                assert len(it.told) - before <= 64
                turns += 1
            assert turns > 7

    asyncio.run(scenario())


@pytest.mark.parametrize("data", [b"", b"\xff=1", b"A=1\0B=2", b"=x", b"plain"])
def test_what_says_nothing_is_nothing(data):
    assert parse_fields(data) == ()


def test_a_trailing_nul_is_forgiven():
    assert parse_fields(b"READY=1\0") == (("READY", "1"),)


@given(
    st.one_of(st.binary(max_size=60), st.text("A=1\n\0\u00e9\u00b2", max_size=20).map(str.encode))
)
def test_any_datagram_is_a_list_of_fields(data):
    for name, value in parse_fields(data):
        assert name
        assert "\n" not in name + value
