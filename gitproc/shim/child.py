"""The child between fork and exec: systemd's set-up order, systemd's exit statuses, one way out.

Every path ends in exec or `os._exit`: a child that unwound into the main loop would be a second shim.
A step that fails is reported as (step, errno, text) over a close-on-exec pipe whose end-of-file without
a report means that exec succeeded. The order is that of systemd's exec_invoke().
"""

from __future__ import annotations

import os

from gitproc.shim import (
    capabilities,
    credentials,
    directories,
    filters,
    identity,
    keyring,
    memory,
    mounts,
    namespaces,
    process,
    resource_limits,
    scheduling,
    streams,
    terminals,
)
from gitproc.shim.setup import STATUS, Host, Setup, report_failure

TYPE_CHECKING = False  # `typing` and `collections` stay out of this process
if TYPE_CHECKING:
    from typing import NoReturn

    from gitproc.shim.setup import Spec

__all__ = ["STATUS", "STEPS", "Host", "Setup", "mount_private_proc", "report_failure", "run"]


def run(spec: Spec, fds: list[int], report: int, host: Host) -> NoReturn:
    """Become the service. `fds` are placed at 0, 1, 2 ...; called in the child, with all signals blocked."""
    setup = Setup(spec, fds, report, host)
    try:
        for setup.step, perform in STEPS:
            perform(setup)
    except BaseException as error:
        report_failure(setup.report, setup.step, error)
    finally:
        os._exit(STATUS.get(setup.step, STATUS["EXCEPTION"]))


def _usual_signals(setup: Setup) -> None:
    """From here on a signal ends the child, as it would end the program: an open that blocks can be stopped."""
    process.default_signals(setup.host.altered_signals)
    if setup.spec.get("ignore_sigpipe", True):
        process.ignore_signals(13)
    process.unblock_signals()


def _new_session(_: Setup) -> None:
    os.setsid()


def _join_cgroups(setup: Setup) -> None:
    for path in setup.spec.get("cgroup_procs", ()):
        process.write_small(path, "0")


def _make_directories(setup: Setup) -> None:
    for step, source, target in setup.spec.get("moves", ()):
        setup.step = step
        directories.move(source, target)
    for step, path, mode, uid, gid in setup.spec.get("directories", ()):
        setup.step = step
        directories.make(path, mode, uid, gid, keep_mode=step == "CONFIGURATION_DIRECTORY")
    for step, target, path in setup.spec.get("links", ()):
        setup.step = step
        directories.link(target, path)


def _umask(setup: Setup) -> None:
    os.umask(setup.spec.get("umask", 0o022))


def _proc_of_the_namespace(setup: Setup) -> None:
    if setup.spec.get("pid_namespace") == "direct" and setup.spec.get("mount_proc", True):
        mount_private_proc()


def _change_root(setup: Setup) -> None:
    if setup.spec.get("chroot"):
        os.chroot(setup.spec["chroot"])
        os.chdir("/")


def _change_directory(setup: Setup) -> None:
    try:
        os.chdir(setup.spec.get("cwd") or "/")
    except OSError:
        if not setup.spec.get("cwd_optional"):
            raise
        os.chdir("/")


def _personality(setup: Setup) -> None:
    if "personality" in setup.spec:
        process.set_personality(setup.spec["personality"])


def _execute(setup: Setup) -> None:
    spec, environment = setup.spec, {}
    for entry in spec.get("env", ()):
        name, equals, value = _raw(entry).partition(b"=")
        if equals and name:
            environment[name] = value
    for entry in spec.get("pid_env", ()):
        environment[_raw(entry)] = b"%d" % os.getpid()
    path, argv = _raw(spec["path"]), [_raw(a) for a in spec["argv"]]
    filters.load(setup, path)
    os.execve(path, argv, environment)


STEPS = (
    ("SIGNAL_MASK", _usual_signals),
    ("SETSID", _new_session),
    ("NETWORK", namespaces.join_given),
    ("FDS", streams.place),
    ("CGROUP", _join_cgroups),
    ("STDIN", terminals.before),
    ("STDIN", streams.open_input),
    ("STDOUT", streams.open_output),
    ("STDERR", streams.open_error),
    ("OOM_ADJUST", scheduling.oom_score),
    ("LIMITS", memory.dump_filter),
    ("SETSCHEDULER", scheduling.policy),
    ("NICE", scheduling.niceness),
    ("CPUAFFINITY", scheduling.affinity),
    ("NUMA_POLICY", memory.nodes),
    ("IOPRIO", scheduling.io_priority),
    ("TIMERSLACK", scheduling.timer_slack),
    ("PERSONALITY", _personality),
    ("STDIN", streams.own_terminal),
    ("RUNTIME_DIRECTORY", _make_directories),
    ("CREDENTIALS", credentials.give),
    ("EXCEPTION", _umask),
    ("KEYRING", keyring.join),
    ("LIMITS", resource_limits.apply),
    ("NETWORK", namespaces.enter),
    ("NAMESPACE", _proc_of_the_namespace),
    ("NAMESPACE", mounts.build),
    ("NAMESPACE", namespaces.own_host_name),
    ("GROUP", identity.take_groups),
    ("USER", namespaces.own_users),
    ("KSM", scheduling.merge_pages),
    ("CAPABILITIES", capabilities.bound),
    ("CAPABILITIES", capabilities.hand_on),
    ("CHROOT", _change_root),
    ("USER", capabilities.keep_over_change),
    ("USER", identity.take_user),
    ("CAPABILITIES", capabilities.hand_on_again),
    ("CHDIR", _change_directory),
    ("SECUREBITS", capabilities.secure_bits),
    ("NO_NEW_PRIVILEGES", capabilities.no_new_privileges),
    ("EXEC", _execute),
)
"""What is done, in this order: (step that is reported when it fails, function)."""


def mount_private_proc() -> None:
    """A /proc of this PID namespace, seen by nobody outside; OSError if refused."""
    process.mount(None, "/", None, process.MS_REC | process.MS_SLAVE)
    flags = process.MS_NOSUID | process.MS_NODEV | process.MS_NOEXEC
    process.mount("proc", "/proc", "proc", flags)


def _raw(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
