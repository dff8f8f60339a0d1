"""A step of a child's set-up: its resource limits (LimitNOFILE= and its kin of systemd.exec(5))."""

from __future__ import annotations

import resource

TYPE_CHECKING = False  # `typing` and `collections` stay out of this process
if TYPE_CHECKING:
    from gitproc.shim.setup import Setup


def apply(setup: Setup) -> None:
    """Set what the spec names, and give back the NOFILE limit that the shim raised for itself."""
    limits = {resource.RLIMIT_NOFILE: setup.host.nofile}
    for kind, soft, hard in setup.spec.get("rlimits", ()):
        limits[kind] = (soft, hard)
    for kind, (soft, hard) in limits.items():
        try:
            resource.setrlimit(kind, (soft, hard))
        except (ValueError, PermissionError):  # not privileged: as far as the hard limit allows
            top = resource.getrlimit(kind)[1]
            resource.setrlimit(kind, (_least(soft, top), _least(hard, top)))


def _least(value: int, top: int) -> int:
    if top < 0:
        return value
    return top if value < 0 else min(value, top)
