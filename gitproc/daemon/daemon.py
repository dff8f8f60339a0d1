"""The daemon: composition root, and the two ways to begin.

Standalone (shell, container), `gitproc daemon` becomes the shim, which starts the manager and starts it again
whenever it dies. Under systemd it is the manager itself, and makes the shim in a scope of its own if none
answers. Either way one manager connects to one shim, adopts what is there, and follows the branch.
"""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import os
import signal
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING

from gitproc.core.events import Event, ShutdownAsked
from gitproc.core.world import Settings, World
from gitproc.daemon import systemd
from gitproc.daemon.command_line import (
    SHIM_SOCKET,
    Options,
    arguments,
    manager_command,
    read_config,
    shim_command,
)
from gitproc.daemon.config import Config
from gitproc.errors import ConfigError, GitProcError, HostError

if TYPE_CHECKING:
    from gitproc.api.caller import Access
    from gitproc.api.server import Server
    from gitproc.daemon.desired import Desired
    from gitproc.daemon.effects import Effects
    from gitproc.daemon.loop import Mailbox
    from gitproc.daemon.perform import Perform
    from gitproc.kernel.notify_socket import NotifySocket
    from gitproc.kernel.process_manager import ProcessManager
    from gitproc.kernel.shim_table import Welcome
    from gitproc.store.state_manager import StateManager

log = logging.getLogger(__name__)

_CONNECT = 10.0  # seconds for a shim that is just being started
_TIDYING = 2.0  # seconds for what is still being removed when all units are down


def main(args: Sequence[str]) -> int:
    """`gitproc daemon`. Does not return where it becomes the shim."""
    options = arguments(args)
    if options.exec_stop:
        from gitproc.daemon.exec_stop import main as exec_stop

        return exec_stop()
    try:
        config = read_config(options)
        if systemd.service() is not None:
            return manage(options)
        prepare_directories(config)
        _refuse_second(config)
    except GitProcError as error:
        sys.stderr.write(f"gitproc: {error.message}\n")
        return error.exit_status
    argv = [*shim_command(config), "--manager", json.dumps(manager_command(options))]
    return os.execv(argv[0], argv)


def prepare_directories(config: Config) -> None:
    """Make what must be there. Services of any user reach the notify socket and the applied files.

    Whatever the umask of the shell that root starts the daemon from: it is systemd's own from here on.
    """
    if os.geteuid() == 0:
        os.umask(0o022)
    for path in (config.run_dir, config.state_dir, config.log_dir, config.socket.parent):
        try:
            path.mkdir(mode=0o755, parents=True, exist_ok=True)
        except OSError as error:
            hint = "" if os.geteuid() == 0 else " (not root: use --root DIR or --user)"
            raise HostError(f"cannot make {path}: {error.strerror}{hint}") from error


def _refuse_second(config: Config) -> None:
    import socket

    path = config.run_dir / SHIM_SOCKET
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return
    raise HostError(f"a daemon is running already ({path} answers); `gitproc status` shows it")


def manage(options: Options) -> int:
    """Be the manager until all is stopped (0), or it has to step aside (1, under systemd 0).

    Returns only where it could not begin; else the process ends here.
    """
    try:
        config = read_config(options)
        prepare_directories(config)
        from gitproc.store import daemon_log

        daemon_log.set_up(config.log_dir / "daemon.log", stderr=True)
    except GitProcError as error:
        sys.stderr.write(f"gitproc: {error.message}\n")
        return error.exit_status
    status = 1
    try:
        status = asyncio.run(Daemon(config).run())
    except ConfigError as error:
        log.critical("%s", error.message)
        status = error.exit_status
    except GitProcError as error:
        log.critical("%s", error.message)
    except Exception:
        log.critical("the manager ends", exc_info=True)
    logging.shutdown()
    os._exit(status)  # Python would wait for threads that a file system or a name server holds up


class _Unawaited(ThreadPoolExecutor):
    """Threads that the end of the loop does not wait for: what one of them does stays whole if it is cut off."""

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        super().shutdown(wait=False, cancel_futures=True)


def settings(config: Config) -> Settings:
    """What of the configuration decisions need to know."""
    return Settings(
        settle=config.settle_seconds,
        timeout_start=config.defaults.timeout_start,
        timeout_stop=config.defaults.timeout_stop,
        restart_sec=config.defaults.restart_sec,
        start_limit_interval=config.defaults.start_limit_interval,
        start_limit_burst=config.defaults.start_limit_burst,
        on_failure=config.deploy.on_failure,
    )


