"""Rows of the directive table that restrict a service: the sandbox of systemd.exec(5).

A unit that asks to be confined and is not would be worse than one that does not start, so what is not
enforced here is an error unless the host's configuration names it under `allow_unenforced`. Directives
that only make exceptions from such a restriction lose nothing while it is not there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from gitproc.units.access_lists import Rule
from gitproc.units.capabilities import parse_capabilities, parse_secure_bits
from gitproc.units.directive import Change, Directive, Specifiers, Support
from gitproc.units.mounts import (
    BindMount,
    EmptyMount,
    MarkedPath,
    parse_bind_mounts,
    parse_empty_mounts,
    parse_marked_paths,
)
from gitproc.units.restrictions import (
    parse_architecture,
    parse_architectures,
    parse_calls,
    parse_errno,
    parse_families,
    parse_namespaces,
)
from gitproc.units.rows import exactly, flag, known, known_flag, one, one_of, several
from gitproc.units.values import parse_boolean, parse_path

T = TypeVar("T")


def _flag(name: str, doc: str) -> Directive[bool]:
    return one("Service", name, parse_boolean, False, doc)


def _word(
    name: str,
    parse: Callable[[str], str],
    default: str,
    doc: str,
    specifiers: Specifiers = Specifiers.NONE,
) -> Directive[str]:
    return one("Service", name, parse, default, doc, Change.RESTART, specifiers)


def _list(
    name: str,
    parse: Callable[[str], tuple[T, ...]],
    doc: str,
    specifiers: Specifiers = Specifiers.WHOLE,
) -> Directive[tuple[T, ...]]:
    return several("Service", name, parse, doc, Change.RESTART, specifiers)


# -- namespaces --------------------------------------------------------------------------------------

PRIVATE_PIDS = flag(
    "Service",
    "PrivatePIDs",
    False,
    "Run in a PID namespace of its own, under a small init (not with Type=forking).",
)
PRIVATE_NETWORK = _flag(
    "PrivateNetwork",
    "A network namespace with loopback alone, and mounts with a /sys that shows it.",
)
PRIVATE_IPC = _flag("PrivateIPC", "System V and POSIX IPC of its own.")
PRIVATE_MOUNTS = _flag("PrivateMounts", "Mounts of its own; no: not for another network's /sys.")
PRIVATE_USERS = _word(
    "PrivateUsers",
    one_of("self", "identity", "full"),
    "no",
    "A user namespace of its own.",
)
PROTECT_HOSTNAME = _word(
    "ProtectHostname", one_of("private"), "no", "No change of the host's name."
)
NETWORK_NAMESPACE_PATH = _word(
    "NetworkNamespacePath",
    parse_path,
    "",
    "Network namespace to join; mounts as with PrivateNetwork=.",
    specifiers=Specifiers.TEXT,
)
IPC_NAMESPACE_PATH = _word(
    "IPCNamespacePath",
    parse_path,
    "",
    "IPC namespace to join.",
    specifiers=Specifiers.TEXT,
)

# -- what is seen of the file system -----------------------------------------------------------------

PRIVATE_TMP = _word("PrivateTmp", one_of("disconnected"), "no", "A /tmp and /var/tmp of its own.")
PRIVATE_DEVICES = _flag("PrivateDevices", "A /dev with pseudo devices alone.")
PROTECT_SYSTEM = _word("ProtectSystem", one_of("full", "strict"), "no", "System folders read-only.")
PROTECT_HOME = _word(
    "ProtectHome",
    one_of("read-only", "tmpfs"),
    "no",
    "Home folders hidden, or read-only.",
)
PROTECT_CONTROL_GROUPS = _word(
    "ProtectControlGroups",
    one_of("private", "strict"),
    "no",
    "The cgroup tree read-only.",
)
PROTECT_KERNEL_TUNABLES = _flag("ProtectKernelTunables", "/proc/sys, /sys and the like read-only.")
PROTECT_KERNEL_MODULES = _flag("ProtectKernelModules", "No loading of kernel modules.")
PROTECT_KERNEL_LOGS = _flag("ProtectKernelLogs", "No access to the kernel's log.")
PROTECT_CLOCK = _flag("ProtectClock", "No setting of clocks.")
PROTECT_PROC = _word(
    "ProtectProc",
    exactly("default", "noaccess", "invisible", "ptraceable"),
    "default",
    "Processes of other users hidden in /proc.",
)
PROC_SUBSET = _word("ProcSubset", exactly("all", "pid"), "all", "A /proc with processes alone.")
READ_WRITE_PATHS: Directive[tuple[MarkedPath, ...]] = _list(
    "ReadWritePaths",
    parse_marked_paths,
    "Exceptions from read-only paths.",
)
READ_ONLY_PATHS: Directive[tuple[MarkedPath, ...]] = _list(
    "ReadOnlyPaths", parse_marked_paths, "Paths made read-only."
)
INACCESSIBLE_PATHS: Directive[tuple[MarkedPath, ...]] = _list(
    "InaccessiblePaths", parse_marked_paths, "Paths made inaccessible."
)
EXEC_PATHS: Directive[tuple[MarkedPath, ...]] = _list(
    "ExecPaths",
    parse_marked_paths,
    "Exceptions from NoExecPaths=.",
)
NO_EXEC_PATHS: Directive[tuple[MarkedPath, ...]] = _list(
    "NoExecPaths", parse_marked_paths, "Paths below which nothing can be executed."
)
BIND_PATHS: Directive[tuple[BindMount, ...]] = _list(
    "BindPaths", parse_bind_mounts, "Paths to show elsewhere."
)
BIND_READ_ONLY_PATHS: Directive[tuple[BindMount, ...]] = _list(
    "BindReadOnlyPaths",
    parse_bind_mounts,
    "Paths to show elsewhere, read-only.",
)
TEMPORARY_FILE_SYSTEM: Directive[tuple[EmptyMount, ...]] = _list(
    "TemporaryFileSystem", parse_empty_mounts, "Paths covered by an empty file system."
)
ROOT_DIRECTORY = _word(
    "RootDirectory",
    parse_path,
    "",
    "Another root.",
    Specifiers.TEXT,
)
MOUNT_FLAGS = _word(
    "MountFlags",
    exactly("shared", "slave", "private"),
    "",
    "Propagation of mounts.",
)
ROOT_DIRECTORY_START_ONLY = _flag(
    "RootDirectoryStartOnly", "RootDirectory= is for ExecStart= alone."
)
MOUNT_API_VFS = _flag("MountAPIVFS", "no: no /proc, /sys, /dev and /run inside RootDirectory=.")

# -- privileges --------------------------------------------------------------------------------------

NO_NEW_PRIVILEGES = _flag("NoNewPrivileges", "No privileges gained by executing a file.")
CAPABILITY_BOUNDING_SET: Directive[tuple[Rule, ...]] = _list(
    "CapabilityBoundingSet",
    parse_capabilities,
    "Capabilities that can be held at all.",
    specifiers=Specifiers.NONE,
)
AMBIENT_CAPABILITIES: Directive[tuple[Rule, ...]] = _list(
    "AmbientCapabilities",
    parse_capabilities,
    "Capabilities a non-root user starts with.",
    Specifiers.NONE,
)
SECURE_BITS: Directive[tuple[int, ...]] = _list(
    "SecureBits",
    parse_secure_bits,
    "Bits that bind privileges to capabilities.",
    specifiers=Specifiers.NONE,
)
SYSTEM_CALL_FILTER: Directive[tuple[Rule, ...]] = _list(
    "SystemCallFilter",
    parse_calls,
    "System calls allowed, or denied with ~; `@groups` and `call:error` may be named.",
    specifiers=Specifiers.NONE,
)
SYSTEM_CALL_LOG: Directive[tuple[Rule, ...]] = _list(
    "SystemCallLog",
    parse_calls,
    "System calls that the kernel logs, or with ~ all but these.",
    Specifiers.NONE,
)
SYSTEM_CALL_ARCHITECTURES: Directive[tuple[str, ...]] = _list(
    "SystemCallArchitectures",
    parse_architectures,
    "Architectures whose system calls are allowed, beside the machine's own.",
    specifiers=Specifiers.NONE,
)
SYSTEM_CALL_ERROR_NUMBER = _word(
    "SystemCallErrorNumber",
    parse_errno,
    "kill",
    "What a call returns that SystemCallFilter= denies (kill: ends the process).",
)
RESTRICT_ADDRESS_FAMILIES: Directive[tuple[Rule, ...]] = _list(
    "RestrictAddressFamilies",
    parse_families,
    "Kinds of socket allowed, or denied with ~.",
    specifiers=Specifiers.NONE,
)
RESTRICT_NAMESPACES: Directive[tuple[Rule, ...]] = _list(
    "RestrictNamespaces",
    parse_namespaces,
    "Kinds of namespace that may be made.",
    specifiers=Specifiers.NONE,
)
RESTRICT_REALTIME = _flag("RestrictRealtime", "No real-time scheduling.")
RESTRICT_SUID_SGID = _flag("RestrictSUIDSGID", "No making of set-user-id files.")
LOCK_PERSONALITY = _flag("LockPersonality", "No change of the kernel personality.")
MEMORY_DENY_WRITE_EXECUTE = _flag(
    "MemoryDenyWriteExecute", "No memory that is writable and executable."
)
PERSONALITY = _word("Personality", parse_architecture, "", "Architecture that uname(2) tells of.")
DYNAMIC_USER = _flag(
    "DynamicUser",
    "A user made up for the run, with folders that nobody else gets into.",
)

FILTERING: tuple[Directive[Any], ...] = (
    RESTRICT_ADDRESS_FAMILIES, MEMORY_DENY_WRITE_EXECUTE, RESTRICT_REALTIME, RESTRICT_SUID_SGID,
    RESTRICT_NAMESPACES, PROTECT_KERNEL_TUNABLES, PROTECT_KERNEL_MODULES, PROTECT_KERNEL_LOGS,
    PROTECT_CLOCK, PRIVATE_DEVICES, PROTECT_HOSTNAME, SYSTEM_CALL_ARCHITECTURES, LOCK_PERSONALITY,
    SYSTEM_CALL_LOG, SYSTEM_CALL_FILTER,
)  # fmt: skip
"""What makes system call filters, by itself or beside what else it does."""

_OTHER_LISTS = {
    "RestrictFileSystems": "Kinds of file system allowed, or denied with ~.",
    "SELinuxContext": "SELinux context to run in.",
    "AppArmorProfile": "AppArmor profile to run under.",
    "SmackProcessLabel": "Smack label to run with.",
}
_IMAGES = {
    "RootImageOptions": "Mount options of RootImage=.",
    "RootImagePolicy": "Policy for RootImage=.",
    "RootHash": "Verity hash of RootImage=.",
    "RootHashSignature": "Signature of RootHash=.",
    "RootVerity": "Verity data of RootImage=.",
    "MountImages": "Images to mount: not mounted yet.",
    "MountImagePolicy": "Policy for MountImages=.",
    "ExtensionImages": "Images laid over /usr: not mounted yet.",
    "ExtensionImagePolicy": "Policy for ExtensionImages=.",
    "ExtensionDirectories": "Folders laid over /usr: not mounted yet.",
}

ROWS: tuple[Directive[Any], ...] = (
    # Every constant of this module that is a row.
    *(value for value in tuple(globals().values()) if isinstance(value, Directive)),
    *(known("Service", name, Support.RESTRICTS, doc) for name, doc in _OTHER_LISTS.items()),
    known(
        "Service",
        "BindLogSockets",
        Support.NO_EFFECT,
        "Show the journal's sockets inside RootDirectory=.",
    ),
    *(known("Service", name, Support.UNENFORCED, doc) for name, doc in _IMAGES.items()),
    known_flag("Service", "RootEphemeral", Support.UNENFORCED, "A throw-away copy of the root."),
    known(
        "Service",
        "RootImage",
        Support.REFUSED,
        "An image as root: without it the host's programs would run instead.",
    ),
)
