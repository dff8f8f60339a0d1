"""The asyncio client against a real shim: events, adoption, queues, the end of the line."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest

from gitproc.core.events import (
    Executed,
    ExitCode,
    Exited,
    Process,
    SetupFailed,
    Slot,
    Spawned,
    SpawnFailed,
)
from gitproc.errors import HostError
from gitproc.kernel.process_manager import ProcessManager
from gitproc.kernel.shim_table import TableEntry, Welcome
from tests.shim.client import Shim, title, until

DEADLINE = 50.0  # seconds


def token(name, serial=1):
    return Process(f"{name}.service", "f" * 32, Slot.MAIN, serial, "0" * 64)


def spec(*argv, **more):
    return {"path": argv[0], "argv": list(argv), "env": ["PATH=/usr/bin:/bin"], **more}


SLEEP = spec("/bin/sleep", "1000")


class Manager:
    """A manager that keeps every event."""

    welcome: Welcome
    rows: list[TableEntry]

    def __init__(self):
        self.events = []
        self.arrived = asyncio.Event()
        self.lost = asyncio.Event()
        self.client = ProcessManager(self.deliver)
        self.client.on_lost = self.lost.set

    def deliver(self, event):
        self.events.append(event)
        self.arrived.set()

    async def wait(self, kind, process=None, count=1):
        """The first `count` events of the kind (about the process)."""

        def found():
            return [
                e for e in self.events
                if isinstance(e, kind) and process in (None, e.process)
            ]  # fmt: skip

        async with asyncio.timeout(DEADLINE):
            while len(found()) < count:
                self.arrived.clear()
                await self.arrived.wait()
        return found()[0] if count == 1 else found()[:count]


@pytest.fixture
def shim(tmp_path):
    shim = Shim(tmp_path)
    yield shim
    shim.end()


@pytest.fixture
def play(shim):
    """Runs a scenario with connected managers, which hang up afterwards."""

    def run(scenario):
        async def whole():
            managers = []

            async def connect():
                manager = Manager()
                managers.append(manager)
                manager.welcome = await manager.client.connect(shim.socket, DEADLINE)
                manager.rows = await manager.client.list()
                return manager

            try:
                await scenario(connect)
            finally:
                for manager in managers:
                    manager.client.close()
                    os.close(manager.welcome.notify_fd)

        asyncio.run(whole())

    return run


def test_the_life_of_a_process(play, shim):
    async def scenario(connect):
        manager = await connect()
        assert manager.welcome.shim_pid == shim.pid
        process = token("a")
        manager.client.spawn(process, spec("/bin/sh", "-c", "exit 5"))
        exited = await manager.wait(Exited)
        spawned, executed, last = manager.events
        assert isinstance(spawned, Spawned) and spawned.pid > 0 and spawned.start_time > 0
        assert executed == Executed(process)
        assert last is exited
        assert (exited.process, exited.code, exited.status) == (process, ExitCode.EXITED, 5)
        assert exited.sequence > 0 and exited.realtime > 1e9 and exited.cpu_seconds >= 0
        manager.client.acknowledge([exited.sequence])
        assert await manager.client.list() == []

    play(scenario)


def test_failures_are_events(play):
    async def scenario(connect):
        manager = await connect()
        manager.client.spawn(token("a"), spec("/no/such"))
        failed = await manager.wait(SetupFailed, token("a"))
        assert (failed.step, failed.errno) == ("EXEC", 2)
        assert (await manager.wait(Exited, token("a"))).status == 203
        manager.client.spawn(token("b"), spec("/bin/true", cgroup="/no/such"))
        assert (await manager.wait(SpawnFailed, token("b"))).step == "CGROUP"
        manager.client.spawn(token("c"), spec("/bin/true", nice=Slot))
        assert (await manager.wait(SpawnFailed, token("c"))).step == "SPEC"

    play(scenario)


def test_signals_even_to_one_that_is_not_made_yet(play):
    async def scenario(connect):
        manager = await connect()
        manager.client.spawn(token("a"), SLEEP)
        manager.client.signal(token("a"), signal.SIGINT)
        exited = await manager.wait(Exited)
        assert (exited.code, exited.status) == (ExitCode.KILLED, signal.SIGINT)
        manager.client.signal(token("a"), signal.SIGINT)  # it is gone: nothing happens
        manager.client.spawn(token("b"), SLEEP)
        await manager.wait(Executed, token("b"))
        until(lambda: title(manager.client.pid(token("b"))) == "/bin/sleep 1000")
        assert manager.client.pidfd(token("b")) >= 0
        manager.client.signal(token("b"), signal.SIGKILL)
        assert (await manager.wait(Exited, token("b"))).status == 9

    play(scenario)


def test_adoption(play):
    async def scenario(connect):
        first = await connect()
        first.client.spawn(token("alive"), SLEEP)
        first.client.spawn(token("dead"), spec("/bin/sh", "-c", "exit 4"))
        await first.wait(Executed, token("alive"))
        dead = await first.wait(Exited)
        first.client.close()
        second = await connect()
        assert second.events == []  # the caller sees the table first
        rows = {row.process: row for row in second.rows}
        assert rows[token("alive")].alive and rows[token("alive")].executed
        assert not rows[token("dead")].alive
        assert second.client.pid(token("alive")) == rows[token("alive")].pid
        assert await second.wait(Exited) == dead
        second.client.acknowledge([dead.sequence])
        second.client.signal(token("alive"), 9)
        assert (await second.wait(Exited, token("alive"))).sequence != dead.sequence

    play(scenario)


def test_more_than_the_socket_takes(play):
    async def scenario(connect):
        manager = await connect()
        processes = [token(f"u{number}") for number in range(500)]
        padding = [f"V{number}=" + "x" * 100 for number in range(60)]
        for process in processes:
            manager.client.spawn(process, {**spec("/bin/true"), "env": padding})
        exits = await manager.wait(Exited, count=500)
        assert {e.process for e in exits} == set(processes)
        manager.client.acknowledge([e.sequence for e in exits])
        assert await manager.client.list() == []

    play(scenario)


def test_descriptors_go_along_and_remain_the_callers(play):
    async def scenario(connect):
        manager = await connect()
        reading, writing = os.pipe()
        manager.client.spawn(token("a"), spec("/bin/echo", "hello", output={"fd": 0}), (writing,))
        os.close(writing)
        await manager.wait(Exited)
        with os.fdopen(reading) as pipe:
            assert pipe.read() == "hello\n"

    play(scenario)


def test_warnings(play):
    async def scenario(connect):
        manager = await connect()
        told = asyncio.get_running_loop().create_future()
        manager.client.on_warning = lambda process, text: told.set_result((process, text))
        log = {"log": "/proc/no/such/dir/a.log", "max_bytes": 0, "files": 0}
        manager.client.spawn(token("a"), spec("/bin/echo", "x", output=log))
        await manager.wait(Exited)
        async with asyncio.timeout(DEADLINE):
            process, text = await told
        assert process is None and "output is being lost" in text

    play(scenario)


def test_re_exec_and_reopening(play, shim):
    async def scenario(connect):
        manager = await connect()
        manager.client.spawn(token("a"), SLEEP)
        await manager.wait(Executed)
        await manager.client.reopen_logs()
        await manager.client.reexec()
        manager.client.signal(token("a"), 9)
        assert (await manager.wait(Exited)).status == 9

    play(scenario)


def test_the_shim_dies_and_what_lived_is_handed_over(play, shim):
    async def scenario(connect):
        manager = await connect()
        manager.client.spawn(token("a"), SLEEP)
        pid = (await manager.wait(Spawned)).pid
        os.kill(logger := shim.logger, signal.SIGSTOP)  # so that the request stays unanswered
        asking = asyncio.ensure_future(manager.client.reopen_logs())
        await asyncio.sleep(0)
        shim.process.kill()
        os.kill(logger, signal.SIGKILL)
        async with asyncio.timeout(DEADLINE):
            await manager.lost.wait()
        with pytest.raises(HostError):
            await asking
        assert not manager.client.connected
        [(process, (orphan, pidfd))] = manager.client.orphans.items()
        assert (process, orphan) == (token("a"), pid)
        signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        os.close(pidfd)
        manager.client.orphans.clear()
        until(lambda: not title(pid))
        manager.client.spawn(token("b"), SLEEP)  # nobody is there: nothing happens

    play(scenario)


def test_termination_is_told(play, shim):
    async def scenario(connect):
        manager = await connect()
        told = asyncio.get_running_loop().create_future()
        manager.client.on_terminate = told.set_result
        shim.process.terminate()
        async with asyncio.timeout(DEADLINE):
            assert await told == signal.SIGTERM
            manager.client.shutdown()
            await manager.lost.wait()

    play(scenario)
    assert shim.process.wait(DEADLINE) == 0


def test_no_shim_is_an_error(tmp_path):
    async def scenario():
        with pytest.raises(HostError, match="cannot reach the shim"):
            await ProcessManager(print).connect(tmp_path / "none", 0.05)

    asyncio.run(scenario())


def test_a_process_not_spawned_here_is_adopted(play, tmp_path):
    """A daemon that its parent left behind: the shim reaps it, and its true end is told."""
    pid_file = tmp_path / "pid"
    script = f"sleep 1000 & echo $! > {pid_file}.new; mv {pid_file}.new {pid_file}"

    async def scenario(connect):
        manager = await connect()
        parent, main = token("forking"), token("forking", 2)
        manager.client.spawn(parent, spec("/bin/sh", "-c", script))
        await manager.wait(Exited, parent)
        pid = int(pid_file.read_text())
        manager.client.adopt(main, pid, 0)
        assert (await manager.wait(Spawned, main)).pid == pid
        await manager.wait(Executed, main)
        manager.client.signal(main, signal.SIGKILL)
        ended = await manager.wait(Exited, main)
        assert (ended.code, ended.status) == (ExitCode.KILLED, signal.SIGKILL)
        assert ended.sequence

    play(scenario)


def test_a_process_that_is_gone_is_adopted_as_lost(play):
    async def scenario(connect):
        manager = await connect()
        manager.client.adopt(token("gone"), 2**22 - 1, 0)
        assert (await manager.wait(Exited, token("gone"))).code is ExitCode.LOST

    play(scenario)
