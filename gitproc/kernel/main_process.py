"""Finding the main process of a forking service: by its PID file, or by a guess (systemd.service(5))."""

from __future__ import annotations

from collections.abc import Callable, Collection

from gitproc.errors import HostError
from gitproc.kernel import processes
from gitproc.kernel.pid_file import MainProcess, read_pid_file
from gitproc.units import directives as d
from gitproc.units.unit import Unit


def find(
    unit: Unit, members: Callable[[], Collection[int]], reaper: int
) -> tuple[MainProcess | None, str]:
    """The main process among the unit's processes, which `members` lists, or why it is not known.

    `reaper`: the shim.
    """
    path = unit[d.PID_FILE]
    if path:
        try:
            return read_pid_file(path, members, reaper), ""
        except (HostError, OSError) as error:
            return None, str(error)
    pid = processes.guess_main(members(), reaper) if unit[d.GUESS_MAIN_PID] else None
    started = processes.start_time(pid) if pid is not None else None
    if pid is None or started is None or pid not in members():
        return None, "no main process could be told"
    return MainProcess(pid, started), ""
