"""Which namespaces a command gets, as the shim's spec says it; where the host has none, a failure or a warning."""

from __future__ import annotations

from typing import Any

from gitproc.core.events import Slot
from gitproc.kernel.launch import LaunchContext, LaunchError
from gitproc.kernel.spec_mounts import mounts_of
from gitproc.units import directives as d
from gitproc.units import directives_gitproc as own
from gitproc.units import directives_sandbox as sandbox
from gitproc.units.sandbox_rules import OWN_MOUNTS, OWN_NETWORK
from gitproc.units.unit import Unit

_KEYS = frozenset(
    row.key
    for row in (
        *OWN_MOUNTS,
        *OWN_NETWORK,
        sandbox.IPC_NAMESPACE_PATH,
        sandbox.PROTECT_HOSTNAME,
        sandbox.PRIVATE_USERS,
        sandbox.PRIVATE_PIDS,
    )
)
_NAMES = {
    "net": "networks",
    "ipc": "IPC",
    "mnt": "mounts",
    "uts": "host names",
    "user": "users",
    "cgroup": "the cgroup tree",
    "pid": "processes",
}


def namespaces_of(
    unit: Unit,
    slot: Slot,
    context: LaunchContext,
    warnings: list[str],
    *,
    confined: bool = True,
    main: bool = True,
) -> dict[str, Any]:
    """The keys of the spec. LaunchError: the host has not what the unit asks for.

    A command that is not `confined` (`+`) has the unit's network and is shown what the unit shows, and is
    denied nothing. `main`: it is one of ExecStart=.
    """
    if _KEYS.isdisjoint(unit.values):
        return {}
    wanted: list[tuple[str, dict[str, Any]]] = []
    paths = []
    if unit[sandbox.NETWORK_NAMESPACE_PATH]:
        paths.append(("net", unit[sandbox.NETWORK_NAMESPACE_PATH]))
    if unit[sandbox.IPC_NAMESPACE_PATH]:
        paths.append(("ipc", unit[sandbox.IPC_NAMESPACE_PATH]))
    if paths:
        wanted.append((paths[0][0], {"join_paths": paths}))
    mounts = mounts_of(unit, context, confined=confined, main=main)
    if mounts:
        wanted.append(("mnt", mounts))
    if confined:
        wanted += _own(unit, slot)
    spec: dict[str, Any] = {}
    for kind, keys in wanted:
        if granted(kind, context, warnings):
            spec.update(keys)
    if spec and context.warn_isolation:
        spec["lenient"] = True
    return spec


def _own(unit: Unit, slot: Slot) -> list[tuple[str, dict[str, Any]]]:
    wanted: list[tuple[str, dict[str, Any]]] = []
    if unit[sandbox.PROTECT_HOSTNAME] != "no":
        wanted.append(("uts", {"own_host_name": True}))
    if unit[sandbox.PRIVATE_USERS] != "no":
        kind = unit[sandbox.PRIVATE_USERS]
        wanted.append(("user", {"own_users": "self" if kind == "yes" else kind}))
    if unit[sandbox.PROTECT_CONTROL_GROUPS] in ("private", "strict"):
        wanted.append(("cgroup", {"own_cgroups": True}))
    # Control commands stay outside: $MAINPID means nothing in a namespace of their own.
    if unit[d.PRIVATE_PIDS] and slot is Slot.MAIN:
        kind = "init" if unit[own.PID_NAMESPACE_INIT] else "direct"
        wanted.append(("pid", {"pid_namespace": kind, "mount_proc": True}))
    return wanted


def granted(kind: str, context: LaunchContext, warnings: list[str]) -> bool:
    """Whether the host gives a namespace of this kind; else a warning, or a LaunchError."""
    problem = context.no_namespaces.get(kind, "")
    if not problem:
        return True
    if not context.warn_isolation:
        step = "NETWORK" if kind == "net" else "NAMESPACE"
        raise LaunchError(step, f"cannot isolate {_NAMES[kind]}: {problem}")
    warnings.append(f"{_NAMES[kind]} are not isolated: {problem}")
    return False


def join_namespaces(spec: dict[str, Any], kinds: list[str], first: int) -> None:
    """Have the process join namespaces that go with its spawn as descriptors, from the index `first` on."""
    if kinds:
        spec["join_fds"] = [(kind, first + number) for number, kind in enumerate(kinds)]
