"""The child between fork and exec: systemd's set-up order, systemd's exit statuses, one way out.

What a child does is planned before the fork, as a list of calls: it then runs few lines of Python, and each
page of the shim's memory that it does not touch is one that need not be copied. A set-up step that a spec does
not ask for is not in its plan.

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
    utmp,
)
from gitproc.shim.setup import STATUS, Host, Setup, report_failure

TYPE_CHECKING = False  # `typing` and `collections` stay out of this process
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, NoReturn

    from gitproc.shim.setup import Call, Spec

    Planner = Callable[[Setup], list[Call]]
    Asked = Callable[[Spec], bool]

__all__ = [
    "STATUS", "STEPS", "Host", "Plan", "Setup", "mount_private_proc", "perform", "plan",
    "report_failure", "run",
]  # fmt: skip

_SIGPIPE = 13


class Plan:
    """`calls`: (step, function, arguments), in the order in which they are made."""

    __slots__ = ("calls", "setup")

    def __init__(self, setup: Setup, calls: list[tuple[str, Callable[..., Any], tuple[Any, ...]]]):
        self.setup = setup
        self.calls = calls


def plan(spec: Spec, fds: list[int], report: int, host: Host, *, handled: bool = True) -> Plan:
    """What a child by this spec will do. `fds` are placed at 0, 1, 2 ...

    `handled`: it begins with the signal handlers of its parent, rather than with none.
    """
    setup = Setup(spec, fds, report, host, handled=handled)
    calls: list[tuple[str, Callable[..., Any], tuple[Any, ...]]] = []
    for step, asked, perform in _PLAIN_STEPS if _PLAIN_KEYS.issuperset(spec) else STEPS:
        if asked is not None:
            if _asks(spec, asked) if isinstance(asked, frozenset) else asked(spec):
                calls.append((step, perform, (setup,)))
            continue
        try:
            calls += [(step, function, arguments) for function, arguments in perform(setup)]
        except Exception as error:
            calls.append((step, _fail, (error,)))  # where it would have come to light
    return Plan(setup, calls)


def perform(plan: Plan) -> NoReturn:
    """Become the service; called in the child, with all signals blocked."""
    setup = plan.setup
    try:
        for setup.step, function, arguments in plan.calls:
            function(*arguments)
    except BaseException as error:
        report_failure(setup.report, setup.step, error)
    finally:
        os._exit(STATUS.get(setup.step, STATUS["EXCEPTION"]))


def run(spec: Spec, fds: list[int], report: int, host: Host) -> NoReturn:
    """Plan and perform in the child itself, which has the shim's signal handlers."""
    try:
        made = plan(spec, fds, report, host)
    except BaseException as error:
        report_failure(report, "EXCEPTION", error)
        os._exit(STATUS["EXCEPTION"])
    perform(made)


def _fail(error: Exception) -> NoReturn:
    raise error


def _usual_signals(setup: Setup) -> list[Call]:
    """From here on a signal ends the child, as it would end the program: an open that blocks can be stopped."""
    host = setup.host
    altered = host.altered_signals if setup.handled else host.ignored_signals
    ignored = [_SIGPIPE] if setup.spec.get("ignore_sigpipe", True) else []
    calls: list[Call] = []
    if setup.handled or altered != ignored:
        calls = [(process.default_signals, (altered,)), (process.ignore_signals, (*ignored,))]
    return [*calls, (process.unblock_signals, ())]


def _new_session(_: Setup) -> list[Call]:
    return [(os.setsid, ())]


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


def _umask(setup: Setup) -> list[Call]:
    return [(os.umask, (setup.spec.get("umask", 0o022),))]


def _proc_of_the_namespace(setup: Setup) -> None:
    if setup.spec.get("pid_namespace") == "direct" and setup.spec.get("mount_proc", True):
        mount_private_proc()


def _change_root(setup: Setup) -> None:
    os.chroot(setup.spec["chroot"])
    os.chdir("/")


def _change_directory(setup: Setup) -> list[Call]:
    path = setup.spec.get("cwd") or "/"
    if setup.spec.get("cwd_optional") and path != "/":
        return [(_change_directory_if_there, (path,))]
    return [(os.chdir, (path,))]


def _change_directory_if_there(path: str) -> None:
    try:
        os.chdir(path)
    except OSError:
        os.chdir("/")


def _personality(setup: Setup) -> None:
    process.set_personality(setup.spec["personality"])


def _execute(setup: Setup) -> list[Call]:
    spec, environment = setup.spec, {}
    for entry in spec.get("env", ()):
        name, equals, value = _raw(entry).partition(b"=")
        if equals and name:
            environment[name] = value
    own = [_raw(entry) for entry in spec.get("pid_env", ())]
    path, argv = _raw(spec["path"]), [_raw(a) for a in spec["argv"]]
    return [(_become, (setup, path, argv, environment, own))]


