"""Rows of the directive table for what a command finds when it runs: systemd.exec(5), without its sandbox."""

from __future__ import annotations

from typing import Any

from gitproc.units import (
    directives_exec_credentials,
    directives_exec_directories,
    directives_exec_limits,
    directives_exec_memory,
    directives_exec_scheduling,
    directives_exec_streams,
    directives_exec_terminal,
)
from gitproc.units.directive import Change, Directive, Specifiers, Support
from gitproc.units.environment import parse_assignments, parse_variable_names
from gitproc.units.rows import exactly, flag, known, one, several
from gitproc.units.values import (
    WorkDir,
    parse_boolean,
    parse_env_files,
    parse_mode,
    parse_path,
    parse_user_name,
    parse_work_dir,
)
from gitproc.units.words import split_words


def parse_groups(value: str) -> tuple[str, ...]:
    """Group names or numbers."""
    return tuple(parse_user_name(word) for word in split_words(value))


def parse_search_path(value: str) -> tuple[str, ...]:
    """Absolute folders, separated by colons."""
    return tuple(parse_path(part) for part in value.split(":") if part)


USER = one(
    "Service",
    "User",
    parse_user_name,
    "",
    "User, by name or number, that the commands run as; the manager's by default.",
    Change.RESTART,
    Specifiers.TEXT,
)
GROUP = one(
    "Service",
    "Group",
    parse_user_name,
    "",
    "Group that the commands run in; the user's own by default.",
    Change.RESTART,
    Specifiers.TEXT,
)
SUPPLEMENTARY_GROUPS = several(
    "Service", "SupplementaryGroups", parse_groups, "Further groups of the processes."
)
WORKING_DIRECTORY: Directive[WorkDir | None] = one(
    "Service",
    "WorkingDirectory",
    parse_work_dir,
    None,
    "Folder to start in (/); ~ is the home of User=, - in front: may be missing.",
    Change.RESTART,
    Specifiers.TEXT,
)
ENVIRONMENT = several(
    "Service",
    "Environment",
    parse_assignments,
    "Variables: NAME=value ...",
    Change.RESTART,
    Specifiers.ESCAPED,
)
ENVIRONMENT_FILE = several(
    "Service",
    "EnvironmentFile",
    parse_env_files,
    "File of variables, read before each start; - in front: may be missing.",
    Change.RESTART,
    Specifiers.TEXT,
)
PASS_ENVIRONMENT = several(
    "Service",
    "PassEnvironment",
    parse_variable_names,
    "Variables handed on from the manager.",
)
UNSET_ENVIRONMENT = several(
    "Service",
    "UnsetEnvironment",
    parse_variable_names,
    "Variables (NAME or NAME=value) taken out at the very end.",
)
SET_LOGIN_ENVIRONMENT: Directive[bool | None] = one(
    "Service",
    "SetLoginEnvironment",
    parse_boolean,
    None,
    "Set HOME, LOGNAME and SHELL; only with User= by default.",
)
EXEC_SEARCH_PATH = several(
    "Service",
    "ExecSearchPath",
    parse_search_path,
    "Where commands without a slash are looked up, separated by colons; also becomes $PATH.",
    Change.RESTART,
    Specifiers.WHOLE,
)
UMASK = one("Service", "UMask", parse_mode, 0o022, "File mode creation mask (0022).")
IGNORE_SIGPIPE = flag("Service", "IgnoreSIGPIPE", True, "Start with SIGPIPE ignored.")
PERMISSIONS_START_ONLY = flag(
    "Service",
    "PermissionsStartOnly",
    False,
    "Run all commands but ExecStart= as with the + prefix (old; use that prefix).",
)
REMOVE_IPC = flag(
    "Service",
    "RemoveIPC",
    False,
    "Remove System V and POSIX IPC objects of User= and Group= with their last service.",
    Change.LIVE,
)

KEYRING_MODE = one(
    "Service",
    "KeyringMode",
    exactly("inherit", "private", "shared"),
    "private",
    "Session keyring: a new one (private), with the user's linked in (shared), or the manager's.",
)

ROWS: tuple[Directive[Any], ...] = (
    USER,
    GROUP,
    SUPPLEMENTARY_GROUPS,
    WORKING_DIRECTORY,
    ENVIRONMENT,
    ENVIRONMENT_FILE,
    PASS_ENVIRONMENT,
    UNSET_ENVIRONMENT,
    SET_LOGIN_ENVIRONMENT,
    EXEC_SEARCH_PATH,
    UMASK,
    IGNORE_SIGPIPE,
    PERMISSIONS_START_ONLY,
    REMOVE_IPC,
    KEYRING_MODE,
    *directives_exec_scheduling.ROWS,
    *directives_exec_memory.ROWS,
    *directives_exec_streams.ROWS,
    *directives_exec_terminal.ROWS,
    *directives_exec_limits.LIMITS,
    *directives_exec_directories.ROWS,
    *directives_exec_credentials.ROWS,
    known(
        "Service",
        "PAMName",
        Support.RESTRICTS,
        "A PAM session, which may also set limits.",
    ),
    known("Service", "Capabilities", Support.NO_EFFECT, "Long gone from systemd."),
)
