"""Compiling one command of a unit into the shim's spec: numbers and absolute paths, nothing to look up.

All policy ends here. The shim has no name service, no unit files and no opinions, so that whatever can
fail on the host fails here with a sentence, or in the child with systemd's name of the step.
"""

from __future__ import annotations

import os
import resource
from typing import Any

from gitproc.core.events import Process, Slot
from gitproc.kernel.accounts import Account, account_of, own_account
from gitproc.kernel.launch import LaunchContext, LaunchError, LaunchPlan, LogOutput
from gitproc.kernel.launch_environment import (
    DIRECTORIES,
    OWN_PID,
    directory_links,
    directory_rows,
    environment_of,
    is_private,
    private_root,
    real_paths,
    search_path,
)
from gitproc.kernel.spec_credentials import credentials_of
from gitproc.kernel.spec_memory import memory_of
from gitproc.kernel.spec_namespaces import namespaces_of
from gitproc.kernel.spec_privileges import privileges_of
from gitproc.kernel.spec_scheduling import scheduling_of
from gitproc.kernel.spec_streams import streams_of
from gitproc.kernel.spec_terminal import terminal_of
from gitproc.units import directives as d
from gitproc.units import directives_exec as e
from gitproc.units.environment import expand_argv
from gitproc.units.service_types import ServiceType
from gitproc.units.unit import Unit
from gitproc.units.values import ExecCommand, Limit

__all__ = ["LaunchContext", "LaunchError", "LaunchPlan", "LogOutput", "compile_spec"]

_INFINITY = resource.RLIM_INFINITY
#: Linux's number where the standard library has none.
_LOCKS = 10
_LIMITS = frozenset(x.key for x in d.LIMITS)


def compile_spec(
    unit: Unit,
    command: ExecCommand,
    process: Process,
    context: LaunchContext,
    variables: tuple[str, ...] = (),
) -> LaunchPlan:
    """The shim's spec for `command`. `variables` (`MAINPID=...`) go into its environment.

    Reads users and environment files now, as each start must. LaunchError if that fails.
    """
    warnings: list[str] = []
    account = account_of(unit, context.privileged)
    named = account if account.user or not _login(unit, context) else own_account()
    control = _controls(unit, command, process)
    env = environment_of(unit, process, context, named, variables, control=control)
    as_manager = command.full_privileges or (
        unit[e.PERMISSIONS_START_ONLY] and process.slot is not Slot.MAIN
    )
    spec: dict[str, Any] = {
        "path": _executable(command.path, unit[e.EXEC_SEARCH_PATH] or search_path()),
        "argv": expand_argv(command, env),
        "umask": unit[d.UMASK],
        "ignore_sigpipe": unit[d.IGNORE_SIGPIPE],
        **streams_of(unit, process.slot, context),
        **scheduling_of(unit, context, warnings),
        **memory_of(unit),
        **terminal_of(unit, process.slot),
        **credentials_of(unit, context, account),
    }
    keyring = unit[e.KEYRING_MODE]
    if keyring != "inherit" and (context.privileged or unit.has(e.KEYRING_MODE)):
        spec["keyring"] = keyring
    own_pid = ["WATCHDOG_PID"] if _watched(variables) else []
    if env.get(OWN_PID) == "":
        del env[OWN_PID]
        own_pid.append(OWN_PID)
    if own_pid:
        spec["pid_env"] = own_pid  # known in the child alone
    spec["env"] = [f"{name}={value}" for name, value in env.items()]
    if not as_manager:
        spec.update(privileges_of(unit, context, warnings))
        spec["rlimits"] = [*spec.get("rlimits", ()), *_limits(unit, context, warnings)]
        if not command.keep_user:
            _identity(spec, account)
    _working_directory(spec, unit, named, context)
    _directories(spec, unit, context, account)
    if context.cgroup:
        spec["cgroup"] = context.cgroup
    if context.cgroup_procs:
        spec["cgroup_procs"] = list(context.cgroup_procs)
    spec.update(
        namespaces_of(
            unit, process.slot, context, warnings, confined=not as_manager, main=not control
        )
    )
    return LaunchPlan(spec, warnings)


def _login(unit: Unit, context: LaunchContext) -> bool:
    """Whether a command that runs as the manager's user is told who that is."""
    return bool(unit[e.SET_LOGIN_ENVIRONMENT]) or not context.privileged


def _watched(variables: tuple[str, ...]) -> bool:
    return any(each.startswith("WATCHDOG_USEC=") for each in variables)


