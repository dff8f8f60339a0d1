"""The door for pushes of people who cannot write the repository: `gitproc receive-pack` knocks here.

The client hands over its standard input, output and error; who it is, the kernel says. For the members of
the group the daemon runs the real git-receive-pack(1) as the repository's owner, with the daemon's hooks, so
a pusher needs no right on the repository and can go round no check. A message is one packet, so there is
nothing to parse in pieces; every descriptor that arrives is closed here, whatever becomes of the push.
"""

from __future__ import annotations

import array
import asyncio
import contextlib
import json
import logging
import os
import posixpath
import signal
import socket
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from gitproc.api.caller import Access, Caller, of_socket
from gitproc.api.dial import short_address
from gitproc.daemon.config import Config
from gitproc.daemon.desired import Desired
from gitproc.daemon.paths import HOOKS, RECEIVE_PACK_SOCKET
from gitproc.errors import DaemonError, GitProcError, HostError, StateError
from gitproc.kernel.accepting import Acceptor
from gitproc.source import hooks, receive

log = logging.getLogger(__name__)

MAX_PUSHES = 16
MAX_PER_USER = 4
_PATIENCE = 10.0  # seconds for the request of a client that has connected
_LONGEST = 3600.0  # seconds of one push
_GRACE = 10.0  # seconds that git is given when its client is gone: what it has begun it may end
_LAST = 5.0  # seconds between SIGTERM and SIGKILL


