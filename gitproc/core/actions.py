"""Orders, in the imperative: everything the world can ask of its surroundings, as frozen values.

An order is carried out by `daemon/perform.py`; whatever comes of it returns as an event. Orders about
processes name the token that the events will carry.
"""

from __future__ import annotations

from typing import Any, TypeAlias

from gitproc.core.events import CommitMeta, Process
from gitproc.core.socket_orders import SocketOrder
from gitproc.immutable import immutable
from gitproc.units.unit import Unit
from gitproc.units.values import ExecCommand


@immutable
class Spawn:
    """Start one command of a unit. `variables` are added to its environment (`MAINPID=...`).

    `first`: the first process of this invocation (make its cgroup and directories, set its limits).
    `sockets`: whose descriptors it is given, before those it has stored; None: neither.
    """

    process: Process
    unit: Unit
    command: ExecCommand
    variables: tuple[str, ...] = ()
    first: bool = False
    sockets: tuple[str, ...] | None = None


@immutable
class Signal:
    """Signal one process, by its token."""

    process: Process
    signal: int


@immutable
class Adopt:
    """Watch a process that was not spawned by us (the main one of a forking service, the survivor of
    a shim that died) as if it had been: the shim keeps its exit; deliver `Adopted`, or `Exited` as lost."""

    process: Process
    pid: int
    start_time: int


@immutable
class SignalTree:
    """Signal every process of the unit (its cgroup) but those of `spare`.

    Nobody forks away from SIGKILL; SIGCONT follows other signals.
    """

    unit: str
    invocation: str
    signal: int
    spare: tuple[int, ...] = ()


@immutable
class WatchTree:
    """Deliver `TreeEmptied` as soon as no process of this instance is left (at once, if so now)."""

    unit: str
    invocation: str


@immutable
class FindMain:
    """Find the main process of a forking service: its PID file, or a guess; deliver `MainFound`."""

    unit: Unit
    invocation: str


@immutable
class WatchBusName:
    """Deliver `BusNameSeen` now, and whenever the name gets or loses an owner."""

    unit: str
    invocation: str
    name: str


@immutable
class Keep:
    """A running instance has this definition from here on: keep it, to be stopped by after any crash."""

    unit: Unit


@immutable
class SetLimits:
    """Apply the unit's resource limits to its cgroup, live."""

    unit: Unit
    invocation: str


@immutable
class Release:
    """The instance has ended: remove its cgroup, its RuntimeDirectory= and its PID file.

    `forget`: no instance of this name will follow, so its kept definition goes, too.
    `keep_runtime`: a restart follows (RuntimeDirectoryPreserve=restart keeps the directory).
    """

    unit: Unit
    invocation: str
    keep_runtime: bool
    forget: bool = False


@immutable
class CheckConditions:
    """Test every Condition*= and Assert*= of the unit now; deliver `ConditionsChecked`."""

    unit: Unit
    invocation: str


@immutable
class Probe:
    """Run one HTTP or TCP health probe now; deliver `ProbeSucceeded` or `ProbeFailed`."""

    unit: Unit
    invocation: str


@immutable
class WatchPaths:
    """Watch what this path unit names, and deliver `PathsSeen`, now and whenever something has happened.

    `first`: make the folders that are to be there (MakeDirectory=).
    """

    unit: Unit
    invocation: str
    first: bool


@immutable
class UnwatchPaths:
    """Watch for that unit no more."""

    unit: str


@immutable
class Publish:
    """The commit is in force: its files are the current ones from here on ($GITPROC_TREE)."""

    sha: str


@immutable
class AskHostUnits:
    """Ask the host's systemd for the state of these units of its; deliver `HostUnitsSeen`."""

    names: tuple[str, ...]


@immutable
class GoBack:
    """`failed` is held back: load `to` in its place; with `revert` undo it on the branch first."""

    to: CommitMeta
    failed: CommitMeta
    revert: bool


@immutable
class Record:
    """Make a fact durable before its exits are acknowledged. None forgets the key."""

    key: str
    value: Any


@immutable
class Announce:
    """Tell people: the event log, subscribers, daemon.log. `kind` is stable (`unit.started`, `commit.refused`)."""

    kind: str
    unit: str
    message: str
    data: tuple[tuple[str, Any], ...] = ()


@immutable
class Reply:
    """Answer an operator's request: unit -> outcome."""

    request: int
    outcomes: tuple[tuple[str, dict[str, Any]], ...]


@immutable
class Acknowledge:
    """The shim may forget this exit (after the journal is on disk)."""

    sequence: int


@immutable
class Exit:
    """All units are down: end the manager and the shim."""


Action: TypeAlias = (
    Spawn
    | Signal
    | Adopt
    | SignalTree
    | WatchTree
    | WatchBusName
    | FindMain
    | Keep
    | SetLimits
    | Release
    | CheckConditions
    | Probe
    | WatchPaths
    | UnwatchPaths
    | SocketOrder
    | Publish
    | AskHostUnits
    | GoBack
    | Record
    | Announce
    | Reply
    | Acknowledge
    | Exit
)
