"""Ending all services where no manager can be had to do it in order: SIGTERM to all, a while, SIGKILL.

The manager knows order, stop commands and patience; the shim knows processes only. So this is for the case
that it has been asked to terminate and no manager comes (a configuration that has been broken meanwhile, a
program that cannot be executed).
"""

# ruff: noqa: SIM105 (contextlib would cost every start 4 ms)

from __future__ import annotations

import os

from gitproc.shim import process
from gitproc.shim.loop import Loop

TYPE_CHECKING = False  # `typing` and `collections` stay out of this process
if TYPE_CHECKING:
    from collections.abc import Callable

    from gitproc.shim.children import Children

PATIENCE = 10.0  # seconds that a manager has to say hello, once asked to terminate
FAILURES = 3  # managers that ended by themselves without a hello are enough
_GRACE = 5.0  # seconds between SIGTERM and SIGKILL
_LONGEST = 5.0  # seconds for what SIGKILL does not end at once
_PAUSE = 0.1
_KILL, _TERM, _CONT = 9, 15, 18


class LastResort:
    """Waits for a manager while the shim is to terminate; `over` is called when nothing is left."""

    def __init__(
        self,
        loop: Loop,
        children: Children,
        own: Callable[[], tuple[int, ...]],
        over: Callable[[], None],
    ) -> None:
        self._loop = loop
        self._children = children
        self._own = own
        self._over = over
        self._failures = 0
        self._left = 0.0
        self.begun = False

    def wait(self) -> None:
        """From now on a manager must come."""
        if not self.begun and not self._loop.pending("last resort"):
            self._loop.after("last resort", PATIENCE, self.begin)

    def came(self) -> None:
        """One has said hello: it does the work."""
        self._failures = 0
        self._loop.cancel("last resort")

    def failed(self) -> None:
        """One has ended without having said hello."""
        self._failures += 1
        if self._failures >= FAILURES:
            self.begin()

    def begin(self) -> None:
        """Do without."""
        if self.begun:
            return
        self.begun = True
        self._loop.cancel("last resort")
        process.say("no manager comes to stop the services: ending them in no order")
        self._signal(_TERM)
        self._signal(_CONT)
        self._loop.after("last resort", _GRACE, self._kill)
        self.look()

    def look(self) -> None:
        """Something has ended."""
        if self.begun and not self._pids() and not self._children.by_pid:
            self._loop.cancel("last resort")
            self._over()

    def _kill(self) -> None:
        self._signal(_KILL)
        self._left += _PAUSE
        if self._left > _LONGEST:
            process.say(f"SIGKILL does not end {self._pids()}")
            self._over()
        else:  # orphans come to us only when their parents have ended
            self._loop.after("last resort", _PAUSE, self._kill)
            self.look()

    def _signal(self, number: int) -> None:
        for id in list(self._children.by_id):
            self._children.signal(id, number)  # those of an earlier shim's too, by their pidfds
        for pid in self._pids():
            try:
                os.kill(pid, number)  # not reaped yet: nobody else has the number
            except OSError:
                pass

    def _pids(self) -> list[int]:
        """All children: services, and what services have left behind."""
        me = os.getpid()
        with open(f"/proc/{me}/task/{me}/children", "rb") as file:
            words = file.read().split()
        own = self._own()
        return [pid for pid in map(int, words) if pid not in own]
