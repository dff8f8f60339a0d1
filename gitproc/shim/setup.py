"""What the steps of a child's set-up share: the spec, the pipe for reports, what the shim altered for itself.

A step is a function of one `Setup` in a file of its idea; `child` has their order. A step that is planned gives
the calls that the child is to make. A step that fails raises OSError; its exit status is that of
systemd.exec(5), "Process exit codes".
"""

from __future__ import annotations

import errno
import os

from gitproc.shim import mount_calls, process
from gitproc.shim.protocol import encode

TYPE_CHECKING = False  # `typing` and `collections` stay out of this process
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Spec = dict[str, Any]
    Call = tuple[Callable[..., Any], tuple[Any, ...]]

STATUS = {
    "CHDIR": 200, "NICE": 201, "FDS": 202, "EXEC": 203, "LIMITS": 205, "OOM_ADJUST": 206,
    "SIGNAL_MASK": 207, "STDIN": 208, "STDOUT": 209, "CHROOT": 210, "IOPRIO": 211, "TIMERSLACK": 212,
    "SECUREBITS": 213, "SETSCHEDULER": 214, "CPUAFFINITY": 215, "GROUP": 216, "USER": 217,
    "CAPABILITIES": 218, "CGROUP": 219, "SETSID": 220, "STDERR": 222, "NETWORK": 225,
    "NAMESPACE": 226, "NO_NEW_PRIVILEGES": 227, "SECCOMP": 228, "PERSONALITY": 230, "ADDRESS_FAMILIES": 232,
    "RUNTIME_DIRECTORY": 233, "KEYRING": 237, "STATE_DIRECTORY": 238, "CACHE_DIRECTORY": 239,
    "LOGS_DIRECTORY": 240, "CONFIGURATION_DIRECTORY": 241, "NUMA_POLICY": 242, "CREDENTIALS": 243,
    "KSM": 245, "EXCEPTION": 255,
}  # fmt: skip


class Host:
    """What the shim changed for itself and gives back in each child."""

    __slots__ = ("altered_signals", "ignored_signals", "nofile", "null", "oom_lowered")

    def __init__(self, nofile: tuple[int, int], null: int, oom_lowered: bool) -> None:
        self.nofile = nofile
        self.null = null
        self.oom_lowered = oom_lowered
        self.note_signals()

    def note_signals(self) -> None:
        """See which signals have another disposition than the usual one, and which of those are ignored."""
        self.altered_signals, self.ignored_signals = process.altered_signals()


class Setup:
    """One child's set-up. `fds`: what is to be placed at 0, 1, 2 ...; `step`: the one under way.

    `handled`: the child has the signal handlers of the shim.
    """

    __slots__ = ("fds", "handled", "host", "report", "spec", "step")

    def __init__(
        self, spec: Spec, fds: list[int], report: int, host: Host, *, handled: bool = True
    ) -> None:
        self.spec = spec
        self.fds = fds
        self.report = report
        self.host = host
        self.handled = handled
        self.step = "EXCEPTION"

    def have_own(self, kind: int, what: str) -> bool:
        """A namespace of this process's own; whether there is one. OSError, unless it is to go without."""
        try:
            mount_calls.unshare(kind)
        except OSError as error:
            self.excuse(what, error)
            return False
        return True

    def excuse(self, what: str, error: OSError) -> None:
        """Go on without isolation, where the host's configuration says so; else OSError."""
        if not self.spec.get("lenient"):
            raise error
        self.warn(f"{what} are not isolated: {error.strerror}")

    def warn(self, text: str) -> None:
        """Say what could not be done as asked; the set-up goes on."""
        os.write(self.report, encode(("warning", text)))


def report_failure(report: int, step: str, error: BaseException) -> None:
    """Tell the shim which step failed and why."""
    number = getattr(error, "errno", None) or errno.EINVAL
    text = getattr(error, "strerror", None) or str(error)
    name = getattr(error, "filename", None)
    if isinstance(name, bytes):
        name = name.decode("utf-8", "replace")
    if name:
        text = f"{name}: {text}"
    os.write(report, encode(("failed", step, number, text[:3000])))
