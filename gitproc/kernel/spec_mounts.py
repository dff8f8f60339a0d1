"""What a service sees of the file system, as the shim's spec says it (systemd.exec(5), "Sandboxing")."""

from __future__ import annotations

import contextlib
import os
import stat
from typing import Any

from gitproc.kernel.launch import LaunchContext, LaunchError
from gitproc.kernel.launch_environment import (
    DIRECTORIES,
    directory_links,
    is_private,
    private_root,
    real_paths,
)
from gitproc.kernel.spec_credentials import folder_of, folder_of_all, has_credentials
from gitproc.units import directives as d
from gitproc.units import directives_sandbox as sandbox
from gitproc.units.sandbox_mounts import Surroundings, entries_of, root_of
from gitproc.units.sandbox_rules import has_own_mounts, shows_other_mounts
from gitproc.units.service_types import ServiceType
from gitproc.units.unit import Unit

_NOTIFYING = (ServiceType.NOTIFY, ServiceType.NOTIFY_RELOAD)
_COVERS = {"dir": stat.S_IFDIR, "reg": stat.S_IFREG, "chr": stat.S_IFCHR}


def mounts_of(unit: Unit, context: LaunchContext, *, confined: bool, main: bool) -> dict[str, Any]:
    """The key `mounts` of the spec for a unit that gets mounts of its own; nothing for others.

    LaunchError: the manager has no folder for it.
    """
    if not (has_own_mounts(unit.values) if confined else shows_other_mounts(unit.values)):
        return {}
    rows = range(len(DIRECTORIES))
    own = [path for row in rows for path in real_paths(unit, context, row)]
    private = [private_root(context, row) for row in rows if is_private(unit, row)]
    needed = [context.notify_socket, os.path.dirname(context.tree)]
    hidden: list[str] = []
    seen = [context.notify_socket] if unit[d.TYPE] in _NOTIFYING else []
    if has_credentials(unit):
        seen.append(folder_of(unit, context))
        needed.append(folder_of(unit, context))
        private.append(folder_of_all(context))
    else:
        hidden.append(folder_of_all(context))
    tmp, var_tmp = context.private_tmp or ("", "")
    around = Surroundings(
        tuple(own),
        tmp,
        var_tmp,
        tuple(filter(None, needed)),
        tuple(private),
        tuple(hidden),
        tuple(link for row in rows for link in directory_links(unit, context, row)),
    )
    entries = entries_of(unit, around, confined=confined, main=main)
    wanted: dict[str, Any] = {
        "entries": [tuple(entry) for entry in entries],
        "hidden": context.covers,
    }
    if seen:
        wanted["seen"] = seen
    if root := root_of(unit, main=main):
        wanted["root"] = root
    if unit[sandbox.MOUNT_FLAGS]:
        wanted["propagation"] = unit[sandbox.MOUNT_FLAGS]
    if any(entry.kind == "hide" for entry in entries):
        _have_covers(context.covers)
    if hidden and confined:
        _have_folder(*hidden)
    return {"mounts": wanted}


def _have_folder(path: str) -> None:
    """What is hidden is hidden for good only if it is there before what is to be hidden in it."""
    with contextlib.suppress(OSError):  # one who cannot make it cannot give credentials either
        os.makedirs(path, 0o755, exist_ok=True)


def _have_covers(folder: str) -> None:
    """The empty nodes that are shown in place of what is inaccessible: only root gets past their modes."""
    if not folder:
        raise LaunchError("NAMESPACE", "there is no folder for what covers inaccessible paths")
    try:
        os.makedirs(folder, 0o755, exist_ok=True)
        for name, kind in _COVERS.items():
            path = f"{folder}/{name}"
            if not os.path.lexists(path):
                os.mkdir(path, 0) if kind == stat.S_IFDIR else os.mknod(path, kind)
                os.chmod(path, 0)
    except OSError as error:
        raise LaunchError("NAMESPACE", f"{error.filename}: {error.strerror}") from error
