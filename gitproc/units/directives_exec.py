"""Rows of the directive table for what a command finds when it runs: systemd.exec(5), without its sandbox."""

from __future__ import annotations

from typing import Any

from gitproc.units.directive import Change, Directive, Specifiers, Support
from gitproc.units.environment import parse_assignments, parse_variable_names
from gitproc.units.rows import exactly, flag, known, known_flag, one, one_of, several
from gitproc.units.service_types import Preserve
from gitproc.units.values import (
    Limit,
    WorkDir,
    parse_directories,
    parse_env_files,
    parse_limit,
    parse_mode,
    parse_nice,
    parse_oom_score_adjust,
    parse_user_name,
    parse_work_dir,
)
from gitproc.units.words import split_words

_OURS = ("journal", "journal+console", "syslog", "syslog+console", "kmsg", "kmsg+console")
_OUTPUTS = (*_OURS, "inherit", "null", "tty", "socket")
_OUTPUT_PREFIXES = ("file:", "append:", "truncate:", "fd:")


def parse_output(value: str) -> str:
    """Where output goes: `journal` (GitProc's log, under all its names), `inherit`, `null`, or as written."""
    if value in _OURS:
        return "journal"
    if value in _OUTPUTS or value.startswith(_OUTPUT_PREFIXES):
        return value
    raise ValueError(f"{value!r} is no output: journal, null, inherit, file:PATH ...")


def parse_input(value: str) -> str:
    """Where input comes from, as written; GitProc gives /dev/null."""
    inputs = ("null", "tty", "tty-force", "tty-fail", "data", "socket", "fd")
    if value in inputs or value.startswith(("file:", "fd:")):
        return value
    raise ValueError(f"{value!r} is no input: null, tty, socket, file:PATH ...")


def parse_groups(value: str) -> tuple[str, ...]:
    """Group names or numbers."""
    return tuple(parse_user_name(word) for word in split_words(value))


def parse_preserve(value: str) -> Preserve:
    """A boolean, or `restart`."""
    return Preserve(one_of("restart")(value))


def parse_folders(value: str) -> tuple[str, ...]:
    """Folders below a root such as /var/lib; ValueError for links and flags behind a colon."""
    folders = parse_directories(value)
    for folder in folders:
        if ":" in folder:
            raise ValueError(f"'{folder}': links and flags behind a colon are not supported yet")
    return folders


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
UMASK = one("Service", "UMask", parse_mode, 0o022, "File mode creation mask (0022).")
NICE = one("Service", "Nice", parse_nice, 0, "Nice level, -20 to 19.")
OOM_SCORE_ADJUST = one(
    "Service",
    "OOMScoreAdjust",
    parse_oom_score_adjust,
    0,
    "Bias of the kernel's OOM killer, -1000 (never) to 1000.",
)
IGNORE_SIGPIPE = flag("Service", "IgnoreSIGPIPE", True, "Start with SIGPIPE ignored.")
STANDARD_INPUT = one(
    "Service", "StandardInput", parse_input, "null", "Input: null; others are not supported yet."
)
STANDARD_OUTPUT = one(
    "Service",
    "StandardOutput",
    parse_output,
    "journal",
    "Output: journal (and syslog, kmsg: GitProc's log of the unit), inherit, null.",
    Change.RESTART,
    Specifiers.TEXT,
)
STANDARD_ERROR = one(
    "Service",
    "StandardError",
    parse_output,
    "inherit",
    "Error output: inherit (as StandardOutput=), journal, null.",
    Change.RESTART,
    Specifiers.TEXT,
)


def _limit(name: str, what: str) -> Directive[Limit | None]:
    def parse(value: str) -> Limit | None:
        return parse_limit(name, value)

    return one("Service", name, parse, None, f"{what}: SOFT[:HARD], infinity lifts it.")


