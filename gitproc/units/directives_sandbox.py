"""Rows of the directive table that restrict a service: the sandbox of systemd.exec(5).

A unit that asks to be confined and is not would be worse than one that does not start, so what is not
enforced here is an error unless the host's configuration names it under `allow_unenforced`. Directives
that only make exceptions from such a restriction lose nothing while it is not there.
"""

from __future__ import annotations

from typing import Any

from gitproc.units.directive import Directive, Support
from gitproc.units.rows import exactly, flag, known, known_flag, one_of

PRIVATE_PIDS = flag(
    "Service", "PrivatePIDs", False, "Run in a PID namespace of its own, under a small init."
)

_FLAGS = {
    "PrivateDevices": "A /dev with pseudo devices alone.",
    "PrivateNetwork": "A network namespace with loopback alone.",
    "PrivateIPC": "System V and POSIX IPC of its own.",
    "PrivateMounts": "Mounts of its own.",
    "NoNewPrivileges": "No privileges gained by executing a file.",
    "ProtectKernelTunables": "/proc/sys, /sys and the like read-only.",
    "ProtectKernelModules": "No loading of kernel modules.",
    "ProtectKernelLogs": "No access to the kernel's log.",
    "ProtectClock": "No setting of clocks.",
    "ProtectHostname": "No change of the host's name.",
    "MemoryDenyWriteExecute": "No memory that is writable and executable.",
    "RestrictRealtime": "No real-time scheduling.",
    "RestrictSUIDSGID": "No making of set-user-id files.",
    "LockPersonality": "No change of the kernel personality.",
    "DynamicUser": "A user made up for the run; without it the service runs as User=, or root.",
}
_CHOICES: dict[str, tuple[tuple[str, ...], str]] = {
    "PrivateTmp": (("disconnected",), "A /tmp and /var/tmp of its own."),
    "PrivateUsers": (("self", "identity", "full"), "A user namespace of its own."),
    "ProtectSystem": (("full", "strict"), "System folders read-only."),
    "ProtectHome": (("read-only", "tmpfs"), "Home folders hidden, or read-only."),
    "ProtectControlGroups": (("private", "strict"), "The cgroup tree read-only."),
}
_LISTS = {
    "CapabilityBoundingSet": "Capabilities that can be held at all.",
    "SecureBits": "Bits that bind privileges to capabilities.",
    "SystemCallFilter": "System calls allowed, or denied with ~.",
    "SystemCallArchitectures": "Architectures whose system calls are allowed.",
    "RestrictAddressFamilies": "Kinds of socket allowed, or denied with ~.",
    "RestrictNamespaces": "Kinds of namespace that may be made.",
    "RestrictFileSystems": "Kinds of file system allowed, or denied with ~.",
    "ReadOnlyPaths": "Paths made read-only.",
    "InaccessiblePaths": "Paths made inaccessible.",
    "NoExecPaths": "Paths below which nothing can be executed.",
    "TemporaryFileSystem": "Paths covered by an empty file system.",
    "NetworkNamespacePath": "Network namespace to join.",
    "IPCNamespacePath": "IPC namespace to join.",
    "SELinuxContext": "SELinux context to run in.",
    "AppArmorProfile": "AppArmor profile to run under.",
    "SmackProcessLabel": "Smack label to run with.",
}
_EXCEPTIONS = {
    "ReadWritePaths": "Exceptions from read-only paths; none are enforced yet.",
    "ExecPaths": "Exceptions from NoExecPaths=, which is not enforced yet.",
    "SystemCallErrorNumber": "What a denied system call returns; none is denied yet.",
    "BindLogSockets": "Show the journal's sockets inside RootDirectory=.",
    "MountAPIVFS": "Mount /proc, /sys and /dev inside RootDirectory=.",
}
_UNENFORCED = {
    "AmbientCapabilities": "Capabilities a non-root user starts with: not given yet.",
    "SystemCallLog": "System calls to log: not logged.",
    "BindPaths": "Paths to show elsewhere: not mounted yet.",
    "BindReadOnlyPaths": "Paths to show elsewhere, read-only: not mounted yet.",
    "MountFlags": "Propagation of mounts: the host's mounts are shared for now.",
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
_REFUSED = {
    "RootDirectory": "Another root: without it the host's programs would run instead.",
    "RootImage": "An image as root: without it the host's programs would run instead.",
}

_RESTRICTS = Support.RESTRICTS

ROWS: tuple[Directive[Any], ...] = (
    PRIVATE_PIDS,
    *(known_flag("Service", name, _RESTRICTS, doc) for name, doc in _FLAGS.items()),
    *(
        known("Service", name, _RESTRICTS, doc, one_of(*choices), "no")
        for name, (choices, doc) in _CHOICES.items()
    ),
    known(
        "Service",
        "ProtectProc",
        _RESTRICTS,
        "Processes of other users hidden in /proc.",
        exactly("default", "noaccess", "invisible", "ptraceable"),
        "default",
    ),
    known(
        "Service",
        "ProcSubset",
        _RESTRICTS,
        "A /proc with processes alone.",
        exactly("all", "pid"),
        "all",
    ),
    *(known("Service", name, _RESTRICTS, doc) for name, doc in _LISTS.items()),
    *(known("Service", name, Support.NO_EFFECT, doc) for name, doc in _EXCEPTIONS.items()),
    *(known("Service", name, Support.UNENFORCED, doc) for name, doc in _UNENFORCED.items()),
    known_flag("Service", "RootEphemeral", Support.UNENFORCED, "A throw-away copy of the root."),
    *(known("Service", name, Support.REFUSED, doc) for name, doc in _REFUSED.items()),
)
