"""What is done to a unit's terminal before its main process and after its end (systemd.exec(5), "TTYReset=")."""

from __future__ import annotations

import grp
import os
import stat
from typing import Any

from gitproc.core.events import Slot
from gitproc.shim import terminals
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


def terminal_of(unit: Unit, slot: Slot) -> dict[str, Any]:
    """The key `terminal` of the spec; only the main process has a terminal, so that no other one disturbs it."""
    if slot is not Slot.MAIN or _KEYS.isdisjoint(unit.values):
        return {}
    return {"terminal": [unit[s.TTY_PATH], *(unit[row] for row in _ROWS)]}


def leave(unit: Unit) -> list[str]:
    """The unit has ended: its terminal is made fit again, and root's. Returns what could not be done."""
    problems: list[str] = []
    if wanted := terminal_of(unit, Slot.MAIN).get("terminal"):
        problems = terminals.make_fit(*wanted)
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
