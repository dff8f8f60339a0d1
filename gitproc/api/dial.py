"""Reaching the manager's socket with nothing but built-in modules: shared by the fast path, which must not
pay for imports, the client, and the server's look for a live predecessor.

Raises plain OSError; who calls knows what to say about it.
"""

import _socket
import posix

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType

_LONGEST = 107  # bytes of sun_path, without its final NUL
PATIENCE = 15.0  # seconds that a manager which hung up has to be replaced
TRIES = 5  # how often a request is asked again of the next one
AT_MOST_ONCE = frozenset(
    {
        "restart",
        "try-restart",
        "reload",
        "reload-or-restart",
        "try-reload-or-restart",
        "kill",
        "rollback",
        "daemon-reexec",
        "push-begin",
        "push-objects",
        "push-check",
    }
)
"""What may have been done by a manager that hung up, and would be done twice if it were asked again. All
else is a question, or says what is to be: `stop` twice is `stop`."""
HUNG_UP = "hung up before it answered"
UNSURE = f"{HUNG_UP}: it may have been done or not, see `gitproc status`"


class short_address:  # noqa: N801 -- used like a function, in a with statement
    """A name for the socket that fits into sockaddr_un: a long path is reached through its open directory."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._directory = -1

    def __enter__(self) -> str:
        if len(self._path.encode("utf-8", "surrogateescape")) <= _LONGEST:
            return self._path
        directory, _, name = self._path.rpartition("/")
        self._directory = posix.open(directory or ".", posix.O_PATH | posix.O_CLOEXEC)
        return f"/proc/self/fd/{self._directory}/{name}"

    def __exit__(
        self,
        kind: "type[BaseException] | None",
        error: "BaseException | None",
        traceback: "TracebackType | None",
    ) -> None:
        if self._directory >= 0:
            posix.close(self._directory)


def dial(path: str, timeout: float | None) -> _socket.socket:
    """A connected stream socket; `timeout` in seconds (None: wait for ever). Raises OSError."""
    connection = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
    try:
        connection.settimeout(timeout)
        with short_address(path) as address:
            connection.connect(address)
    except BaseException:
        connection.close()
        raise
    return connection


def redial(
    path: str, timeout: float | None, attempt: int, patience: float = PATIENCE
) -> _socket.socket:
    """A connection to the successor of a manager that hung up, waited for up to `patience` seconds; else as `dial`.

    `attempt` counts from 0: one that is dying may still listen when it has hung up, and for a while.
    """
    import time

    end, pause = time.monotonic() + patience, 0.05 * 2**attempt  # seconds
    while True:
        time.sleep(pause)
        try:
            return dial(path, timeout)
        except PermissionError:
            raise
        except OSError:
            if time.monotonic() > end:
                raise
        pause = min(2 * pause, 0.5)
