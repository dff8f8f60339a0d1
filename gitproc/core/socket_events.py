"""Facts about sockets of units, in the past tense; see `events.py`."""

from __future__ import annotations

from gitproc.immutable import immutable


@immutable
class SocketOpened:
    """The socket listens, and is held whatever dies. `problems`: options that could not be set."""

    unit: str
    invocation: str
    problems: tuple[str, ...] = ()


@immutable
class SocketFailed:
    """The socket could not be opened."""

    unit: str
    invocation: str
    message: str


@immutable
class SocketReady:
    """Something waits at a watched socket; the watch has ended with that."""

    unit: str
    invocation: str


@immutable
class ConnectionCame:
    """A connection was accepted. `peer`: part of the instance's name; `source`: the peer's address or user;
    `variables`: `REMOTE_ADDR=...` and the like."""

    unit: str
    invocation: str
    serial: int
    peer: str
    source: str
    variables: tuple[str, ...] = ()


@immutable
class HoldingsFound:
    """After a crash: the sockets that are held."""

    owners: frozenset[str]
