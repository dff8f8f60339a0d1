"""Descriptors that a service is given: how it learns of them (sd_listen_fds(3))."""

from __future__ import annotations

from typing import Any

from gitproc.units import directives as d
from gitproc.units.unit import Unit

_UNNAMED = "unknown"


def tell_descriptors(spec: dict[str, Any], unit: Unit, names: tuple[str, ...]) -> None:
    """Have the spawn place its descriptors at 3, 4, ... and say so in the environment.

    A service that gets the socket as its standard input is given no others (systemd.exec(5)).
    """
    if not names:
        return
    if unit[d.STANDARD_INPUT].kind == "socket":
        return
    spec["fds"] = list(range(len(names)))
    spec["pid_env"] = [*spec.get("pid_env", ()), "LISTEN_PID"]
    told = ":".join(name or _UNNAMED for name in names)
    spec["env"] = [*spec["env"], f"LISTEN_FDS={len(names)}", f"LISTEN_FDNAMES={told}"]
