"""What is done to a unit's terminal before its main process and after its end (systemd.exec(5), "TTYReset=")."""

from __future__ import annotations

import grp
import os
import stat
from typing import Any

from gitproc.core.events import Slot
from gitproc.shim import terminals, utmp
from gitproc.units import directives as d
from gitproc.units import directives_exec_streams as s
from gitproc.units import directives_exec_terminal as t
from gitproc.units.directive import Directive
from gitproc.units.unit import Unit

_ROWS: tuple[Directive[Any], ...] = (
    t.TTY_VHANGUP,
    t.TTY_RESET,
    t.TTY_ROWS,
    t.TTY_COLUMNS,
    t.TTY_VT_DISALLOCATE,
)
_KEYS = frozenset(row.key for row in _ROWS)
_MODE = 0o620
UTMP, WTMP = "/run/utmp", "/var/log/wtmp"


def terminal_of(unit: Unit, slot: Slot) -> dict[str, Any]:
    """The keys `terminal` and `utmp` of the spec: the main process alone has a terminal, and nobody disturbs it."""
    spec: dict[str, Any] = {}
    if slot is not Slot.MAIN:
        return spec
    if not _KEYS.isdisjoint(unit.values):
        spec["terminal"] = [unit[s.TTY_PATH], *(unit[row] for row in _ROWS)]
    if unit[t.UTMP_IDENTIFIER]:
        line = unit[s.TTY_PATH].removeprefix("/dev/") if unit.has(s.TTY_PATH) else ""
        user = unit[d.USER] or "root"
        spec["utmp"] = [UTMP, WTMP, unit[t.UTMP_IDENTIFIER], line, unit[t.UTMP_MODE], user]
    return spec


def leave(unit: Unit) -> list[str]:
    """The unit has ended: its terminal is made fit again, and root's. Returns what could not be done."""
    problems: list[str] = []
    if wanted := terminal_of(unit, Slot.MAIN).get("terminal"):
        problems = terminals.make_fit(*wanted)
    if unit[t.UTMP_IDENTIFIER] and (said := utmp.end(UTMP, WTMP, unit[t.UTMP_IDENTIFIER])):
        problems.append(said)
    if unit[d.USER] and unit[d.STANDARD_INPUT].is_terminal:
        problems += _take_back(unit[s.TTY_PATH])
    return problems


def _take_back(path: str) -> list[str]:
    fd = -1
    try:
        fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
        if not stat.S_ISCHR(os.fstat(fd).st_mode):
            return []
        here = f"/proc/self/fd/{fd}"
        os.chmod(here, _MODE)
        os.chown(here, 0, grp.getgrnam("tty").gr_gid)
    except FileNotFoundError:
        return []
    except (OSError, KeyError) as error:
        return [f"terminal {path} stays its user's: {error}"]
    finally:
        if fd >= 0:
            os.close(fd)
    return []
