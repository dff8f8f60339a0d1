"""What operators ask for, as facts in the past tense; see `events.py`."""

from __future__ import annotations

from enum import StrEnum
from typing import TypeAlias

from gitproc.immutable import immutable


class Verb(StrEnum):
    """What an operator can ask of a unit."""

    START = "start"
    STOP = "stop"
    RESTART = "restart"
    TRY_RESTART = "try-restart"
    RELOAD = "reload"
    RELOAD_OR_RESTART = "reload-or-restart"
    TRY_RELOAD_OR_RESTART = "try-reload-or-restart"
    KILL = "kill"
    RESET_FAILED = "reset-failed"


@immutable
class OperatorAsked:
    """A verb came over the socket. `request` identifies it for the answer; `who` for the event log."""

    verb: Verb
    units: tuple[str, ...]
    request: int
    who: str
    signal: int = 0
    whom: str = "all"
    realtime: float = 0.0


@immutable
class RequestDropped:
    """The client went away: nobody waits for the answer any more."""

    request: int


@immutable
class SyncAsked:
    """Reconcile now: try again what a commit asks for and what gave up or ended by itself.

    `thorough`: an operator asked. If not, what ended with success stays so, and no work is no news.
    """

    request: int
    who: str
    thorough: bool = True


@immutable
class ApplyAsked:
    """The branch's commit shall be tried again, whatever became of it before."""

    request: int
    who: str
    sha: str


@immutable
class ShutdownAsked:
    """Stop all units in order, then end."""

    reason: str


OperatorEvent: TypeAlias = OperatorAsked | RequestDropped | SyncAsked | ApplyAsked | ShutdownAsked
