"""Units that are there without a file: the built-in targets, and slices, which their names alone say all of.

A slice is loaded as soon as something names it (systemd.slice(5)), and then has what its drop-ins say.
"""

from __future__ import annotations

from gitproc.units.assignments import Assignments
from gitproc.units.builtin_targets import BUILTIN
from gitproc.units.names import is_valid_slice

_SAYS_NOTHING = Assignments((), (), "")


def needs_no_file(name: str) -> bool:
    """Whether a unit of this name is there as soon as something names it."""
    return name in BUILTIN or is_valid_slice(name)


def without_file(name: str) -> Assignments:
    """What such a unit says of itself."""
    return BUILTIN.get(name, _SAYS_NOTHING)
