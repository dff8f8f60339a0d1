"""Which mounts a service's settings ask for: a list of entries, computed from values alone (systemd.exec(5)).

An entry is (path, kind, may be missing, source, options), with the kinds of `gitproc/shim/mount_order.py`,
which sorts them and drops what changes nothing. The tables are systemd's.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable
from typing import TypeVar

from gitproc.immutable import NamedTuple
from gitproc.units import directives_sandbox as sandbox
from gitproc.units.directive import Directive
from gitproc.units.mounts import MarkedPath
from gitproc.units.sandbox_rules import has_own_network
from gitproc.units.unit import Unit

T = TypeVar("T")


class Entry(NamedTuple):
    """One wish about one path. `optional`: it (or its source) may be missing."""

    path: str
    kind: str
    optional: bool = False
    source: str = ""
    options: str = ""


class Surroundings(NamedTuple):
    """What the host adds. `own`: the unit's own folders; `tmp`, `var_tmp`: what PrivateTmp= shows there.

    `links`: paths of links to its own folders, and where these lie.
    `needed`: what must be seen wherever the service is (the notify socket, the commit's files); `private`:
    folders of which it sees nothing but its own; `hidden`: what it sees nothing of.
    """

    own: tuple[str, ...] = ()
    tmp: str = ""
    var_tmp: str = ""
    needed: tuple[str, ...] = ()
    private: tuple[str, ...] = ()
    hidden: tuple[str, ...] = ()
    links: tuple[tuple[str, str], ...] = ()


_TUNABLES = (
    *(
        Entry(f"/proc/{name}", "ro", True)
        for name in (
            "acpi", "apm", "asound", "bus", "fs", "irq", "latency_stats", "mtrr", "scsi", "sys",
            "sysrq-trigger", "timer_stats",
        )
    ),
    Entry("/proc/kallsyms", "hide", True),
    Entry("/proc/kcore", "hide", True),
    Entry("/sys", "ro"),
    Entry("/sys/fs/bpf", "ro", True),
    Entry("/sys/fs/cgroup", "rw", True),  # ProtectControlGroups= has a say in that
    Entry("/sys/fs/selinux", "rw", True),
    Entry("/sys/kernel/debug", "ro", True),
    Entry("/sys/kernel/tracing", "ro", True),
)  # fmt: skip
_MODULES = (Entry("/lib/modules", "hide", True), Entry("/usr/lib/modules", "hide", True))
_LOGS = (Entry("/proc/kmsg", "hide", True), Entry("/dev/kmsg", "hide", True))
_HOST_NAME = (
    Entry("/proc/sys/kernel/hostname", "ro", True),
    Entry("/proc/sys/kernel/domainname", "ro", True),
)
_HOMES = {"/home": "mode=0755", "/run/user": "mode=0755", "/root": "mode=0700"}
_PROGRAMS = tuple(
    Entry(path, "ro", path != "/usr")
    for path in ("/usr", "/boot", "/efi", "/lib", "/lib64", "/bin", "/sbin")
)
_SYSTEM = {
    "no": (),
    "yes": _PROGRAMS,
    "full": (*_PROGRAMS, Entry("/etc", "ro")),
    "strict": (
        Entry("/", "ro"),
        *(Entry(path, "rw") for path in ("/proc", "/sys", "/dev")),
        *(Entry(path, "rw", True) for path in _HOMES),
    ),
}
_API = (
    Entry("/proc", "proc"),
    Entry("/sys", "bind-bare", source="/sys"),
    Entry("/dev", "bind-bare", source="/dev"),
    Entry("/run", "tmpfs-bare", options="mode=0755,nosuid"),
)
_PROTECTING = (
    sandbox.PROTECT_CONTROL_GROUPS,
    sandbox.PROTECT_KERNEL_TUNABLES,
    sandbox.PROTECT_PROC,
    sandbox.PROC_SUBSET,
    sandbox.PRIVATE_PIDS,
)
_TMP = "mode=1777,nosuid"
_PRIVATE = "mode=0755,nosuid,noexec"
_CONTENTS = ("bind", "tmpfs")


def entries_of(
    unit: Unit, around: Surroundings, *, confined: bool = True, main: bool = True
) -> list[Entry]:
    """All entries of a service, in no particular order but that of its own settings.

    A command that is not `confined` (`+`) sees what is shown elsewhere, and is denied nothing. `main`: it is
    one of ExecStart=.
    """
    root = root_of(unit, main=main)
    found = _binds(unit)
    if confined:
        found += _own_tmp(unit, around)
        found += _kernel(unit)
        found += _home(unit[sandbox.PROTECT_HOME])
        found += _SYSTEM[unit[sandbox.PROTECT_SYSTEM]]
        found += _marked(unit, root)
        for path in () if root else around.private:
            found += [Entry(path, "tmpfs", options=_PRIVATE), Entry(path, "ro")]
        found += [Entry(path, "hide", True) for path in around.hidden]
    if _has_api(unit, found, root, confined=confined):
        found += _API
    found += _needed(found, around, root)
    return found


def root_of(unit: Unit, *, main: bool = True) -> str:
    """RootDirectory=, "" where it is the host's root, or where it is for ExecStart= alone and this is another."""
    root = unit[sandbox.ROOT_DIRECTORY]
    others = unit[sandbox.ROOT_DIRECTORY_START_ONLY] and not main
    return "" if root == "/" or others else root


def _has_api(unit: Unit, others: list[Entry], root: str, *, confined: bool) -> bool:
    """Whether another root has what a root has of the host's: to be protected, it has to be there."""
    if confined and any(
        directive.of(unit.values) != directive.default for directive in _PROTECTING
    ):
        return bool(root) or any(x.path == "/" and x.kind.startswith(_CONTENTS) for x in others)
    wanted = unit[sandbox.MOUNT_API_VFS] or not unit.has(sandbox.MOUNT_API_VFS)
    return bool(root) and wanted


def _binds(unit: Unit) -> list[Entry]:
    found = []
    for directive, suffix in ((sandbox.BIND_PATHS, ""), (sandbox.BIND_READ_ONLY_PATHS, "-ro")):
        for bind in unit[directive]:
            kind = ("bind" if bind.recursive else "bind-flat") + suffix
            found.append(Entry(bind.target, kind, bind.optional, bind.source))
    for empty in unit[sandbox.TEMPORARY_FILE_SYSTEM]:
        options = empty.options.split(",")
        plain = ",".join(x for x in options if x not in ("ro", "rw"))
        found.append(Entry(empty.path, "tmpfs", options=plain))
        if "ro" in options:
            found.append(Entry(empty.path, "ro"))
    return found


def _own_tmp(unit: Unit, around: Surroundings) -> list[Entry]:
    match unit[sandbox.PRIVATE_TMP]:
        case "yes":
            sources = (("/tmp", around.tmp), ("/var/tmp", around.var_tmp))
            return [Entry(path, "bind", source=source) for path, source in sources]
        case "disconnected":
            return [Entry(path, "tmpfs", options=_TMP) for path in ("/tmp", "/var/tmp")]
        case _:
            return []


def _kernel(unit: Unit) -> list[Entry]:
    found: list[Entry] = []
    proc = []
    if unit[sandbox.PROTECT_PROC] != "default":
        proc.append(f"hidepid={unit[sandbox.PROTECT_PROC]}")
    if unit[sandbox.PROC_SUBSET] == "pid":
        proc.append("subset=pid")
    if proc:
        found.append(Entry("/proc", "proc", options=",".join(proc)))
    if unit[sandbox.PRIVATE_DEVICES]:
        found.append(Entry("/dev", "dev"))
    if has_own_network(unit.values):
        found.append(Entry("/sys", "sysfs"))
    if unit[sandbox.PRIVATE_IPC] or unit[sandbox.IPC_NAMESPACE_PATH]:
        found.append(Entry("/dev/mqueue", "mqueue", True))
    for directive, entries in (
        (sandbox.PROTECT_KERNEL_TUNABLES, _TUNABLES),
        (sandbox.PROTECT_KERNEL_MODULES, _MODULES),
        (sandbox.PROTECT_KERNEL_LOGS, _LOGS),
    ):
        if unit[directive]:
            found += entries
    if unit[sandbox.PROTECT_HOSTNAME] == "yes":
        found += _HOST_NAME
    groups = unit[sandbox.PROTECT_CONTROL_GROUPS]
    if groups in ("private", "strict"):
        found.append(Entry("/sys/fs/cgroup", "cgroup"))
    if groups in ("yes", "strict"):
        found.append(Entry("/sys/fs/cgroup", "ro", True))
    return found


def _home(wanted: str) -> list[Entry]:
    match wanted:
        case "yes":
            return [Entry(path, "hide", True) for path in _HOMES]
        case "read-only":
            return [Entry(path, "ro", True) for path in _HOMES]
        case "tmpfs":
            covers = [Entry(path, "tmpfs", True, "", mode) for path, mode in _HOMES.items()]
            return covers + [Entry(path, "ro", True) for path in _HOMES]
        case _:
            return []


def _marked(unit: Unit, root: str) -> Iterable[Entry]:
    lists: tuple[tuple[Directive[tuple[MarkedPath, ...]], str], ...] = (
        (sandbox.READ_WRITE_PATHS, "rw"),
        (sandbox.READ_ONLY_PATHS, "ro"),
        (sandbox.INACCESSIBLE_PATHS, "hide"),
        (sandbox.EXEC_PATHS, "exec"),
        (sandbox.NO_EXEC_PATHS, "noexec"),
    )
    for directive, kind in lists:
        for marked in unit[directive]:
            path = marked.path
            if root and not marked.below_root:
                if f"{path}/".startswith(f"{root}/"):
                    path = path[len(root) :] or "/"
                else:
                    continue  # outside of what it sees
            yield Entry(path, kind, marked.optional)


def _needed(found: list[Entry], around: Surroundings, root: str) -> list[Entry]:
    """The unit's own folders, writable, with links to them; what must be seen, where something would cover it."""
    covered = [x.path.rstrip("/") + "/" for x in found if x.kind.startswith(_CONTENTS)]

    def bound(path: str) -> bool:
        return bool(root) or any(path.startswith(above) for above in covered)

    def shown(path: str) -> str:
        """The link that leads to a private folder is not there in another root."""
        for above in around.private if root else ():
            if path.startswith(f"{above}/"):
                return posixpath.dirname(above) + path[len(above) :]
        return path

    own = [
        Entry(shown(path), "bind", source=path) if bound(path) else Entry(path, "rw")
        for path in around.own
    ]
    needed = [Entry(path, "bind-ro", True, path) for path in around.needed if bound(path)]
    links = [
        Entry(path, "link", source=posixpath.relpath(shown(at), posixpath.dirname(path)))
        for path, at in around.links
        if bound(path) and shown(at) != path
    ]
    return own + needed + links
