"""Facts about sockets of units, in the past tense; see `events.py`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class SocketOpened:
    """The socket listens, and is held whatever dies. `problems`: options that could not be set."""

    unit: str
    invocation: str
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SocketFailed:
    """The socket could not be opened."""

    unit: str
    invocation: str
    message: str


@dataclass(frozen=True, slots=True)
class SocketReady:
    """Something waits at a watched socket; the watch has ended with that."""

    unit: str
    invocation: str


@dataclass(frozen=True, slots=True)
class ConnectionCame:
    """A connection was accepted. `peer`: part of the instance's name; `source`: the peer's address or user;
    `variables`: `REMOTE_ADDR=...` and the like."""

    unit: str
    invocation: str
    serial: int
    peer: str
    source: str
    variables: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class HoldingsFound:
    """After a crash: the sockets that are held."""

    owners: frozenset[str]


SocketEvent: TypeAlias = SocketOpened | SocketFailed | SocketReady | ConnectionCame | HoldingsFound
