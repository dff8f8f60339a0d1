"""The manager's socket: made so that a stale one is replaced, a live one respected, and nobody gets in early.

The socket is bound under a name of its own, given its group and mode, told to listen, and only then renamed
into place: there is no moment at which it stands there with the wrong permissions. A lock file beside it
keeps two managers that start at once apart; the kernel frees it when its holder dies.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import logging
import os
import socket
import stat
from collections import Counter
from pathlib import Path

from gitproc.api.caller import Access, of_socket
from gitproc.api.connection import Connection, Handler, Limits
from gitproc.api.dial import dial, short_address
from gitproc.api.protocol import encode, error_object
from gitproc.errors import DaemonError, HostError

log = logging.getLogger(__name__)

_BACKLOG = 128
_SO_PASSRIGHTS = 83


class Server:
    """Serves one handler on one unix socket.

    `access.gid` becomes the socket's group (mode 0660; 0666 if everybody may read). `start()` raises DaemonError
    if another manager serves the path and HostError if the socket cannot be made.
    """

    def __init__(
        self,
        path: Path,
        handler: Handler,
        access: Access | None = None,
        limits: Limits | None = None,
    ) -> None:
        self.path = path
        self._handler = handler
        self._access, self._limits = access or Access(), limits or Limits()
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()
        self._per_user: Counter[int] = Counter()
        self._lock: int | None = None
        self._inode = 0

    async def start(self) -> None:
        """Bind and listen."""
        try:
            listening = self._bind()
        except OSError as error:
            self._unlock()
            raise HostError(f"cannot make the socket {self.path}: {error.strerror}") from error
        except DaemonError:
            self._unlock()
            raise
        self._server = await asyncio.start_unix_server(
            self._accepted, sock=listening, limit=self._limits.line, backlog=_BACKLOG
        )

    async def close(self) -> None:
        """Stop listening, hang up on everybody, remove the socket if it is still ours."""
        if self._server is not None:
            self._server.close()
            self._server = None
        with contextlib.suppress(OSError):
            if self.path.lstat().st_ino == self._inode:
                self.path.unlink()
        for task in set(self._connections):
            task.cancel()
        if self._connections:
            await asyncio.wait(self._connections)
        self._unlock()

    # -------------------------------------------------------------- the socket

    def _bind(self) -> socket.socket:
        self._lock_path()
        self._check_free()
        temporary = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        temporary.unlink(missing_ok=True)
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            with short_address(os.fspath(temporary)) as address:
                listening.bind(address)
            if self._access.gid is not None:
                os.chown(temporary, -1, self._access.gid)
            temporary.chmod(0o666 if self._access.readers else 0o660)
            with contextlib.suppress(OSError):  # since Linux 6.16: nobody's descriptors
                listening.setsockopt(socket.SOL_SOCKET, _SO_PASSRIGHTS, 0)
            listening.listen(_BACKLOG)
            self._inode = temporary.lstat().st_ino
            temporary.rename(self.path)
        except OSError:
            listening.close()
            temporary.unlink(missing_ok=True)
            raise
        return listening

    def _lock_path(self) -> None:
        lock = self.path.with_name(f"{self.path.name}.lock")
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        self._lock = os.open(lock, flags, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise self._taken() from None

    def _unlock(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _check_free(self) -> None:
        """Only a socket nobody answers on is replaced."""
        try:
            found = self.path.lstat()
        except FileNotFoundError:
            return
        if not stat.S_ISSOCK(found.st_mode):
            raise DaemonError(f"{self.path} is there and is not a socket: move it away")
        try:
            dial(os.fspath(self.path), 1.0).close()
        except (ConnectionRefusedError, FileNotFoundError):
            return
        except OSError:
            pass  # a full backlog or a timeout: somebody holds it
        raise self._taken()

    def _taken(self) -> DaemonError:
        return DaemonError(f"another manager serves {self.path}: stop it first, or use --root")

    # -------------------------------------------------------------- its clients

    def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """A plain function: of a coroutine asyncio would make a task that `close` knows only once it runs,
        and whose cancellation it reports as an error."""
        task = asyncio.create_task(self._serve(reader, writer))
        self._connections.add(task)

        def ended(_: object) -> None:
            self._connections.discard(task)
            writer.transport.abort()

        task.add_done_callback(ended)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            caller = of_socket(writer.get_extra_info("socket"))
        except OSError as error:
            log.warning("hung up on a client: cannot tell who it is: %s", error)
            return
        limits, room = self._limits, self._limits.connections - len(self._connections)
        if caller.uid not in (0, os.geteuid()):
            crowded = self._per_user[caller.uid] >= limits.connections_per_user
            room = -1 if crowded else room - limits.reserved
        if room < 0:
            writer.write(encode(error_object(None, DaemonError("too many connections: try later"))))
            writer.close()
            return
        self._per_user[caller.uid] += 1
        try:
            await Connection(
                reader, writer, self._handler, caller, self._access, self._limits
            ).run()
        finally:
            self._per_user[caller.uid] -= 1
            if not self._per_user[caller.uid]:
                del self._per_user[caller.uid]
