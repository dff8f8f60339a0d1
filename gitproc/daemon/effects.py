"""What orders are carried out with: the parts of one manager, made once by `daemon/daemon.py`."""

from __future__ import annotations

from gitproc.core.world import World
from gitproc.daemon.config import Config
from gitproc.health.health_monitor import HealthMonitor
from gitproc.immutable import mutable
from gitproc.kernel.process_manager import ProcessManager
from gitproc.kernel.resource_controller import ResourceController
from gitproc.kernel.sockets import Sockets
from gitproc.store.definitions import Definitions
from gitproc.store.event_log import EventLog
from gitproc.units.specifiers import Host


@mutable
class Effects:
    """Whoever carries something out, or answers, is given them."""

    config: Config
    world: World
    host: Host
    manager: ProcessManager
    controller: ResourceController
    health: HealthMonitor
    definitions: Definitions
    events: EventLog
    sockets: Sockets
    shim_pid: int
