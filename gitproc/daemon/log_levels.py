"""The level of each line that a unit writes, by its `<N>` in front or by the unit's settings (systemd.exec(5))."""

from __future__ import annotations

from gitproc.units import directives_exec_streams as streams
from gitproc.units.unit import Unit


def level_and_text(unit: Unit | None, line: str) -> tuple[int, str]:
    """The level, 0 to 7, of a line of a unit (None: one that is gone), and the line without what told it.

    Only a level is taken from the front of a line, as in the journal: `<30>`, which has a facility, is text.
    """
    level, prefixed = streams.SYSLOG_LEVEL.default, streams.SYSLOG_LEVEL_PREFIX.default
    if unit is not None:
        level, prefixed = unit[streams.SYSLOG_LEVEL], unit[streams.SYSLOG_LEVEL_PREFIX]
    if prefixed and line[:1] == "<":
        end = line.find(">", 1, 5)
        digits = line[1 : max(end, 1)]
        if digits.isascii() and digits.isdigit() and int(digits) <= 7:
            return int(digits), line[end + 1 :]
    return level, line
