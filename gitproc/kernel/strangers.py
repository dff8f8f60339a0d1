"""Processes of an instance that is over, or that no record tells of, when a new one is to begin.

Its parent may have been killed, the state directory lost, or a stop may have given up. They do not go on beside
a new instance; what KillMode= leaves alone is left alone here, too (systemd.kill(5)).
"""

from __future__ import annotations

import signal

from gitproc.errors import HostError
from gitproc.kernel.resource_controller import ResourceController
from gitproc.units import directives as d
from gitproc.units.unit import Unit

_SHOWN = 5


def end(controller: ResourceController, unit: Unit) -> list[str]:
    """End what is left in the unit's group; what was done, in sentences.

    HostError where SendSIGKILL=no forbids it: then they must have ended before a new instance starts.
    """
    if not unit[d.KILL_MODE].ends_all:
        return []
    if controller.is_empty(unit.name):
        return []
    if not unit[d.SEND_SIGKILL]:
        pids = ", ".join(map(str, controller.pids(unit.name)[:_SHOWN]))
        raise HostError(
            f"processes of an earlier instance still run ({pids}), and SendSIGKILL=no forbids to kill "
            "them: end them first"
        )
    controller.kill(unit.name, signal.SIGKILL)
    return ["processes of an earlier instance that nobody knows were ended"]
