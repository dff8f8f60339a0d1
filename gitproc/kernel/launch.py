"""What a launch needs besides the unit, what comes of compiling it, and how that can fail."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gitproc.errors import HostError
from gitproc.immutable import NamedTuple, field, immutable
from gitproc.units.specifiers import Host


class LaunchError(HostError):
    """A command cannot be started. `step` is systemd's name for where it failed (systemd.exec(5))."""

    def __init__(self, step: str, message: str) -> None:
        super().__init__(message, step=step)
        self.step = step


class LogOutput(NamedTuple):
    """Where output goes: an absolute path, rotated at `max_bytes` with `files` old ones kept."""

    path: str
    max_bytes: int
    files: int


@immutable
class LaunchContext:
    """The surroundings of a launch.

    `cgroup`: directory in the unified tree ("" without one), `cgroup_procs`: files of v1 groups to join.
    `log` None: output is lost. `notify_socket`, `tree`: paths ("" for none). `environment`: the manager's
    own, from which LANG and PassEnvironment= are taken. `privileged`: the manager is root.
    `no_namespaces`: kinds of namespace (`mnt`, `net` ...) that the host does not give, and why;
    `warn_isolation`: then run without one and say so, rather than fail. `own`: the manager's folders, which
    no unit may be given. `covers`: folder for what is shown in place of inaccessible paths; `private_tmp`:
    what the instance's /tmp and /var/tmp are.
    `first`: this is the first command of the instance. `fd_names`: names of the descriptors that go with
    the spawn, in their order.
    """

    host: Host
    cgroup: str = ""
    cgroup_procs: tuple[str, ...] = ()
    log: LogOutput | None = None
    notify_socket: str = ""
    tree: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    privileged: bool = True
    no_namespaces: Mapping[str, str] = field(default_factory=dict)
    warn_isolation: bool = False
    own: tuple[str, ...] = ()
    fd_names: tuple[str, ...] = ()
    covers: str = ""
    private_tmp: tuple[str, str] | None = None
    first: bool = True

    def is_own(self, path: str) -> bool:
        """Whether a folder is one of the manager's, lies in one, or holds one."""
        return any(f"{x}/".startswith(f"{path}/") or path.startswith(f"{x}/") for x in self.own)


class LaunchPlan(NamedTuple):
    """The shim's spec of the process, and what could not be done as asked, one sentence each."""

    spec: dict[str, Any]
    warnings: list[str]
