"""The child between fork and exec: systemd's set-up order, systemd's exit statuses, one way out.

Every path ends in exec or `os._exit`: a child that unwound into the main loop would be a second shim.
A step that fails is reported as (step, errno, text) over a close-on-exec pipe whose end-of-file without
a report means that exec succeeded; the exit status is that of systemd.exec(5), "Process exit codes".
"""

from __future__ import annotations

import errno
import os
import resource

from gitproc.shim import directories, process
from gitproc.shim.protocol import encode

TYPE_CHECKING = False  # `typing` and `collections` stay out of this process
if TYPE_CHECKING:
    from typing import Any, NoReturn

    Spec = dict[str, Any]

STATUS = {
    "CHDIR": 200, "NICE": 201, "FDS": 202, "EXEC": 203, "LIMITS": 205, "OOM_ADJUST": 206,
    "SIGNAL_MASK": 207, "STDIN": 208, "STDOUT": 209, "CHROOT": 210, "GROUP": 216, "USER": 217,
    "CGROUP": 219, "SETSID": 220, "STDERR": 222, "NAMESPACE": 226, "NO_NEW_PRIVILEGES": 227,
    "RUNTIME_DIRECTORY": 233, "STATE_DIRECTORY": 238, "CACHE_DIRECTORY": 239, "LOGS_DIRECTORY": 240,
    "CONFIGURATION_DIRECTORY": 241, "EXCEPTION": 255,
}  # fmt: skip


class Host:
    """What the shim changed for itself and gives back in each child."""

    __slots__ = ("altered_signals", "nofile", "null", "oom_lowered")

    def __init__(self, nofile: tuple[int, int], null: int, oom_lowered: bool) -> None:
        self.nofile = nofile
        self.null = null
        self.oom_lowered = oom_lowered
        self.altered_signals = process.altered_signals()


class _Setup:
    def __init__(self, spec: Spec, report: int, host: Host) -> None:
        self.spec = spec
        self.report = report
        self.host = host
        self.step = "EXCEPTION"

    def warn(self, text: str) -> None:
        os.write(self.report, encode(("warning", text)))

    def perform(self, fds: list[int]) -> None:
        spec = self.spec
        self.step = "SIGNAL_MASK"
        process.default_signals(self.host.altered_signals)
        self.step = "SETSID"
        os.setsid()
        self.step = "FDS"
        self._place(fds)
        self.step = "CGROUP"
        for path in spec.get("cgroup_procs", ()):
            process.write_small(path, "0")
        self._scheduling()
        os.umask(spec.get("umask", 0o022))
        for self.step, path, mode, uid, gid in spec.get("directories", ()):
            directories.make(path, mode, uid, gid)
        self.step = "GROUP"
        uid, gid, groups = spec.get("uid", -1), spec.get("gid", -1), spec.get("groups")
        if (
            os.geteuid() == 0
        ):  # an ordinary user's manager cannot drop groups, and its uid is checked below
            if groups is not None:
                os.setgroups(groups)
            elif gid >= 0 or uid > 0:
                os.setgroups([])
        if gid >= 0 and (gid, gid, gid) != os.getresgid():
            os.setresgid(gid, gid, gid)
        self.step = "NAMESPACE"
        if spec.get("pid_namespace") == "direct" and spec.get("mount_proc", True):
            mount_private_proc()
        self.step = "LIMITS"
        self._limits()
        self.step = "CHROOT"
        if spec.get("chroot"):
            os.chroot(spec["chroot"])
            os.chdir("/")
        self.step = "USER"
        if uid >= 0 and (uid, uid, uid) != os.getresuid():
            os.setresuid(uid, uid, uid)
        self.step = "CHDIR"
        self._change_directory()
        self.step = "NO_NEW_PRIVILEGES"
        if spec.get("no_new_privs"):
            process.no_new_privileges()
        if spec.get("ignore_sigpipe", True):
            process.ignore_signals(13)
        process.unblock_signals()
        self.step = "EXEC"
        self._execute()

    def _place(self, fds: list[int]) -> None:
        count = len(fds)
        fds = [_above(fd, count) for fd in fds]
        self.report = _above(self.report, count)
        for target, fd in enumerate(fds):
            os.dup2(fd, target)

    def _scheduling(self) -> None:
        self.step = "OOM_ADJUST"
        adjust = self.spec.get("oom_score_adjust", 0 if self.host.oom_lowered else None)
        if adjust is not None:
            try:
                process.write_small("/proc/self/oom_score_adj", str(adjust))
            except PermissionError:
                self.warn(f"OOM score adjustment {adjust} is not permitted here")
        self.step = "NICE"
        if "nice" in self.spec:
            os.setpriority(os.PRIO_PROCESS, 0, self.spec["nice"])

    def _limits(self) -> None:
        limits = {resource.RLIMIT_NOFILE: self.host.nofile}
        for kind, soft, hard in self.spec.get("rlimits", ()):
            limits[kind] = (soft, hard)
        for kind, (soft, hard) in limits.items():
            try:
                resource.setrlimit(kind, (soft, hard))
            except (ValueError, PermissionError):  # not privileged: as far as the hard limit allows
                top = resource.getrlimit(kind)[1]
                resource.setrlimit(kind, (_least(soft, top), _least(hard, top)))

    def _change_directory(self) -> None:
        try:
            os.chdir(self.spec.get("cwd") or "/")
        except OSError:
            if not self.spec.get("cwd_optional"):
                raise
            os.chdir("/")

    def _execute(self) -> None:
        environment = {}
        for entry in self.spec.get("env", ()):
            name, equals, value = _raw(entry).partition(b"=")
            if equals and name:
                environment[name] = value
        for entry in self.spec.get("pid_env", ()):
            environment[_raw(entry)] = b"%d" % os.getpid()
        os.execve(_raw(self.spec["path"]), [_raw(a) for a in self.spec["argv"]], environment)


def run(spec: Spec, fds: list[int], report: int, host: Host) -> NoReturn:
    """Become the service. `fds` are placed at 0, 1, 2 ...; called in the child, with all signals blocked."""
    setup = _Setup(spec, report, host)
    status = STATUS["EXCEPTION"]
    try:
        setup.perform(fds)
    except BaseException as error:
        status = STATUS.get(setup.step, status)
        report_failure(setup.report, setup.step, error)
    finally:
        os._exit(status)


def report_failure(report: int, step: str, error: BaseException) -> None:
    """Tell the shim which step failed and why."""
    number = getattr(error, "errno", None) or errno.EINVAL
    text = str(error) if not isinstance(error, OSError) else os.strerror(number)
    name = getattr(error, "filename", None)
    if isinstance(name, bytes):
        name = name.decode("utf-8", "replace")
    if name:
        text = f"{name}: {text}"
    os.write(report, encode(("failed", step, number, text[:3000])))


def mount_private_proc() -> None:
    """A /proc of this PID namespace, seen by nobody outside; OSError if refused."""
    process.mount(None, "/", None, process.MS_REC | process.MS_SLAVE)
    flags = process.MS_NOSUID | process.MS_NODEV | process.MS_NOEXEC
    process.mount("proc", "/proc", "proc", flags)


def _above(fd: int, count: int) -> int:
    return process.duplicate_above(fd, count) if fd < count else fd


def _least(value: int, top: int) -> int:
    if top < 0:
        return value
    return top if value < 0 else min(value, top)


def _raw(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
