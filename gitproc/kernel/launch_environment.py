"""The environment a command starts with, put together in systemd's order (systemd.exec(5)).

Units inherit nothing of the manager's own but LANG and what PassEnvironment= names. Later sources win:
the fixed base, what the manager says, the account, the unit's directories, ExecSearchPath=,
PassEnvironment=, Environment=, EnvironmentFile= (read anew at each start); UnsetEnvironment= comes last.
"""

from __future__ import annotations

import glob
import os
from functools import cache

from gitproc.core.events import Process, Slot
from gitproc.kernel import safe_path
from gitproc.kernel.accounts import Account
from gitproc.kernel.dynamic_users import PRIVATE, is_dynamic
from gitproc.kernel.launch import LaunchContext, LaunchError
from gitproc.kernel.spec_credentials import folder_of, has_credentials
from gitproc.units import directives as d
from gitproc.units import directives_exec as e
from gitproc.units import directives_exec_streams as streams
from gitproc.units.directive import Directive
from gitproc.units.environment import parse_environment_file
from gitproc.units.own_directories import OwnDirectory
from gitproc.units.service_types import NotifyAccess, Preserve
from gitproc.units.unit import Unit
from gitproc.units.values import EnvFile

OWN_PID = "SYSTEMD_EXEC_PID"
"""The variable that the child sets to its own pid, unless the unit has it say something else."""

_FILE_BYTES_MAX = 4 << 20
#: Of files that an ordinary user wrote: parsing takes the manager a second a megabyte.
_THEIR_BYTES_MAX = 128 << 10
_FILES_MAX = 100  # that match one pattern
_NULL = os.makedev(1, 3)  # /dev/null
_SEARCH_PATH = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin")
#: What an ordinary user's services need of the session to reach it.
_USER_VARIABLES = ("XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS")

#: Variable that names them, Directive, mode, attribute of Host, step in systemd's list of exit codes.
DIRECTORIES: tuple[tuple[Directive[tuple[OwnDirectory, ...]], Directive[int], str, str], ...] = (
    (d.RUNTIME_DIRECTORY, d.RUNTIME_DIRECTORY_MODE, "run", "RUNTIME_DIRECTORY"),
    (d.STATE_DIRECTORY, d.STATE_DIRECTORY_MODE, "state", "STATE_DIRECTORY"),
    (d.CACHE_DIRECTORY, d.CACHE_DIRECTORY_MODE, "cache", "CACHE_DIRECTORY"),
    (d.LOGS_DIRECTORY, d.LOGS_DIRECTORY_MODE, "logs", "LOGS_DIRECTORY"),
    (
        d.CONFIGURATION_DIRECTORY,
        d.CONFIGURATION_DIRECTORY_MODE,
        "config",
        "CONFIGURATION_DIRECTORY",
    ),
)
_DIRECTORY_KEYS = frozenset(row[0].key for row in DIRECTORIES)


@cache
def search_path() -> tuple[str, ...]:
    """Where unqualified command names are looked up, and what $PATH starts as."""
    if os.path.islink("/bin"):
        return _SEARCH_PATH
    return (*_SEARCH_PATH, "/sbin", "/bin")


def directory_rows(unit: Unit) -> list[int]:
    """The kinds of directories that a unit has, as indices into `DIRECTORIES`."""
    if _DIRECTORY_KEYS.isdisjoint(unit.values):
        return []  # nearly all
    return [row for row, (directive, *_) in enumerate(DIRECTORIES) if unit[directive]]


def directory_paths(unit: Unit, context: LaunchContext, row: int) -> list[str]:
    """The absolute paths of one kind of directories (`DIRECTORIES[row]`)."""
    directive, _, root, _ = DIRECTORIES[row]
    prefix = getattr(context.host, root)
    return list(dict.fromkeys(f"{prefix}/{own.path}" for own in unit[directive]))


def real_paths(unit: Unit, context: LaunchContext, row: int) -> list[str]:
    """Where the folders of one kind lie, if their paths are links to a place of a dynamic user."""
    paths = directory_paths(unit, context, row)
    if not is_private(unit, row):
        return paths
    prefix, root = getattr(context.host, DIRECTORIES[row][2]), private_root(context, row)
    return [f"{root}{path.removeprefix(prefix)}" for path in paths]


def directory_links(unit: Unit, context: LaunchContext, row: int) -> list[tuple[str, str]]:
    """The links to the folders of one kind: their paths, and where the folders lie."""
    directive, _, attribute, _ = DIRECTORIES[row]
    private, root = is_private(unit, row), getattr(context.host, attribute)
    found = []
    for own in unit[directive]:
        at = f"{private_root(context, row) if private else root}/{own.path}"
        if own.link:
            found.append((f"{root}/{own.link}", at))
        if private and not _lies_in_another(own.path, unit[directive]):
            found.append((f"{root}/{own.path}", at))
    return found


def _lies_in_another(path: str, others: tuple[OwnDirectory, ...]) -> bool:
    return any(path.startswith(f"{other.path}/") for other in others)


def private_root(context: LaunchContext, row: int) -> str:
    """The place of dynamic users for folders of one kind."""
    return f"{getattr(context.host, DIRECTORIES[row][2])}/{PRIVATE}"


def is_private(unit: Unit, row: int) -> bool:
    """Whether folders of one kind lie in a place that others cannot enter, as a dynamic user's number comes again.

    Not those of /run that go with the unit, nor the configuration, which is root's.
    """
    directive = DIRECTORIES[row][0]
    if directive is d.CONFIGURATION_DIRECTORY or not unit[directive] or not is_dynamic(unit):
        return False
    fleeting = unit[d.RUNTIME_DIRECTORY_PRESERVE] is Preserve.NO
    return not (directive is d.RUNTIME_DIRECTORY and fleeting)


