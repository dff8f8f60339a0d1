"""What a command of the pretended machine does: a `Program`, found by the base name of its path.

`/bin/run` runs until it is signalled, `/bin/true` and `/bin/false` end at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

INSTANT = 0.01  # seconds that a command takes that only does something short
HUP, KILL, TERM = 1, 9, 15


@dataclass(frozen=True)
class Program:
    """What a command does. Times in seconds after its exec, or after the signal."""

    lasts: float = float("inf")
    status: int = 0
    dies_of: int = 0
    ready: float | None = None  # says READY=1
    ignores: frozenset[int] = frozenset()
    takes: float = 0.0  # from a signal to the end
    on_signal: int | None = None  # exit status after a signal; None: dies of it
    daemon: Program | None = None  # what goes on when this one (a parent that forks) has ended
    pid_file: float | None = None  # the daemon writes it, after its parent's end
    children: tuple[Program, ...] = ()
    setup_error: str = ""  # the step that fails before exec
    refused: str = ""  # no process can be made at all
    dumps: bool = False  # core, where it dies of a signal
    out_of_memory: bool = False  # it is the OOM killer that ends it
    says_on: int = 0  # the signal that has it say READY=1
    beats: float = 0.0  # says WATCHDOG=1 every so many seconds
    reloads: float | None = None  # on SIGHUP: how long it takes from RELOADING=1 to READY=1


RUN = Program()
PROGRAMS: Mapping[str, Program] = {
    "run": RUN,
    "true": Program(lasts=INSTANT),
    "false": Program(lasts=INSTANT, status=1),
    "stubborn": Program(ignores=frozenset({TERM})),
    "slow": Program(takes=3.0, on_signal=0),
    "notify": Program(ready=1.0),
    "mute": Program(),
    "crash": Program(lasts=0.05, status=3),
    "forks": Program(lasts=INSTANT, daemon=RUN, pid_file=0.02),
    "missing": Program(setup_error="EXEC"),
    "refused": Program(refused="RESOURCES"),
    "nobody": Program(refused="USER"),
    "brood": Program(children=(RUN, RUN)),
}
