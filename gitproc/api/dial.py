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
