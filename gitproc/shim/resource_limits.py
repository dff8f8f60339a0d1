"""A step of a child's set-up: its resource limits (LimitNOFILE= and its kin of systemd.exec(5))."""

from __future__ import annotations

import resource

TYPE_CHECKING = False  # `typing` and `collections` stay out of this process
if TYPE_CHECKING:
    from gitproc.shim.setup import Call, Setup


def apply(setup: Setup) -> list[Call]:
    """Set what the spec names, and give back the NOFILE limit that the shim raised for itself."""
    calls: list[Call] = [(resource.setrlimit, (resource.RLIMIT_NOFILE, setup.host.nofile))]
    for kind, soft, hard in setup.spec.get("rlimits", ()):
        if kind == resource.RLIMIT_NOFILE:
            calls.pop(0)  # from what the shim has it may be more
        calls.append((_set, (kind, (soft, hard))))
    return calls


def _set(kind: int, limit: tuple[int, int]) -> None:
    try:
        resource.setrlimit(kind, limit)
    except (ValueError, PermissionError):  # not privileged: as far as the hard limit allows
        top = resource.getrlimit(kind)[1]
        resource.setrlimit(kind, (_least(limit[0], top), _least(limit[1], top)))


def _least(value: int, top: int) -> int:
    if top < 0:
        return value
    return top if value < 0 else min(value, top)
