"""What each launch is given besides its unit: paths, limits of the host, and what an instance shares."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from gitproc.core.actions import Spawn
from gitproc.daemon.config import Config
from gitproc.immutable import replaced
from gitproc.kernel.delegation import leaf_of
from gitproc.kernel.launch import LaunchContext, LogOutput
from gitproc.kernel.namespaces import missing_namespaces
from gitproc.kernel.process_manager import ProcessManager
from gitproc.kernel.resource_controller import ResourceController
from gitproc.kernel.shared_namespaces import SharedNamespaces
from gitproc.kernel.spaces import Spaces
from gitproc.kernel.spec_namespaces import granted
from gitproc.kernel.trash import Trash
from gitproc.units import directives as d
from gitproc.units import directives_sandbox as sandbox
from gitproc.units import directives_unit as u
from gitproc.units.seats import other_seat
from gitproc.units.service_types import Update
from gitproc.units.specifiers import Host
from gitproc.units.unit import Unit

if TYPE_CHECKING:
    from gitproc.kernel.process_manager import Held

TREES = "trees"


class Surroundings:
    """Those of one manager."""

    def __init__(
        self,
        config: Config,
        host: Host,
        manager: ProcessManager,
        controller: ResourceController,
        trash: Trash,
    ) -> None:
        self._config = config
        self._controller = controller
        self._log_dir = str(config.log_dir)
        self.base = LaunchContext(
            host=host,
            notify_socket=str(config.run_dir / "notify"),
            tree=str(config.state_dir / TREES / "current"),
            environment=dict(os.environ),
            privileged=os.geteuid() == 0,
            no_namespaces=missing_namespaces(),
            warn_isolation=config.on_missing_isolation == "warn",
            own=tuple(str(x) for x in (config.run_dir, config.state_dir, config.log_dir)),
            covers=str(config.run_dir / "inaccessible"),
        )
        tag = hashlib.sha256(os.fsencode(config.run_dir)).hexdigest()[:8]
        self._spaces = Spaces(str(config.run_dir / "spaces"), tag, trash=trash)
        self._namespaces = SharedNamespaces(manager)
        self._spaces.on_empty = self._namespaces.drop

    def of(
        self, action: Spawn, log: str, warnings: list[str]
    ) -> tuple[LaunchContext, list[tuple[str, int]]]:
        """The context of a launch, and the namespaces (kind, descriptor) its process joins.

        `log`: its file's name. LaunchError: what the instance shares cannot be made.
        """
        unit = action.unit
        leaf = leaf_of(unit, action.process.slot, action.command)
        paths = self._controller.paths(unit.name, leaf)
        logs = self._config.logs
        # Strings, not paths: pathlib would keep each name for good among the interned ones.
        output = LogOutput(f"{self._log_dir}/{log}.log", logs.max_bytes, logs.files)
        context = replaced(self.base, cgroup=paths.directory, cgroup_procs=paths.procs, log=output)
        kinds = _shared(unit)
        own_tmp = unit[sandbox.PRIVATE_TMP] == "yes"
        if not kinds and not own_tmp:
            return context, []
        invocation = action.process.invocation
        space = self._spaces.enter(unit.name, invocation, _joined(unit), first=action.first)
        if own_tmp and granted("mnt", context, []):
            context = replaced(context, private_tmp=self._spaces.folders(space))
        given = [kind for kind in kinds if granted(kind, context, warnings)]
        return context, [(kind, self._namespaces.of(space, kind)) for kind in given]

    def leave(self, unit: str) -> list[str]:
        """The unit has ended; what of it could not be removed, one sentence each."""
        return self._spaces.leave(unit)

    def take_over(self, rows: Held, fds: list[int]) -> tuple[Held, list[int]]:
        """Take what the shim holds for spaces; the rest of it."""
        rest = self._namespaces.restore(rows, fds)
        self._namespaces.keep(self._spaces.living)
        return rest

    def sweep(self, running: Mapping[str, Unit]) -> None:
        """Once it is known what runs: what is left of others goes."""
        self._spaces.sweep({seat: _joined(unit) for seat, unit in running.items()})


def _joined(unit: Unit) -> list[str]:
    """The seats whose space an instance shares: of the units that it joins, and of the one beside it."""
    names: tuple[str, ...] = unit[u.JOINS_NAMESPACE_OF]
    seats = [*names, *(other_seat(name) for name in names if name.endswith(".service"))]
    return [other_seat(unit.name), *seats] if unit[d.UPDATE] is Update.OVERLAP else seats


def _shared(unit: Unit) -> Iterable[str]:
    kinds = []
    if unit[sandbox.PRIVATE_NETWORK] and not unit[sandbox.NETWORK_NAMESPACE_PATH]:
        kinds.append("net")
    if unit[sandbox.PRIVATE_IPC] and not unit[sandbox.IPC_NAMESPACE_PATH]:
        kinds.append("ipc")
    return kinds