class ReceivePack:
    """Listens on RUN_DIR/receive-pack.sock. `pushers` gets a ticket for each push, and whose it is."""

    def __init__(
        self, config: Config, desired: Desired, access: Access, pushers: dict[str, str]
    ) -> None:
        self._path = config.run_dir / RECEIVE_PACK_SOCKET
        self._accepted = {str(config.repository)}
        self._hooks = config.state_dir / HOOKS
        self._desired = desired
        self._access = access
        self._pushers = pushers
        self._loop = asyncio.get_running_loop()
        self._listening: socket.socket | None = None
        self._acceptor: Acceptor | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._per_user: Counter[int] = Counter()
        self._processes: set[subprocess.Popen[bytes]] = set()

    def start(self) -> None:
        """Bind and listen; HostError if that cannot be. The main socket's lock keeps a second daemon out."""
        temporary = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK)
        try:
            temporary.unlink(missing_ok=True)
            with short_address(os.fspath(temporary)) as address:
                listening.bind(address)
            if self._access.gid is not None:
                os.chown(temporary, -1, self._access.gid)
            temporary.chmod(0o660)
            listening.listen(MAX_PUSHES)
            temporary.rename(self._path)
        except OSError as error:
            listening.close()
            raise HostError(f"cannot make the socket {self._path}: {error.strerror}") from error
        self._listening = listening
        self._acceptor = Acceptor(listening.fileno(), self._came, RECEIVE_PACK_SOCKET)

    async def close(self) -> None:
        """Stop listening and end what runs; a reference is moved whole or not at all."""
        if self._acceptor is not None:
            self._acceptor.close()
        if self._listening is not None:
            self._listening.close()
            self._listening = None
            self._path.unlink(missing_ok=True)
        for process in list(self._processes):
            _kill(process, signal.SIGTERM)
        if self._tasks:
            _, left = await asyncio.wait(self._tasks, timeout=_LAST)
            for task in left:
                task.cancel()
            if left:
                await asyncio.wait(left)

    def _came(self, client: socket.socket) -> None:
        client.setblocking(False)
        task = self._loop.create_task(self._serve(client))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # -- one push --------------------------------------------------------------------------------

    async def _serve(self, client: socket.socket) -> None:
        fds: list[int] = []
        answer: dict[str, Any] = {}
        try:
            caller = of_socket(client)
            try:
                self._access.check(caller, "push", operates=True)
                with self._room(caller):
                    request = await self._request(client, fds)
                    answer = {"status": await self._run(client, caller, request, fds)}
            except GitProcError as error:
                log.warning("push of %s (uid %d): %s", caller.name, caller.uid, error.message)
                answer = {"error": error.message}
            with contextlib.suppress(OSError):
                client.send(json.dumps(answer).encode())
        except OSError as error:
            log.warning("a push came to nothing: %s", error)
        finally:
            _close(fds)
            client.close()

    @contextlib.contextmanager
    def _room(self, caller: Caller) -> Any:
        crowded = caller.uid != 0 and self._per_user[caller.uid] >= MAX_PER_USER
        if crowded or self._per_user.total() >= MAX_PUSHES:
            raise DaemonError("too many pushes at once: try again later")
        self._per_user[caller.uid] += 1
        try:
            yield
        finally:
            self._per_user[caller.uid] -= 1

    async def _request(self, client: socket.socket, fds: list[int]) -> dict[str, Any]:
        """The one packet of the client; its descriptors go into `fds`."""
        if not await self._readable(client, _PATIENCE):
            raise DaemonError("no push came")
        data, ancillary, flags, _ = client.recvmsg(
            4096, socket.CMSG_SPACE(3 * 4), socket.MSG_CMSG_CLOEXEC
        )
        for level, kind, content in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                found = array.array("i")
                found.frombytes(content[: len(content) - len(content) % found.itemsize])
                fds.extend(found)
        try:
            request = json.loads(data)
        except (ValueError, RecursionError):
            request = None
        if not isinstance(request, dict) or len(fds) != 3 or flags & socket.MSG_CTRUNC:
            raise DaemonError("that is no push: use `git push`, with `gitproc receive-pack`")
        return request

    async def _run(
        self, client: socket.socket, caller: Caller, request: dict[str, Any], fds: list[int]
    ) -> int:
        git = await self._loop.run_in_executor(None, self._desired.git)
        place = git.place
        path = posixpath.normpath(str(request.get("path", "")))
        if path not in self._accepted | {str(place.path), str(place.git_dir)}:
            raise DaemonError(f"{path[:200]} is not the repository here: that is {place.path}")
        ticket = os.urandom(16).hex()
        who = f"{caller.name} (uid {caller.uid})"
        variables = {
            "GITPROC_PUSHER": caller.name,
            "GITPROC_PUSH_TICKET": ticket,
            "GIT_COMMITTER_NAME": caller.name,  # for reflogs
            "GIT_COMMITTER_EMAIL": f"{caller.name}@localhost".replace(" ", "-"),
        }
        self._pushers[ticket] = who
        process: subprocess.Popen[bytes] | None = None
        try:
            process = await self._loop.run_in_executor(
                None,
                lambda: receive.start(
                    git.trusted,
                    self._hooks,
                    (fds[0], fds[1], fds[2]),
                    variables,
                    group=self._access.gid,
                    protocol=str(request.get("protocol", "")),
                ),
            )
            self._processes.add(process)
            _close(fds)  # git has them; the client shall see when it closes them
            await self._ended(process, client)
        finally:
            del self._pushers[ticket]
            if process is not None:
                if process.poll() is None:
                    _kill(process, signal.SIGKILL)
                status = process.wait()
                self._processes.discard(process)
        return status if status >= 0 else 128 - status

    async def _ended(self, process: subprocess.Popen[bytes], client: socket.socket) -> None:
        """Wait for git; when its client is gone, or it takes too long, end it after a while."""
        pidfd = os.pidfd_open(process.pid)
        try:
            over = asyncio.ensure_future(self._readable(pidfd, _LONGEST))
            gone = asyncio.ensure_future(self._readable(client, _LONGEST))
            try:
                await asyncio.wait({over, gone}, return_when=asyncio.FIRST_COMPLETED)
                if not over.done():
                    await asyncio.wait({over}, timeout=_GRACE)
                if not over.done() or not over.result():
                    log.warning("ended a push whose client is gone (pid %d)", process.pid)
                    _kill(process, signal.SIGTERM)
                    await self._readable(pidfd, _LAST)
            finally:
                over.cancel()
                gone.cancel()
                await asyncio.gather(over, gone, return_exceptions=True)
        finally:
            os.close(pidfd)

    async def _readable(self, file: socket.socket | int, patience: float) -> bool:
        """Wait until there is something to read (or an end); False after `patience` seconds."""
        fd = file if isinstance(file, int) else file.fileno()
        ready = asyncio.Event()
        self._loop.add_reader(fd, ready.set)
        try:
            async with asyncio.timeout(patience):
                await ready.wait()
        except TimeoutError:
            return False
        finally:
            self._loop.remove_reader(fd)
        return True


def _kill(process: subprocess.Popen[bytes], signo: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signo)


def _close(fds: list[int]) -> None:
    while fds:
        with contextlib.suppress(OSError):
            os.close(fds.pop())


def write_hooks(config: Config, *, again: bool = False) -> None:
    """Have the hooks lie where the door needs them, as this version of the program writes them.

    `again`: they have been written before, and it is worth a word if they are not there any more.
    """
    try:
        if hooks.write(config.state_dir / HOOKS, hook_command(config)) and again:
            log.warning(
                "the hooks in %s were gone and are written anew: pushes in between went unchecked",
                config.state_dir / HOOKS,
            )
    except StateError as error:
        log.error("%s; pushes are not taken", error.message)


def hook_command(config: Config) -> list[str]:
    """How hooks start the command line for this configuration: absolute paths, nothing of the environment."""
    package = str(Path(__file__).resolve().parents[2])
    code = (
        f"import sys; sys.path.append({package!r}); "
        "from gitproc.cli.main import main; sys.exit(main(sys.argv[1:]))"
    )
    words = [sys.executable, "-I", "-c", code]
    if config.root is not None:
        words += ["--root", str(config.root)]
    if config.file is not None:
        words += ["--config", str(config.file.absolute())]
    if config.user_mode:
        words.append("--user")
    return words
