"""Orders about sockets of units; see `actions.py`."""

from __future__ import annotations

from typing import TypeAlias

from gitproc.immutable import immutable
from gitproc.units.unit import Unit


@immutable
class OpenSocket:
    """Open what a socket unit listens on and have it held; deliver `SocketOpened` or `SocketFailed`.

    What is held already by the same addresses is taken as it is.
    """

    unit: Unit
    invocation: str


@immutable
class ConfigureSocket:
    """Set the options of a socket that is open as its definition has them now."""

    unit: Unit


@immutable
class CloseSocket:
    """Close what a socket unit listens on, and remove its nodes if it says so."""

    unit: Unit


@immutable
class WatchSocket:
    """Deliver `SocketReady` once when something waits; with `accept` a `ConnectionCame` for each connection,
    until `UnwatchSocket`. `flush`: drop first what waits already."""

    unit: str
    invocation: str
    accept: bool = False
    flush: bool = False


@immutable
class UnwatchSocket:
    """Take `WatchSocket` back."""

    unit: str


@immutable
class AssignConnection:
    """A connection is for this instance: keep it until the instance has its process."""

    serial: int
    unit: str


@immutable
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