class Daemon:
    """The manager of one configuration."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.world = World(settings=settings(config))
        self._service = systemd.service()
        self._notifier = systemd.Notifier()
        self._status = 1
        self._stepped_aside = False

    async def run(self) -> int:
        """Adopt, serve, follow; returns the exit status."""
        from gitproc.core.records import forget_texts
        from gitproc.daemon.effects import Effects
        from gitproc.daemon.loop import LIMITED, Mailbox
        from gitproc.daemon.occasions import Occasions
        from gitproc.daemon.perform import Perform
        from gitproc.daemon.recover import adopt, load_world, running_unit
        from gitproc.health.health_monitor import HealthMonitor
        from gitproc.kernel.cgroup_layout import detect
        from gitproc.kernel.host import read_host
        from gitproc.kernel.notify_socket import NotifySocket
        from gitproc.kernel.process_manager import ProcessManager
        from gitproc.kernel.resource_controller import ResourceController
        from gitproc.kernel.sockets import Sockets
        from gitproc.store.definitions import Definitions
        from gitproc.store.event_log import EventLog
        from gitproc.store.state_manager import StateManager

        config, world = self.config, self.world
        gc.disable()  # what comes back from disk stays: looking it through for garbage costs adoption
        loop = asyncio.get_running_loop()
        loop.set_default_executor(_Unawaited())
        host = read_host(user_mode=config.user_mode)
        state = StateManager(config.state_dir)
        definitions = Definitions(config.state_dir / "definitions")
        events = EventLog(config.log_dir)
        manager = ProcessManager(lambda event: perform.take(event))  # noqa: PLW0108 -- made below
        asked: list[int] = []  # a shim that is to end says so with its welcome
        manager.on_terminate = asked.append
        welcome = await self._connect(manager)
        controller = ResourceController(
            detect(welcome.shim_pid),
            welcome.shim_pid,
            config.cgroup_root,
            partial(running_unit, world),
            manager.launching,
        )
        controller.prepare()
        same_shim = load_world(world, state, definitions, events, host, welcome.epoch)
        health = HealthMonitor(lambda event: mailbox.post(event))  # noqa: PLW0108 -- made below
        own = tuple(str(x) for x in (config.run_dir, config.state_dir, config.log_dir))
        sockets = Sockets(manager, lambda event: mailbox.post(event), own)  # noqa: PLW0108
        effects = Effects(
            config,
            world,
            host,
            manager,
            controller,
            health,
            definitions,
            events,
            sockets,
            welcome.shim_pid,
        )
        perform = Perform(effects, lambda event: mailbox.post(event))  # noqa: PLW0108 -- made below
        mailbox = Mailbox(world, state, perform)
        occasions = Occasions(world, host.machine_id, mailbox.post)
        perform.watch = occasions.perform
        manager.on_warning = perform.warnings.of_shim
        manager.on_terminate = lambda signo: self._terminate(mailbox.post, signo)
        manager.on_lost = lambda: self._lose_shim(perform)
        for signo in asked:
            self._terminate(mailbox.post, signo)
        await adopt(effects, perform.surroundings, mailbox.post, same_shim=same_shim)
        interrupted = world.recorded.get(LIMITED, ())

        def resume() -> None:
            perform.limiting.resume(interrupted)
            state.put(LIMITED, None)

        mailbox.after(resume)  # a record may be older than what the shim says
        senders = perform.senders
        notify = NotifySocket(
            welcome.notify_fd,
            senders.attribute,
            senders.notified,
            _rejected,
            mailbox.after,
            senders.keep,
            senders.gone,
            senders.counts,
            senders.stores,
        )
        perform.ends.hear = partial(notify.read, hurry=True)

        from gitproc.api.server import Server
        from gitproc.daemon.desired import Desired
        from gitproc.daemon.handler import RpcHandler
        from gitproc.daemon.host_units import HostUnits
        from gitproc.daemon.outcome import Outcomes

        desired = Desired(config, world, host, mailbox.post)
        perform.publish = publish = desired.laid_out.publish
        perform.ask_host_units = HostUnits(mailbox.post, user_mode=config.user_mode).ask
        perform.look_again = desired.hint
        outcomes = Outcomes(effects, desired, mailbox.post)
        perform.look_outbox = outcomes.look
        outcomes.settled = mailbox.tidy

        if config.resync == "heal":
            from gitproc.daemon.healing import resync

            desired.polled = partial(resync, effects, mailbox.post)
        handler = RpcHandler(effects, mailbox, perform, desired)
        handler.units.notes = self._notes(controller.describe())
        access = await self._access()
        server = Server(config.socket, handler, access)
        await server.start()

        from gitproc.daemon.lost_state import LostState
        from gitproc.daemon.receive_pack import ReceivePack, write_hooks

        prepare = partial(prepare_directories, config)
        lost = LostState(effects, state, perform.launching, prepare, publish)
        desired.chores += [lost.look, partial(write_hooks, config, again=True)]
        door = ReceivePack(config, desired, access, handler.pushers)
        door.start()
        await loop.run_in_executor(None, write_hooks, config)
        for signo in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(signo, self._signalled, signo, mailbox, perform, desired)
        self._ping(loop)
        await desired.watch()
        forget_texts(world.recorded)
        gc.collect()  # what importing has left
        gc.freeze()  # what is there now stays: no collection need look at it
        gc.enable()
        self._notifier.ready(f"{len(world.units)} units")
        log.info("ready: %s, branch %s", config.repository, config.branch)
        perform.trash.sweep()
        await perform.finished
        await door.close()
        await outcomes.close()
        handler.questions.close()
        perform.trash.close(0.0 if self._stepped_aside else _TIDYING)
        await self._end(server, desired, mailbox, notify, effects, state)
        occasions.close()
        return self._status

    # -- beginning -------------------------------------------------------------------------------

    async def _connect(self, manager: ProcessManager) -> Welcome:
        path = self.config.run_dir / SHIM_SOCKET
        if self._service is None:
            return await manager.connect(path, _CONNECT)
        try:
            return await manager.connect(path, 0)
        except HostError:
            process = self._service.start_shim(shim_command(self.config))
            try:
                return await manager.connect(path, _CONNECT)
            except HostError as error:
                if process.poll() is not None:
                    raise HostError(f"the shim ended with status {process.returncode}") from error
                raise

    async def _access(self) -> Access:
        from gitproc.api.caller import Access
        from gitproc.daemon.lookups import number_of_group

        config = self.config
        gid = await number_of_group(config.group) if config.group else None
        if os.geteuid() != 0 and gid not in (os.getegid(), *os.getgroups()):
            gid = None  # only root can give the socket to a group it is not in
        return Access(gid, config.readers, config.group)

    def _notes(self, missing: list[str]) -> list[str]:
        notes = list(missing)
        if os.geteuid() != 0:
            notes.append("not root: User=, limits and namespaces are not to be had")
        for note in notes:
            log.warning("%s", note)
        return notes

    def _ping(self, loop: asyncio.AbstractEventLoop) -> None:
        """Tell systemd's watchdog that the loop turns."""
        interval = self._notifier.watchdog_interval
        if interval is not None:
            self._notifier.ping()
            loop.call_later(interval, self._ping, loop)

    # -- ending ----------------------------------------------------------------------------------

    def _terminate(self, post: Callable[[Event], None], signo: int) -> None:
        self._notifier.stopping("stopping all units")
        post(ShutdownAsked(f"stopping all units ({signal.Signals(signo).name})"))

    def _signalled(self, signo: int, mailbox: Mailbox, perform: Perform, desired: Desired) -> None:
        """SIGINT: stop all. SIGTERM: step aside, the services stay. SIGHUP: look at the repository."""
        if signo == signal.SIGHUP:
            desired.hint()
        elif signo == signal.SIGINT:
            self._terminate(mailbox.post, signo)
        elif not perform.finished.done():
            self._stepped_aside = True
            perform.finished.set_result(None)

    def _lose_shim(self, perform: Perform) -> None:
        if not perform.finished.done():
            perform.finished.set_exception(HostError("the shim is gone: its services run on alone"))

    async def _end(
        self,
        server: Server,
        desired: Desired,
        mailbox: Mailbox,
        notify: NotifySocket,
        effects: Effects,
        state: StateManager,
    ) -> None:
        if self._stepped_aside:  # what is said from now on is for the next manager
            notify.close()
            effects.manager.close()
        await server.close()
        desired.close()
        await mailbox.close()
        if not self._stepped_aside:
            effects.controller.remove_base()
            effects.manager.shutdown()
            self._status = 0
            log.info("all units are down")
        elif self._service is not None:  # systemd asked for it, and it is no failure
            self._status = 0
        effects.controller.close()
        effects.events.close()
        state.close()
        self._notifier.close()


def _rejected(text: str) -> None:
    log.warning("notify: %s", text)
