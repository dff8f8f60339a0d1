"""The manager's end of the line to the shim: orders out, facts in, nothing decided.

Processes are known by their token (`Process`), which is also the shim's cookie: a spawn that is asked for
twice makes one process, and after a crash of the manager `list` gives every token back. Events are
delivered in the order the shim sent them. Signals go by pidfd, so they can never hit a stranger.
"""

from __future__ import annotations

import asyncio
import signal as signals
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from gitproc.core.events import (
    Event,
    Executed,
    ExitCode,
    Exited,
    Process,
    SetupFailed,
    Spawned,
    SpawnFailed,
)
from gitproc.errors import HostError
from gitproc.immutable import mutable
from gitproc.kernel.shim_line import ShimLine
from gitproc.kernel.shim_requests import ShimRequests
from gitproc.kernel.shim_table import TableEntry, Welcome
from gitproc.shim import protocol

_CODES = {1: ExitCode.EXITED, 2: ExitCode.KILLED, 3: ExitCode.DUMPED}

Fds = list[int]
Rows = list[TableEntry]
Events = list[Event]
Held = list[tuple[str, str, str, int]]


@mutable
class _Known:
    """What is known of a process here. `id` 0: asked for, not answered yet."""

    process: Process
    id: int = 0
    pid: int = 0
    init_pid: int = 0
    pidfd: int = -1
    waiting: tuple[int, ...] = ()  # signals to send once it exists
    executed: bool = False  # it is set up


