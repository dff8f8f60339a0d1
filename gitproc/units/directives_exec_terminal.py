"""Rows of the directive table for a terminal before and after use, and who is said to be on it (systemd.exec(5))."""

from __future__ import annotations

from typing import Any

from gitproc.units.directive import Directive
from gitproc.units.rows import exactly, flag, one, text
from gitproc.units.values import parse_unsigned

_MOST = 0xFFFF


def parse_tty_size(value: str) -> int:
    """Rows or columns of a terminal, 0 to 65535."""
    return parse_unsigned(value, 0, _MOST)


TTY_RESET = flag(
    "Service", "TTYReset", False, "Bring TTYPath= to its usual settings before and after."
)
TTY_VHANGUP = flag(
    "Service", "TTYVHangup", False, "Disconnect all who have TTYPath= open before and after."
)
TTY_VT_DISALLOCATE = flag(
    "Service", "TTYVTDisallocate", False, "Clear TTYPath= away before and after."
)
TTY_ROWS: Directive[int | None] = one(
    "Service", "TTYRows", parse_tty_size, None, "Rows of TTYPath=."
)
TTY_COLUMNS: Directive[int | None] = one(
    "Service", "TTYColumns", parse_tty_size, None, "Columns of TTYPath=."
)

UTMP_IDENTIFIER = text(
    "Service", "UtmpIdentifier", "Record the main process in utmp, by this (its last four bytes)."
)
UTMP_MODE = one(
    "Service",
    "UtmpMode",
    exactly("init", "login", "user"),
    "init",
    "As what it is recorded: init, login (as getty) or user (as a login of User=).",
)

ROWS: tuple[Directive[Any], ...] = (
    TTY_RESET,
    TTY_VHANGUP,
    TTY_VT_DISALLOCATE,
    TTY_ROWS,
    TTY_COLUMNS,
    UTMP_IDENTIFIER,
    UTMP_MODE,
)
