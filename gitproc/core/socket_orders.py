"""Orders about sockets of units; see `actions.py`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from gitproc.units.unit import Unit


@dataclass(frozen=True, slots=True)
class OpenSocket:
    """Open what a socket unit listens on and have it held; deliver `SocketOpened` or `SocketFailed`.

    What is held already by the same addresses is taken as it is.
    """

    unit: Unit
    invocation: str


@dataclass(frozen=True, slots=True)
class ConfigureSocket:
    """Set the options of a socket that is open as its definition has them now."""

    unit: Unit


@dataclass(frozen=True, slots=True)
class CloseSocket:
    """Close what a socket unit listens on, and remove its nodes if it says so."""

    unit: Unit


@dataclass(frozen=True, slots=True)
class WatchSocket:
    """Deliver `SocketReady` once when something waits; with `accept` a `ConnectionCame` for each connection,
    until `UnwatchSocket`. `flush`: drop first what waits already."""

    unit: str
    invocation: str
    accept: bool = False
    flush: bool = False


@dataclass(frozen=True, slots=True)
class UnwatchSocket:
    """Take `WatchSocket` back."""

    unit: str


@dataclass(frozen=True, slots=True)
class AssignConnection:
    """A connection is for this instance: keep it until the instance has its process."""

    serial: int
    unit: str


@dataclass(frozen=True, slots=True)
class RefuseConnection:
    """Close a connection that nobody is to serve."""

    serial: int


SocketOrder: TypeAlias = (
    OpenSocket
    | ConfigureSocket
    | CloseSocket
    | WatchSocket
    | UnwatchSocket
    | AssignConnection
    | RefuseConnection
)
