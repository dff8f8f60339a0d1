"""The real machine: shim, cgroups, processes, and what carries out a manager's orders, composed as the daemon is."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from gitproc.core.actions import Acknowledge, Action
from gitproc.core.events import Event, Process, Spawned
from gitproc.daemon import config as configuration
from gitproc.daemon.daemon import prepare_directories
from gitproc.daemon.effects import Effects
from gitproc.daemon.perform import Perform
from gitproc.daemon.recover import adopt
from gitproc.health.health_monitor import HealthMonitor
from gitproc.kernel.cgroup_layout import detect
from gitproc.kernel.host import read_host
from gitproc.kernel.notify_socket import NotifySocket
from gitproc.kernel.process_manager import ProcessManager
from gitproc.kernel.resource_controller import ResourceController
from gitproc.kernel.sockets import Sockets
from gitproc.store.definitions import Definitions
from gitproc.store.event_log import EventLog
from gitproc.units import directives as d
from gitproc.units.unit import Unit
from tests.contract.programs import DOUBLES
from tests.contract.surroundings import Surroundings
from tests.shim.client import DEADLINE, Shim

CORE_PATTERN = Path("/proc/sys/kernel/core_pattern")


class Real(Surroundings):
    """Everything below `directory` but cgroups, which are named after it."""

    def __init__(self, directory: Path) -> None:
        super().__init__()
        self.here = str(directory)
        self.programs = str(directory / "bin")
        Path(self.programs).mkdir()
        for name, double in DOUBLES.items():
            path = Path(self.programs, name)
            if double.script:
                path.write_text(double.script)
                path.chmod(0o755)
        self.config = configuration.load(None, directory / "root")
        prepare_directories(self.config)
        self._loop = asyncio.new_event_loop()
        self._arrived = asyncio.Event()
        self._life = 0
        self._sockets: list[socket.socket] = []
        self._listener = socket.socket()
        self._listener.bind(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self.dumps_core = not CORE_PATTERN.read_text().startswith(("|", "/"))
        self._shim = Shim(self.config.run_dir)
        self._loop.run_until_complete(self._begin(same_shim=True))
        self.forget()

    async def _begin(self, *, same_shim: bool) -> None:
        self.world.recorded = {"serial": self._serial}
        self._life += 1
        life = self._life

        def take(event: Event) -> None:
            if life == self._life:  # the thoughts of a dead manager are nobody's news
                self.take(event)

        host = read_host()
        manager = ProcessManager(lambda event: self._performer.take(event))  # noqa: PLW0108 -- made below
        welcome = await manager.connect(self.config.run_dir / "shim.sock", DEADLINE)
        controller = ResourceController(detect(), welcome.shim_pid, self.config.cgroup_root)
        controller.prepare()
        sockets = Sockets(manager, take)
        self._effects = Effects(
            self.config,
            self.world,
            host,
            manager,
            controller,
            HealthMonitor(take),
            Definitions(self.config.state_dir / "definitions"),
            EventLog(self.config.log_dir),
            sockets,
            welcome.shim_pid,
        )
        self._performer = performer = Perform(self._effects, take)
        await adopt(self._effects, performer.surroundings, take, same_shim=same_shim)
        self._notify = NotifySocket(
            welcome.notify_fd, performer.senders.attribute, performer.senders.notified
        )

    async def _end(self) -> None:
        self._life += 1
        self._notify.close()
        await self._effects.health.close()
        self._effects.manager.close()
        self._effects.controller.close()
        self._effects.events.close()

    def take(self, event: Event) -> None:
        super().take(event)
        self._arrived.set()

    def perform(self, action: Action) -> None:
        self._loop.run_until_complete(self._perform(action))

    async def _perform(self, action: Action) -> None:
        if isinstance(action, Acknowledge):
            self._performer.acknowledge([action.sequence])
        else:
            self._performer.perform(action)

    def until(self, check: Callable[[], Any], what: str) -> None:
        async def wait() -> None:
            end = self._loop.time() + DEADLINE
            while not check():
                assert self._loop.time() < end, f"never came true: {what}; {self.news}"
                self._arrived.clear()
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._arrived.wait(), 0.01)  # files tell nobody

        self._loop.run_until_complete(wait())

    def crash(self) -> None:
        self._loop.run_until_complete(self._end())

    def restart(self) -> None:
        self._loop.run_until_complete(self._begin(same_shim=True))

    def lose_shim(self) -> None:
        self.crash()
        self._shim.process.kill()
        self._shim.process.wait(DEADLINE)
        self._shim = Shim(self.config.run_dir)
        self._loop.run_until_complete(self._begin(same_shim=False))

    def prepared(self, process: Process) -> None:
        unit = self.world.units[process.unit].definition
        program = Path(unit[d.EXEC_START][0].path)
        if "ready." in program.read_text():
            mark = Path(self.here, f"ready.{self.one(Spawned, process).pid}")
            self.until(mark.exists, f"{program} is prepared")

    def reaped(self, pid: int) -> None:
        self.until(lambda: not Path("/proc", str(pid)).exists(), f"{pid} is reaped")

    def alone(self, process: Process) -> None:
        controller, pid = self._effects.controller, self.one(Spawned, process).pid
        self.until(lambda: controller.pids(process.unit) == [pid], f"{process} is alone")

    def hold_up(self, unit: Unit) -> None:
        self._effects.controller.create(unit)
        self._freeze(unit, "1")

    def let_go(self, unit: Unit) -> None:
        self._freeze(unit, "0")

    def _freeze(self, unit: Unit, state: str) -> None:
        group = self._effects.controller.paths(unit.name).directory
        assert group is not None
        Path(group, "cgroup.freeze").write_text(state)

    def mark(self, there: bool) -> None:
        path = Path(self.here, "mark")
        path.touch() if there else path.unlink(missing_ok=True)

    def connect(self, unit: Unit) -> None:
        client = socket.socket(socket.AF_UNIX)
        self._sockets.append(client)
        client.connect(f"{self.here}/{unit.name}")

    def occupy(self, unit: Unit) -> None:
        self._listener.listen()

    def healthy(self, unit: Unit) -> None:
        self._listener.listen()

    def close(self) -> None:
        """Leave nothing behind."""
        controller = self._effects.controller
        for name in controller.existing():
            controller.kill(name, signal.SIGKILL)
        for name in controller.existing():
            self.until(partial(controller.is_empty, name), f"{name} is empty")
            self.until(partial(controller._removal.unit, name), f"{name} is removed")
        controller.remove_base()
        self.crash()
        self._shim.end()
        for one in (self._listener, *self._sockets):
            one.close()
        self._loop.close()