class ProcessManager:
    """Client of one shim; every method but `connect` and `list` returns at once."""

    def __init__(self, deliver: Callable[[Event], None]) -> None:
        self._deliver = deliver
        self._line = ShimLine(self._handle, self._lost)
        self._ordered: dict[int, _Known] = {}
        self._requests = ShimRequests(self._line)
        self._by_id: dict[int, _Known] = {}
        self._by_process: dict[Process, _Known] = {}
        self._rows: list[protocol.Message] = []
        self._row_fds: Fds = []
        self._kept: tuple[Held, Fds] = [], []
        self._holds = self._drains = True
        self._held: Events | None = None  # events that wait until the caller has seen the table
        self.orphans: dict[Process, tuple[int, int]] = {}
        """What lived when the line broke: pid and pidfd (open until the next `connect`)."""
        self.on_terminate: Callable[[int], None] = lambda _: None
        self.on_lost: Callable[[], None] = lambda: None
        self.on_warning: Callable[[Process | None, str], None] = lambda *_: None

    # ------------------------------------------------------------ connection

    @property
    def connected(self) -> bool:
        """Whether a shim is at the other end."""
        return self._line.connected

    async def connect(
        self,
        where: str | Path | int,
        timeout: float,  # noqa: ASYNC109 (it covers the retries, which a caller's timeout would cut)
    ) -> Welcome:
        """Connect to the shim's socket (path, or an inherited descriptor) and greet it.

        Tries for `timeout` seconds while nothing listens there. HostError if there is no shim, or one that
        speaks another version.
        """
        protocol.close_all([pidfd for _, pidfd in self.orphans.values()])
        self.orphans = {}
        message, fds = await self._line.connect(where, timeout)
        _, _, pid, epoch, features = message
        self._holds = bool(features.get("holds"))
        self._drains = bool(features.get("drains"))
        return Welcome(pid, epoch, features, fds[0])

    def close(self) -> None:
        """Hang up (the shim and its processes go on)."""
        self._line.close()
        self._requests.broken()
        self._ordered.clear()
        protocol.close_all([known.pidfd for known in self._by_process.values() if known.pidfd >= 0])
        self._by_id.clear()
        self._by_process.clear()
        protocol.close_all(self._row_fds)
        self._rows, self._row_fds, self._held = [], [], None

    def _lost(self) -> None:
        for process, known in self._by_process.items():
            if known.pidfd >= 0:
                self.orphans[process] = (known.pid, known.pidfd)
                known.pidfd = -1
        self.close()
        self.on_lost()

    # ------------------------------------------------------------ orders

    async def list(self) -> Rows:
        """All the shim has. Events go on (unacknowledged exits first) once the caller awaits again.

        HostError if the connection breaks.
        """
        self._rows, self._row_fds, self._held = [], [], []
        try:
            rows: Rows = await self._requests.ask("list")
        except BaseException:
            self._held = None
            raise
        asyncio.get_running_loop().call_soon(self._release)
        return rows

    def spawn(self, process: Process, spec: dict[str, Any], fds: Sequence[int] = ()) -> None:
        """Have a process made by its spec (see `gitproc.shim.protocol`); `fds` stay the caller's.

        Delivers Spawned or SpawnFailed, then Executed or SetupFailed, then Exited. Without a line to the
        shim nothing happens: `list` after the next `connect` shows that it was never made.
        """
        request = self._requests.number()
        self._ordered[request] = self._by_process.setdefault(process, _Known(process))
        try:
            self._line.send(("spawn", request, process.cookie(), spec), fds)
        except ValueError as error:  # a value that does not travel, an enum say
            asyncio.get_running_loop().call_soon(self._refused, request, "SPEC", str(error))

    def knows(self, process: Process) -> bool:
        """Whether it has been ordered or listed, and has not ended: it is not made a second time."""
        return process in self._by_process

    def launching(self, unit: str) -> bool:
        """Whether a process of a unit has been ordered and is not set up yet; it looks through all."""
        return any(not x.executed and x.process.unit == unit for x in self._by_process.values())

    def adopt(self, process: Process, pid: int, start_time: int) -> None:
        """Have a process watched that the shim did not spawn, as if it had been.

        Delivers Spawned, Executed and in the end Exited; if it is gone already, Exited as lost.
        `start_time` 0: whichever process has the pid.
        """
        known = self._by_process.setdefault(process, _Known(process))
        request = self._requests.number()
        self._ordered[request] = known
        self._line.send(("adopt", request, process.cookie(), pid, start_time))

    def signal(self, process: Process, signo: int) -> None:
        """Signal a process of ours; one that has ended is no error, one that is not made yet gets it then."""
        known, signo = self._by_process.get(process), int(signo)
        if known is None:
            return
        if not known.id:
            known.waiting += (signo,)
            return
        try:
            signals.pidfd_send_signal(known.pidfd, signo)
        except ProcessLookupError:
            pass
        except OSError:  # no pidfd, or no right to: the shim is the parent
            self._line.send(("signal", self._requests.number(), known.id, signo))

    def acknowledge(self, sequences: Sequence[int]) -> None:
        """These exits are safe on disk: the shim may forget them."""
        if sequences:
            self._line.send(("ack", [*sequences]))

    def shutdown(self) -> None:
        """Everything is stopped: the shim may end."""
        self._line.send(("shutdown",))

    def hold(self, owner: str, name: str, note: str, fds: Sequence[int]) -> asyncio.Future[None]:
        """Have the shim keep these descriptors, in place of what the owner has by this name; they stay the
        caller's here. The future gets a HostError if it cannot, or the line breaks."""
        if not self._holds:
            refused: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            refused.set_exception(HostError("the shim is older: run `gitproc daemon-reexec`"))
            return refused
        return self._requests.ask("hold", owner, name, note, fds=fds)

    def drop(self, owner: str, name: str | None = None) -> None:
        """Have the shim close what it keeps by this name, or all of the owner."""
        self._line.send(("drop", self._requests.number(), owner, name))

    async def holdings(self) -> tuple[Held, Fds]:
        """All the shim keeps: (owner, name, note, how many descriptors), and those one after the other,
        now the caller's. HostError if the line breaks."""
        self._kept = [], []
        if self._holds:
            await self._requests.ask("holdings")
        return self._kept

    async def reexec(self) -> None:
        """Have the shim replace its program in place. HostError if it cannot."""
        await self._requests.ask("reexec")

    async def reopen_logs(self) -> None:
        """Have the logger close its files and open them by name again. HostError if the line breaks."""
        await self._requests.ask("reopen")

    async def drain_logs(self) -> None:
        """Have the logger write down what services have written by now. Never returns if the logger dies over
        it; at once if the shim is older. HostError if the line breaks."""
        if self._drains:
            await self._requests.ask("drain")

    def pid(self, process: Process) -> int:
        """Its pid; 0 if it is not known or has ended."""
        known = self._by_process.get(process)
        return known.pid if known else 0

    def process_of(self, pid: int) -> Process | None:
        """Whose pid it is, or was until its end has been delivered; it looks through all that there are."""
        return next((x.process for x in self._by_process.values() if x.pid == pid), None)

    def init_pid(self, process: Process) -> int:
        """The init of its PID namespace (to be spared when a whole unit is signalled); 0 without one."""
        known = self._by_process.get(process)
        return known.init_pid if known else 0

    def is_init(self, pid: int) -> bool:
        """Whether a pid is that of such an init, which is the shim's and no service's."""
        return any(x.init_pid == pid for x in self._by_process.values())

    def pidfd(self, process: Process) -> int:
        """A pidfd of it, valid until its exit is delivered; -1 if there is none."""
        known = self._by_process.get(process)
        return known.pidfd if known else -1

    # ------------------------------------------------------------ answers

    def _handle(self, message: protocol.Message, fds: Fds) -> None:
        match message:
            case ("started", request, id, pid, start_time, init_pid):
                self._started(request, (id, pid, start_time, init_pid), fds)
            case ("executed", id):
                if id in self._by_id:
                    self._by_id[id].executed = True
                    self._emit(Executed(self._by_id[id].process))
            case ("exited", *_):
                self._exited(message)
            case ("table", request, _, last, rows):
                self._rows.extend(rows)
                self._row_fds.extend(fds)
                if last:
                    self._requests.answered(request, self._adopt())
            case ("holdings", request, _, last, rows):
                self._kept[0].extend(rows)
                self._kept[1].extend(fds)
                if last:
                    self._requests.answered(request, None)
            case ("setup_failed", id, step, number, text):
                if id in self._by_id:
                    self._emit(SetupFailed(self._by_id[id].process, step, number, text))
            case ("warning", id, text):
                known = self._by_id.get(id)
                self.on_warning(known.process if known else None, text)
            case ("terminate", signo):
                self.on_terminate(signo)
            case ("refused", request, step, _, text):
                self._refused(request, step, text)
            case (
                "reopened" | "reexeced" | "signalled" | "held" | "dropped" | "drained",
                request,
                *_,
            ):
                self._requests.answered(request, None)
            case _:
                protocol.close_all(fds)
                self.on_warning(None, f"the shim says: {message[1:]!r}")

    def _started(self, request: int, what: tuple[int, int, int, int], fds: Fds) -> None:
        known = self._ordered.pop(request, None)
        if known is None:
            protocol.close_all(fds)
            return
        if known.pidfd >= 0:
            protocol.close_all([known.pidfd])
        known.id, known.pid, start_time, known.init_pid = what
        known.pidfd = fds[0] if fds else -1
        self._by_id[known.id] = known
        self._emit(Spawned(known.process, known.pid, start_time))
        waiting, known.waiting = known.waiting, ()
        for signo in waiting:
            self.signal(known.process, signo)

    def _refused(self, request: int, step: str, text: str) -> None:
        known = self._ordered.pop(request, None)
        if known is not None:
            if not known.id:
                self._by_process.pop(known.process, None)
            if step == "ADOPT":
                self._emit(Exited(known.process, ExitCode.LOST, 0))
            else:
                self._emit(SpawnFailed(known.process, step, text))
            return
        self._requests.refused(request, text)

    def _adopt(self) -> Rows:
        rows, fds = self._rows, self._row_fds
        self._rows, self._row_fds = [], []
        pidfds, found = iter(fds), []
        for id, cookie, pid, start_time, alive, executed, init_pid in rows:
            pidfd = next(pidfds, -1) if alive else -1
            try:
                process = Process.from_cookie(cookie)
            except ValueError:
                protocol.close_all([pidfd])
                self.on_warning(None, f"the shim has a process of somebody else: {cookie!r}")
                continue
            found.append(TableEntry(id, process, pid, start_time, alive, executed, init_pid))
            before = self._by_process.get(process)
            if before is not None and before.pidfd >= 0:
                protocol.close_all([before.pidfd])
            if not pid:
                self._by_process.pop(process, None)
                self.spawn(
                    process, {}
                )  # its cookie alone is looked at: an answer once it is announced
                continue
            known = _Known(process, id, pid, init_pid, pidfd, executed=executed)
            self._by_id[id] = self._by_process[process] = known
        protocol.close_all([*pidfds])
        return found

    def _exited(self, message: protocol.Message) -> None:
        _, sequence, id, cookie, _pid, code, status, usage, realtime = message
        known = self._by_id.pop(id, None)
        if known is not None:
            if known.pidfd >= 0:
                protocol.close_all([known.pidfd])
            self._by_process.pop(known.process, None)
            process = known.process
        else:
            try:
                process = Process.from_cookie(cookie)
            except ValueError:
                self.acknowledge([sequence])
                return
        cpu = usage[0] + usage[1]
        kind = _CODES.get(code, ExitCode.LOST)
        self._emit(Exited(process, kind, status, sequence, cpu_seconds=cpu, realtime=realtime))

    def _emit(self, event: Event) -> None:
        if self._held is not None:
            self._held.append(event)
        else:
            self._deliver(event)

    def _release(self) -> None:
        held, self._held = self._held or [], None
        for event in held:
            self._deliver(event)
