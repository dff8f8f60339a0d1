"""What the shim says of itself, and of the processes in its table."""

from __future__ import annotations

from typing import Any

from gitproc.core.events import Process
from gitproc.immutable import immutable


@immutable
class Welcome:
    """The shim's greeting. `epoch` names this life of the shim; `notify_fd` is owned by the caller."""

    shim_pid: int
    epoch: str
    features: dict[str, Any]
    notify_fd: int


@immutable
class TableEntry:
    """A process of ours that the shim knows: alive, or ended with an exit that is not acknowledged.

    `executed`: set-up is over and succeeded. `init_pid`: the init of its PID namespace, 0 without one.
    `pid` 0: it is being made, and its init has not announced it yet; Spawned follows.
    """

    id: int
    process: Process
    pid: int
    start_time: int
    alive: bool
    executed: bool = False
    init_pid: int = 0
