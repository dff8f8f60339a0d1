"""Seats: where an instance sits, so that two instances of one service can be there at once.

A seat is a name, and what the kernel's side keeps of an instance (its cgroup above all) is kept by it. The
first seat of a service has its own name, the second one a name that no unit can have: `web.service` and
`web~.service`. A cgroup cannot be renamed, so an instance keeps its seat for as long as it lives.
"""

from __future__ import annotations

_SECOND = "~.service"
_FIRST = ".service"


def is_second(name: str) -> bool:
    """Whether this is a second seat, rather than the name of a unit."""
    return name.endswith(_SECOND)


def other_seat(name: str) -> str:
    """The other seat of the same service."""
    if name.endswith(_SECOND):
        return name[: -len(_SECOND)] + _FIRST
    return name[: -len(_FIRST)] + _SECOND


def home(name: str) -> str:
    """The unit that a seat belongs to; any other name as it is."""
    return other_seat(name) if name.endswith(_SECOND) else name
