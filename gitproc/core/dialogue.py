"""What an instance has said of itself that is more than a line for people (sd_notify(3)).

Few units say such things, so a unit has this object only once it has; it belongs to one instance.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from gitproc.immutable import field, mutable

RELOADING, STOPPING = "reloading", "stopping"


@mutable
class Dialogue:
    """Instants and spans in seconds. `phase`: RELOADING or STOPPING, as last said; empty otherwise.

    `reload_begun`: when it was last asked to reload; `reload_seen`: it has begun to since. `leaving`: it
    ends by itself and gets no signal. `access`: NOTIFYACCESS= in place of NotifyAccess=. `watchdog`:
    WATCHDOG_USEC= in place of WatchdogSec=; `watchdog_at`: until when it may be silent. `former`: pid, start
    time and token of who was the main process before MAINPID= and may become it again.
    """

    phase: str = ""
    reload_begun: float = 0.0
    reload_seen: bool = False
    leaving: bool = False
    access: str = ""
    watchdog: float | None = None
    watchdog_at: float | None = None
    errno: int = 0
    bus_error: str = ""
    exit_status: int | None = None
    former: list[list[Any]] = field(default_factory=list)

    def record(self) -> dict[str, Any]:
        """The durable part: what is not as at first. How long it may be silent begins anew."""
        values = {name: getattr(self, name) for name in _DURABLE}
        return {name: value for name, value in values.items() if value != _FRESH[name]}

    def forget(self, token: str) -> None:
        """That process has ended."""
        self.former = [x for x in self.former if x[2] != token]

    @staticmethod
    def restored(record: dict[str, Any]) -> Dialogue:
        """Inverse of `record`."""
        return Dialogue(**{name: record[name] for name in _DURABLE if name in record})


def _names(leave_out: Iterable[str]) -> tuple[str, ...]:
    return tuple(x for x in Dialogue.__match_args__ if x not in leave_out)


_DURABLE = _names({"watchdog_at"})
_FRESH = {name: getattr(Dialogue(), name) for name in _DURABLE}
