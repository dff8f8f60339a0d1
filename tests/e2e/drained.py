"""What services have written is in their logs a moment later: the logger is a process of its own. Wait for it."""

from __future__ import annotations

import array
import fcntl
import os
import termios
import time
from contextlib import suppress
from pathlib import Path

PATIENCE = 15.0  # seconds; somebody may write without end


def drained(logger: int) -> None:
    """Wait until each pipe of the logger has been empty once, and the logger has gone to sleep after that."""
    end = time.monotonic() + PATIENCE
    waiting = _pipes(logger)
    while waiting and _state(logger) in "RSDT" and time.monotonic() < end:
        waiting = [pipe for pipe in waiting if _unread(pipe)]
        if waiting:
            time.sleep(0.002)
    while _state(logger) in "RDT" and time.monotonic() < end:
        time.sleep(0.002)


def _pipes(pid: int) -> list[Path]:
    found = []
    with suppress(OSError):
        for entry in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(OSError):
                if str(entry.readlink()).startswith("pipe:"):
                    found.append(entry)
    return found


def _unread(pipe: Path) -> int:
    """Bytes in it; 0 for one that is gone."""
    count = array.array("i", [0])
    with suppress(OSError):
        fd = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            fcntl.ioctl(fd, termios.FIONREAD, count)
        finally:
            os.close(fd)
    return count[0]


def _state(pid: int) -> str:
    """Its letter in proc_pid_stat(5); X for one that is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "X"
