"""The manager as the shim's own child (standalone mode): started, restarted with pauses, asked to terminate.

It dies with the shim, even if it stands still: a manager that lived on would keep the next one, which adopts the
services through a new shim, from the state directory. Being killed costs it nothing.

A manager that never got as far as saying hello and ended while nothing runs is an error of start-up
(a wrong configuration, say): the shim then ends with the same status instead of trying for ever.
"""

from __future__ import annotations

import os
import time

from gitproc.shim import child, process
from gitproc.shim.clone import clone
from gitproc.shim.loop import Loop
from gitproc.shim.mini_init import CLD_EXITED

_LONGEST_PAUSE = 5.0  # seconds
_STEADY = 3.0  # seconds a manager must have lived to be restarted at once


class Manager:
    """The manager process; without `argv` there is none (systemd keeps it)."""

    def __init__(self, loop: Loop, argv: list[str], host: child.Host) -> None:
        self._loop = loop
        self._argv = argv
        self._host = host
        self._pause = 0.1
        self._since = 0.0
        self.pid = 0
        self.greeted = False  # a manager has said hello since this shim's start

    @property
    def ours(self) -> bool:
        """Whether this shim starts the manager."""
        return bool(self._argv)

    def adopt(self, pid: int, greeted: bool) -> None:
        """After a re-exec: the manager that runs."""
        self.pid, self.greeted = pid, greeted
        self._since = time.monotonic()

    def start(self) -> None:
        """Start it unless it runs."""
        self._loop.cancel("manager")
        if self.pid or not self._argv:
            return
        self._since = time.monotonic()
        shim = os.getpid()
        process.block_signals()
        try:
            pid, pidfd, _ = clone(0)
            if pid == 0:
                self._become(shim)
            os.close(pidfd)
            self.pid = pid
        except OSError as error:
            process.say(f"cannot start the manager: {error}")
            self._again()
        finally:
            process.unblock_signals()

    def ended(self, pid: int, code: int, status: int) -> bool:
        """A process has been reaped; False if it is not the manager."""
        if pid != self.pid:
            return False
        self.pid = 0
        how = f"status {status}" if code == CLD_EXITED else f"signal {status}"
        if time.monotonic() - self._since >= _STEADY:
            self._pause = 0.1
        if code != CLD_EXITED or status:
            process.say(f"the manager ended with {how}")
        self._again()
        return True

    def leave(self) -> None:
        """Do not start it any more."""
        self._loop.cancel("manager")
        self._argv = []

    def _again(self) -> None:
        self._loop.after("manager", self._pause if self._pause > 0.1 else 0.0, self.start)
        self._pause = min(self._pause * 2, _LONGEST_PAUSE)

    def _become(self, parent: int) -> None:
        try:
            process.default_signals(self._host.altered_signals)
            os.setpgid(0, 0)  # Ctrl-C is for the shim, which asks in order
            if self._host.oom_lowered:
                process.write_small("/proc/self/oom_score_adj", "0")
            process.die_with_parent(parent)
            process.unblock_signals()
            os.execv(self._argv[0], self._argv)
        except BaseException as error:
            process.say(f"cannot start the manager: {error}")
        finally:
            os._exit(child.STATUS["EXEC"])