LIMIT_CPU = _limit("LimitCPU", "CPU time")
LIMIT_FSIZE = _limit("LimitFSIZE", "Size of a written file")
LIMIT_DATA = _limit("LimitDATA", "Data segment")
LIMIT_STACK = _limit("LimitSTACK", "Stack")
LIMIT_CORE = _limit("LimitCORE", "Core dump")
LIMIT_RSS = _limit("LimitRSS", "Resident memory (the kernel ignores it)")
LIMIT_NOFILE = _limit("LimitNOFILE", "Open file descriptors")
LIMIT_AS = _limit("LimitAS", "Address space")
LIMIT_NPROC = _limit("LimitNPROC", "Processes of the user")
LIMIT_MEMLOCK = _limit("LimitMEMLOCK", "Locked memory")
LIMIT_LOCKS = _limit("LimitLOCKS", "File locks (the kernel ignores it)")
LIMIT_SIGPENDING = _limit("LimitSIGPENDING", "Queued signals of the user")
LIMIT_MSGQUEUE = _limit("LimitMSGQUEUE", "Bytes in message queues of the user")
LIMIT_NICE = _limit("LimitNICE", "Nice level that may be reached")
LIMIT_RTPRIO = _limit("LimitRTPRIO", "Real-time priority that may be reached")
LIMIT_RTTIME = _limit("LimitRTTIME", "CPU time in real-time scheduling without a pause")
LIMITS: tuple[Directive[Limit | None], ...] = (
    LIMIT_CPU,
    LIMIT_FSIZE,
    LIMIT_DATA,
    LIMIT_STACK,
    LIMIT_CORE,
    LIMIT_RSS,
    LIMIT_NOFILE,
    LIMIT_AS,
    LIMIT_NPROC,
    LIMIT_MEMLOCK,
    LIMIT_LOCKS,
    LIMIT_SIGPENDING,
    LIMIT_MSGQUEUE,
    LIMIT_NICE,
    LIMIT_RTPRIO,
    LIMIT_RTTIME,
)


def _directory(name: str, root: str) -> Directive[tuple[str, ...]]:
    doc = f"Folders below {root}, made at start and given to the user."
    return several("Service", name, parse_folders, doc)


def _mode(name: str) -> Directive[int]:
    return one("Service", name, parse_mode, 0o755, f"Mode of {name.removesuffix('Mode')}= (0755).")


RUNTIME_DIRECTORY = _directory("RuntimeDirectory", "/run")
STATE_DIRECTORY = _directory("StateDirectory", "/var/lib")
CACHE_DIRECTORY = _directory("CacheDirectory", "/var/cache")
LOGS_DIRECTORY = _directory("LogsDirectory", "/var/log")
CONFIGURATION_DIRECTORY = _directory("ConfigurationDirectory", "/etc")
RUNTIME_DIRECTORY_MODE = _mode("RuntimeDirectoryMode")
STATE_DIRECTORY_MODE = _mode("StateDirectoryMode")
CACHE_DIRECTORY_MODE = _mode("CacheDirectoryMode")
LOGS_DIRECTORY_MODE = _mode("LogsDirectoryMode")
CONFIGURATION_DIRECTORY_MODE = _mode("ConfigurationDirectoryMode")
RUNTIME_DIRECTORY_PRESERVE = one(
    "Service",
    "RuntimeDirectoryPreserve",
    parse_preserve,
    Preserve.NO,
    "Keep RuntimeDirectory= after a stop (yes), or only over a restart (restart).",
    Change.LIVE,
)