def environment_of(
    unit: Unit,
    process: Process,
    context: LaunchContext,
    account: Account,
    variables: tuple[str, ...] = (),
    *,
    control: bool = False,
) -> dict[str, str]:
    """The complete environment of one command. LaunchError for a file that cannot be read.

    `control`: it is not the service itself, but what starts, stops or checks it.
    """
    env = {"PATH": ":".join(search_path())}
    _pass(env, context, ("LANG",))
    if not context.privileged:
        _pass(env, context, _USER_VARIABLES)
    if context.tree:
        env["GITPROC_TREE"] = context.tree
    if context.notify_socket and may_notify(unit, process.slot, control=control):
        env["NOTIFY_SOCKET"] = context.notify_socket
        if unit[d.FILE_DESCRIPTOR_STORE_MAX]:
            env["FDSTORE"] = str(unit[d.FILE_DESCRIPTOR_STORE_MAX])
    if unit[d.PID_FILE]:
        env["PIDFILE"] = unit[d.PID_FILE]
    _assign(env, variables)
    if account.user:
        env["USER"] = account.user
        if unit[e.SET_LOGIN_ENVIRONMENT] is not False:
            env["LOGNAME"] = account.user
            if account.home:
                env["HOME"] = account.home
            if account.shell:
                env["SHELL"] = account.shell
    env["INVOCATION_ID"] = process.invocation
    for row in directory_rows(unit):
        env[DIRECTORIES[row][3]] = ":".join(directory_paths(unit, context, row))
    if has_credentials(unit):
        env["CREDENTIALS_DIRECTORY"] = folder_of(unit, context)
    env[OWN_PID] = ""
    if _needs_terminal(unit):
        env["TERM"] = _terminal_type(unit[streams.TTY_PATH], context)
    folders = unit[e.EXEC_SEARCH_PATH]
    if folders:
        env["PATH"] = ":".join(folders)
    _pass(env, context, unit[d.PASS_ENVIRONMENT])
    _assign(env, unit[d.ENVIRONMENT])
    for file in unit[d.ENVIRONMENT_FILE]:
        env.update(_read(file))
    for entry in unit[d.UNSET_ENVIRONMENT]:
        name, equals, value = entry.partition("=")
        if not equals or env.get(name) == value:
            env.pop(name, None)
    return env


def may_notify(unit: Unit, slot: Slot, *, control: bool) -> bool:
    """Whether this process gets $NOTIFY_SOCKET (`NotifyAccess=`, which Type=notify raises to `main`)."""
    access = unit[d.NOTIFY_ACCESS]
    if not control:
        return access is not NotifyAccess.NONE
    return slot is Slot.CONTROL and access in (NotifyAccess.EXEC, NotifyAccess.ALL)


def _needs_terminal(unit: Unit) -> bool:
    ends = (unit[d.STANDARD_INPUT], unit[d.STANDARD_OUTPUT], unit[d.STANDARD_ERROR])
    return unit.has(streams.TTY_PATH) or any(end.is_terminal for end in ends)


def _terminal_type(path: str, context: LaunchContext) -> str:
    """What the container says of its console; `linux` for a virtual terminal, else a plain one."""
    if path == "/dev/console" and "TERM" in context.environment:
        return context.environment["TERM"]
    return "linux" if path.removeprefix("/dev/tty").isdecimal() else "vt220"


def _assign(env: dict[str, str], assignments: tuple[str, ...]) -> None:
    for assignment in assignments:
        name, _, value = assignment.partition("=")
        env[name] = value


def _pass(env: dict[str, str], context: LaunchContext, names: tuple[str, ...]) -> None:
    for name in names:
        if name in context.environment:
            env[name] = context.environment[name]


def _read(file: EnvFile) -> list[tuple[str, str]]:
    """The assignments of a file, or of all that match its pattern, in order of their names."""
    paths = [file.path]
    if glob.has_magic(file.path):
        paths = sorted(glob.glob(file.path))
        if not paths and not file.optional:
            raise LaunchError("ENVIRONMENT_FILE", f"no environment file matches {file.path}")
        if len(paths) > _FILES_MAX:
            raise LaunchError("ENVIRONMENT_FILE", f"{len(paths)} files match {file.path}")
    found = []
    for path in paths:
        try:
            found.extend(parse_environment_file(_text(path)))
        except FileNotFoundError as error:
            if not file.optional:
                raise LaunchError(
                    "ENVIRONMENT_FILE", f"environment file {path} does not exist"
                ) from error
        except (OSError, ValueError) as error:
            if not file.optional:
                why = error.strerror if isinstance(error, OSError) else error
                raise LaunchError(
                    "ENVIRONMENT_FILE", f"cannot read environment file {path}: {why}"
                ) from error
    return found


def _text(path: str) -> str:
    # Read as root: what a service's user put in the place of the file is not.
    found = safe_path.reach(path)
    try:
        if found.led_astray():
            raise ValueError(
                "a link on the way, made by an ordinary user, leads to a file of somebody else"
            )
        info = os.fstat(found.fd)
        most = _FILE_BYTES_MAX if info.st_uid in (0, os.geteuid()) else _THEIR_BYTES_MAX
        if not safe_path.is_regular(found.fd):
            if info.st_rdev == _NULL:
                return ""
            raise ValueError("it is not a regular file")
        fd = safe_path.reopen(found.fd)
    finally:
        os.close(found.fd)
    with open(fd, "rb") as file:
        raw = file.read(most + 1)
    if len(raw) > most:
        raise ValueError(f"it is larger than {most} bytes")
    return raw.decode("utf-8", "surrogateescape")