def _controls(unit: Unit, command: ExecCommand, process: Process) -> bool:
    """Whether it is a control command; the parent that a forking service starts as is none."""
    forking = process.slot is Slot.CONTROL and unit[d.TYPE] is ServiceType.FORKING
    return process.slot is not Slot.MAIN and not (forking and command in unit[d.EXEC_START])


def _executable(path: str, folders: tuple[str, ...]) -> str:
    """An absolute path as it is; a bare name from ExecSearchPath=, or systemd's fixed search path."""
    if path.startswith("/"):
        return path
    for directory in folders:
        candidate = f"{directory}/{path}"
        if os.path.isfile(candidate) and os.access(candidate, os.X_OK):
            return candidate
    raise LaunchError("EXEC", f"cannot find the command {path} in {':'.join(folders)}")


def _identity(spec: dict[str, Any], account: Account) -> None:
    if account.uid >= 0:
        spec["uid"] = account.uid
    if account.gid >= 0:
        spec["gid"] = account.gid
    if account.groups or account.gid >= 0:
        spec["groups"] = list(account.groups)


def _working_directory(
    spec: dict[str, Any], unit: Unit, account: Account, context: LaunchContext
) -> None:
    wanted = unit[d.WORKING_DIRECTORY]
    spec["cwd"] = "/" if context.privileged else account.home or context.host.home
    if wanted is None:
        spec["cwd_optional"] = True  # a home that is not there is no reason to fail
        return
    spec["cwd"] = wanted.path
    if wanted.path == "~":
        spec["cwd"] = account.home or ("" if account.user else context.host.home)
    spec["cwd_optional"] = wanted.optional
    if not spec["cwd"]:
        if not wanted.optional:
            raise LaunchError("CHDIR", f"user {account.user} has no home directory")
        spec["cwd"] = "/"


def _limits(unit: Unit, context: LaunchContext, warnings: list[str]) -> list[list[int]]:
    found: list[list[int]] = []
    if _LIMITS.isdisjoint(unit.values):
        return found
    for directive in d.LIMITS:
        limit = unit[directive]
        if limit is None:
            continue
        name = directive.name.removeprefix("Limit")
        number: int = getattr(resource, f"RLIMIT_{name}", _LOCKS)
        top = _ceiling(number, context)
        capped = Limit(_least(limit.soft, top), _least(limit.hard, top))
        # For root, infinity means as much as there is, and that is no surprise.
        if capped != limit and not (context.privileged and -1 in limit):
            warnings.append(f"{directive}= is more than this host allows: {top} is used")
        found.append([number, capped.soft, capped.hard])
    return found


def _ceiling(number: int, context: LaunchContext) -> int:
    """The highest value that can be set (-1: any): root is stopped by fs.nr_open alone."""
    if not context.privileged:
        return _own_limit(number)[1]
    if number != resource.RLIMIT_NOFILE:
        return -1
    try:
        with open("/proc/sys/fs/nr_open", encoding="ascii") as file:
            return int(file.read())
    except (OSError, ValueError):
        return resource.getrlimit(number)[1]


def _own_limit(number: int) -> tuple[int, int]:
    try:
        return resource.getrlimit(number)
    except ValueError:
        return _INFINITY, _INFINITY


def _least(value: int, top: int) -> int:
    """The smaller limit, where -1, and what no C long can hold, is infinity."""
    value = -1 if value > (1 << 63) - 1 else value
    if top == -1:
        return value
    return top if value == -1 else min(value, top)


def _directories(
    spec: dict[str, Any], unit: Unit, context: LaunchContext, account: Account
) -> None:
    """What the shim makes before the command; ConfigurationDirectory= stays root's."""
    made: list[list[str | int]] = []
    links: list[list[str]] = []
    moves: list[list[str]] = []
    for row in directory_rows(unit):
        _, mode, attribute, step = DIRECTORIES[row]
        uid, gid = (-1, -1) if attribute == "config" else (account.uid, account.gid)
        root: str = getattr(context.host, attribute)
        private = is_private(unit, row)
        if private:
            made.append([step, private_root(context, row), 0o700, 0, 0])
        made += [[step, path, unit[mode], uid, gid] for path in real_paths(unit, context, row)]
        for path, at in directory_links(unit, context, row):
            links.append([step, os.path.relpath(at, os.path.dirname(path)), path])
            if private and at.removeprefix(private_root(context, row)) == path.removeprefix(root):
                moves.append([step, path, at])
    for step, path in [(str(x[0]), str(x[1])) for x in made] + [(x[0], x[2]) for x in links]:
        if context.is_own(path):
            raise LaunchError(step, f"{path} is the manager's own, and cannot be a service's")
    if made:
        spec["directories"] = made
    if links:
        spec["links"] = links
    if moves:
        spec["moves"] = moves