def _become(
    setup: Setup, path: bytes, argv: list[bytes], environment: dict[bytes, bytes], own: list[bytes]
) -> None:
    for name in own:
        environment[name] = b"%d" % os.getpid()
    if setup.spec.get("seccomp"):
        filters.load(setup, path)
    os.execve(path, argv, environment)


def _asks(spec: Spec, keys: frozenset[str]) -> bool:
    return not keys.isdisjoint(spec) and any(spec.get(key) not in _NOTHING for key in keys)


def _keys(*keys: str) -> frozenset[str]:
    return frozenset(keys)


_NOTHING: tuple[Any, ...] = (None, "", [], ())

STEPS: tuple[tuple[str, Asked | frozenset[str] | None, Callable[[Setup], Any]], ...] = (
    ("SIGNAL_MASK", None, _usual_signals),
    ("SETSID", None, _new_session),
    ("NETWORK", _keys("join_fds"), namespaces.join_given),
    ("FDS", None, streams.place),
    ("CGROUP", _keys("cgroup_procs"), _join_cgroups),
    ("STDIN", _keys("terminal"), terminals.before),
    ("STDIN", streams.has_input, streams.open_input),
    ("STDOUT", streams.has_output, streams.open_output),
    ("STDERR", streams.has_error, streams.open_error),
    ("OOM_ADJUST", None, scheduling.oom_score),
    ("LIMITS", _keys("coredump_filter"), memory.dump_filter),
    ("SETSCHEDULER", _keys("scheduling"), scheduling.policy),
    ("NICE", _keys("nice"), scheduling.niceness),
    ("CPUAFFINITY", _keys("cpus"), scheduling.affinity),
    ("NUMA_POLICY", _keys("numa"), memory.nodes),
    ("IOPRIO", _keys("io_priority"), scheduling.io_priority),
    ("TIMERSLACK", _keys("timer_slack"), scheduling.timer_slack),
    ("PERSONALITY", _keys("personality"), _personality),
    ("STDIN", _keys("utmp"), utmp.begin),
    ("STDIN", streams.has_input, streams.own_terminal),
    ("RUNTIME_DIRECTORY", _keys("moves", "directories", "links"), _make_directories),
    ("CREDENTIALS", _keys("credentials"), credentials.give),
    ("EXCEPTION", None, _umask),
    ("KEYRING", None, keyring.join),
    ("LIMITS", None, resource_limits.apply),
    ("NETWORK", _keys("join_paths", "own_cgroups"), namespaces.enter),
    ("NAMESPACE", _keys("pid_namespace"), _proc_of_the_namespace),
    ("NAMESPACE", _keys("mounts"), mounts.build),
    ("NAMESPACE", _keys("own_host_name"), namespaces.own_host_name),
    ("GROUP", _keys("uid", "gid", "groups"), identity.take_groups),
    ("USER", _keys("own_users"), namespaces.own_users),
    ("KSM", _keys("memory_ksm"), scheduling.merge_pages),
    ("CAPABILITIES", _keys("bounding"), capabilities.bound),
    ("CAPABILITIES", _keys("ambient"), capabilities.hand_on),
    ("CHROOT", _keys("chroot"), _change_root),
    ("USER", _keys("ambient", "secure_bits"), capabilities.keep_over_change),
    ("USER", _keys("uid"), identity.take_user),
    ("CAPABILITIES", _keys("ambient"), capabilities.hand_on_again),
    ("CHDIR", None, _change_directory),
    ("SECUREBITS", _keys("ambient", "secure_bits"), capabilities.secure_bits),
    ("NO_NEW_PRIVILEGES", _keys("no_new_privs"), capabilities.no_new_privileges),
    ("SECCOMP", _keys("no_new_code"), memory.no_new_code),
    ("EXEC", None, _execute),
)
"""In this order: the step that is reported when it fails; the keys of a spec that ask for it, or who can tell; what
the child then does. Where the second is None the third is asked, before the fork, for the calls that the child is
to make.
"""
_PLAIN_STEPS = tuple(row for row in STEPS if not isinstance(row[1], frozenset))
_PLAIN_KEYS = frozenset((
    "path", "argv", "env", "pid_env", "cwd", "cwd_optional", "umask", "ignore_sigpipe", "keyring", "rlimits",
    "oom_score_adjust", "seccomp", "cgroup", "stdin", "output", "error", "fds",
))  # fmt: skip


def mount_private_proc() -> None:
    """A /proc of this PID namespace, seen by nobody outside; OSError if refused."""
    process.mount(None, "/", None, process.MS_REC | process.MS_SLAVE)
    flags = process.MS_NOSUID | process.MS_NODEV | process.MS_NOEXEC
    process.mount("proc", "/proc", "proc", flags)


def _raw(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