_UNENFORCED = {
    "CoredumpFilter": "Which memory goes into a core dump: the kernel's default stays.",
    "IOSchedulingClass": "I/O scheduling class: not set yet.",
    "IOSchedulingPriority": "I/O scheduling priority: not set yet.",
    "CPUSchedulingPolicy": "CPU scheduling policy: not set yet.",
    "CPUSchedulingPriority": "Real-time priority: not set yet.",
    "CPUAffinity": "Processors to run on: not set yet.",
    "NUMAPolicy": "NUMA memory policy: not set yet.",
    "NUMAMask": "NUMA nodes: not set yet.",
    "StandardInputText": "Text to give as input: /dev/null is given for now.",
    "StandardInputData": "Bytes to give as input: /dev/null is given for now.",
    "TTYPath": "Terminal of the service: none is opened yet.",
    "TTYRows": "Rows of the terminal: none is opened yet.",
    "TTYColumns": "Columns of the terminal: none is opened yet.",
    "LogLevelMax": "Least important level to log: everything is logged.",
    "LogFilterPatterns": "Patterns of lines to log: everything is logged.",
    "TimerSlackNSec": "Timer slack: not set yet.",
    "Personality": "Kernel personality: not set yet.",
    "PAMName": "PAM session to open: none is opened yet.",
    "ExecSearchPath": "Where commands without a slash are looked up: the fixed path is used.",
    "SetCredential": "Credential given in the unit: not handed over yet.",
    "SetCredentialEncrypted": "Encrypted credential given in the unit: not handed over yet.",
    "LoadCredential": "Credential read from a file: not handed over yet.",
    "LoadCredentialEncrypted": "Encrypted credential read from a file: not handed over yet.",
    "ImportCredential": "Credentials handed on from the manager: not handed over yet.",
}
_UNENFORCED_FLAGS = {
    "CPUSchedulingResetOnFork": "Reset the scheduling policy in children: not set yet.",
    "TTYReset": "Reset the terminal: none is opened yet.",
    "TTYVHangup": "Hang up the terminal: none is opened yet.",
    "TTYVTDisallocate": "Free the virtual terminal: none is opened yet.",
    "RemoveIPC": "Remove IPC objects of the user at stop: not removed yet.",
    "MemoryKSM": "Merge equal pages: not set yet.",
    "SetLoginEnvironment": "Set HOME, LOGNAME, SHELL without User=: not set yet.",
}
_NO_EFFECT = {
    "SyslogIdentifier": "Tag of log lines; each unit has a log of its own.",
    "SyslogFacility": "Facility of log lines; logs have no facilities.",
    "SyslogLevel": "Level of log lines; logs have no levels.",
    "SyslogLevelPrefix": "Read <N> in front of lines as level; lines are kept as written.",
    "LogRateLimitIntervalSec": "Window of the log's rate limit; nothing is dropped.",
    "LogRateLimitBurst": "Lines allowed by the log's rate limit; nothing is dropped.",
    "LogExtraFields": "Journal fields of log lines; logs have no fields.",
    "LogNamespace": "Journal instance; each unit has a log of its own.",
    "UtmpIdentifier": "Name in utmp; no terminal is opened.",
    "UtmpMode": "Kind of utmp record; no terminal is opened.",
    "Capabilities": "Long gone from systemd.",
}

ROWS: tuple[Directive[Any], ...] = (
    USER,
    GROUP,
    SUPPLEMENTARY_GROUPS,
    WORKING_DIRECTORY,
    ENVIRONMENT,
    ENVIRONMENT_FILE,
    PASS_ENVIRONMENT,
    UNSET_ENVIRONMENT,
    UMASK,
    NICE,
    OOM_SCORE_ADJUST,
    IGNORE_SIGPIPE,
    STANDARD_INPUT,
    STANDARD_OUTPUT,
    STANDARD_ERROR,
    *LIMITS,
    RUNTIME_DIRECTORY,
    RUNTIME_DIRECTORY_MODE,
    RUNTIME_DIRECTORY_PRESERVE,
    STATE_DIRECTORY,
    STATE_DIRECTORY_MODE,
    CACHE_DIRECTORY,
    CACHE_DIRECTORY_MODE,
    LOGS_DIRECTORY,
    LOGS_DIRECTORY_MODE,
    CONFIGURATION_DIRECTORY,
    CONFIGURATION_DIRECTORY_MODE,
    *(known("Service", n, Support.UNENFORCED, d) for n, d in _UNENFORCED.items()),
    *(known_flag("Service", n, Support.UNENFORCED, d) for n, d in _UNENFORCED_FLAGS.items()),
    known(
        "Service",
        "KeyringMode",
        Support.UNENFORCED,
        "Kernel keyring of the service: not set up yet.",
        exactly("inherit", "private", "shared"),
        "private",
    ),
    *(known("Service", n, Support.NO_EFFECT, d) for n, d in _NO_EFFECT.items()),
)
