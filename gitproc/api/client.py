"""The blocking client: one connection, calls and streams, every failure in words.

It lives on `_socket` and `json` alone, so that a program that asks the manager one thing starts fast.
"""

from __future__ import annotations

import errno
import json
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Any

from gitproc.api.dial import AT_MOST_ONCE, HUNG_UP, PATIENCE, TRIES, UNSURE, dial, redial
from gitproc.errors import DaemonError, GitProcError, UsageError

_CHUNK = 1 << 16
_JSON_RPC = (-32700, -32600, -32601)  # not JSON, not a request, no such method


def _leaves(kind: type[GitProcError]) -> Iterator[type[GitProcError]]:
    yield kind
    for below in kind.__subclasses__():
        yield from _leaves(below)


def error_of(body: Mapping[str, Any]) -> GitProcError:
    """The exception an RPC error object stands for; its class is told by its code."""
    code = body.get("code")
    message = str(body.get("message", "the manager reported an error without words"))
    data = body.get("data")
    found = next((leaf for leaf in _leaves(GitProcError) if leaf.rpc_code == code), GitProcError)
    if code in _JSON_RPC and found is GitProcError:
        found = UsageError
    error = found(message)
    error.data = dict(data) if isinstance(data, Mapping) else {}
    return error


def unreachable(path: str, error: OSError) -> DaemonError:
    """What to say when the socket does not answer."""
    if error.errno in {errno.EACCES, errno.EPERM}:
        return DaemonError(
            f"cannot reach the daemon at {path}: permission denied: become root or join its group"
        )
    if error.errno in {errno.EAGAIN, errno.ETIMEDOUT} or isinstance(error, TimeoutError):
        return DaemonError(f"cannot reach the daemon at {path}: it does not answer; see its log")
    return DaemonError(
        f"cannot reach the daemon at {path}: is it running? "
        "start it with `systemctl start gitproc` or `gitproc daemon`"
    )


class _HungUp(Exception):
    """The manager has gone away without an answer."""


class Client:
    """A connection to the manager. `timeout`: seconds to wait for a reply (None: for ever). `patience`: how many
    seconds one that hangs up (killed, upgraded) has to be replaced; what can be asked twice is asked again then.

    Every method raises GitProcError: what the manager answered, or DaemonError if it cannot be reached,
    does not answer in time, or hangs up.
    """

    def __init__(self, path: str, timeout: float | None = 30.0, patience: float = PATIENCE) -> None:
        self._path, self._timeout, self._patience = path, timeout, patience
        try:
            self._socket = dial(path, 5.0)
        except OSError as error:
            raise unreachable(path, error) from error
        self._socket.settimeout(timeout)
        self._buffer = b""
        self._next_id = 0

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Hang up."""
        self._socket.close()

    def call(self, method: str, params: Mapping[str, Any] | None = None) -> Any:
        """The result of one method."""
        once = method in AT_MOST_ONCE
        for attempt in range(TRIES + 1):
            try:
                return self._call(method, params)
            except _HungUp as error:
                if once or attempt == TRIES:
                    raise self._gone(UNSURE if once else HUNG_UP) from error
            self._socket.close()
            self._buffer = b""
            try:
                self._socket = redial(self._path, 5.0, attempt, self._patience)
            except OSError as error:
                raise self._gone(f"{HUNG_UP}, and none has come in its place") from error
            self._socket.settimeout(self._timeout)
        raise AssertionError("unreachable")

    def _call(self, method: str, params: Mapping[str, Any] | None) -> Any:
        request_id = self._send(method, params)
        while True:
            message = self._receive()
            if message.get("id") in {request_id, None} and "method" not in message:
                return _result(message)

    def _gone(self, how: str) -> DaemonError:
        return DaemonError(f"the daemon at {self._path} {how}")

    def stream(
        self, method: str, params: Mapping[str, Any] | None = None, output: int | None = None
    ) -> Iterator[Any]:
        """The items of a stream, until the manager ends it; waits for ever between them.

        `output`: the descriptor they are written to. BrokenPipeError when nobody reads it any more, which
        a follower of a silent log would otherwise never find out.
        """
        self._socket.settimeout(None)
        request_id = self._send(method, {**(params or {}), "follow": True})
        while True:
            if output is not None and b"\n" not in self._buffer:
                self._await(output)
            try:
                message = self._receive()
            except _HungUp as error:
                raise self._gone(HUNG_UP) from error
            if message.get("method") == "stream":
                yield message["params"]["item"]
            elif message.get("id") in {request_id, None}:
                _result(message)
                return

    def _send(self, method: str, params: Mapping[str, Any] | None) -> int:
        self._next_id += 1
        request = {
            "jsonrpc": "2.0",
            "id": self._next_id,
            "method": method,
            "params": dict(params or {}),
        }
        try:
            self._socket.sendall(json.dumps(request).encode() + b"\n")
        except OSError as error:
            if not isinstance(error, (BrokenPipeError, ConnectionResetError)):
                raise unreachable(self._path, error) from error
            # the manager hung up: it may have said why before
        return self._next_id

    def _await(self, output: int) -> None:
        import select

        poll = select.poll()
        poll.register(self._socket.fileno(), select.POLLIN)
        poll.register(output, 0)
        if any(fd == output and event != select.POLLNVAL for fd, event in poll.poll()):
            raise BrokenPipeError(errno.EPIPE, "nobody reads the output")

    def _receive(self) -> dict[str, Any]:
        parts = [self._buffer]
        while b"\n" not in parts[-1]:
            try:
                chunk = self._socket.recv(_CHUNK)
            except TimeoutError as error:
                raise unreachable(self._path, error) from error
            except OSError:
                chunk = b""
            if not chunk:
                raise _HungUp
            parts.append(chunk)
        line, _, self._buffer = b"".join(parts).partition(b"\n")
        try:
            message = json.loads(line)
        except ValueError:
            message = None
        if not isinstance(message, dict):
            raise DaemonError(f"what answers at {self._path} does not speak GitProc's protocol")
        return message


def _result(message: Mapping[str, Any]) -> Any:
    if isinstance(message.get("error"), Mapping):
        raise error_of(message["error"])
    return message.get("result")
