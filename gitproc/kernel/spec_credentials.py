"""Credentials of a unit, as the shim's spec says them: where they are put, and what is read from where.

Nothing is read here: a source may be a socket whose server takes its time, and the child can wait where the manager
must not. What the stores hold is looked up, by name.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from gitproc.kernel.accounts import Account
from gitproc.kernel.launch import LaunchContext
from gitproc.units import directives_exec_credentials as c
from gitproc.units.credentials import Imported, is_credential_name
from gitproc.units.seats import home
from gitproc.units.unit import Unit

STORES = ("/etc/credstore", "/run/credstore", "/usr/local/lib/credstore", "/usr/lib/credstore")
_KEYS = frozenset((c.SET_CREDENTIAL.key, c.LOAD_CREDENTIAL.key, c.IMPORT_CREDENTIAL.key))
_DETACH = 2


def has_credentials(unit: Unit) -> bool:
    """Whether a unit is given any."""
    return not _KEYS.isdisjoint(unit.values)


def folder_of(unit: Unit, context: LaunchContext) -> str:
    """Where the unit finds them: $CREDENTIALS_DIRECTORY, and `%d`."""
    return f"{folder_of_all(context)}/{unit.name}"


def folder_of_all(context: LaunchContext) -> str:
    """Where those of all units lie."""
    return f"{context.host.run}/credentials"


def credentials_of(unit: Unit, context: LaunchContext, account: Account) -> dict[str, Any]:
    """The key of the spec; {} without credentials."""
    if not has_credentials(unit):
        return {}
    load: list[list[Any]] = []
    for name, source in unit[c.LOAD_CREDENTIAL]:
        if source.startswith("/"):
            load.append([name, source, False])
        else:
            load += [[name, f"{store}/{source}", True] for store in stores(context)]
    for wanted in unit[c.IMPORT_CREDENTIAL]:
        load += [[name, path, True] for name, path in _matching(wanted, context)]
    return {
        "credentials": {
            "path": folder_of(unit, context),
            "unit": home(unit.name),
            "uid": account.uid,
            "gid": account.gid,
            "load": load,
            "set": [[name, data] for name, data in unit[c.SET_CREDENTIAL]],
            "fresh": context.first,
        }
    }


def stores(context: LaunchContext) -> Iterator[str]:
    """The folders that are searched: what the manager itself was given, then the machine's stores."""
    own = context.environment.get("CREDENTIALS_DIRECTORY", "")
    if own.startswith("/"):
        yield own
    if context.privileged:
        yield from STORES


def _matching(wanted: Imported, context: LaunchContext) -> Iterator[tuple[str, str]]:
    head = wanted.pattern.removesuffix("*")
    for store in stores(context):
        names: list[str] = []
        with suppress(OSError):
            names = sorted(os.listdir(store))
        for name in names:
            if name != wanted.pattern and not (head != wanted.pattern and name.startswith(head)):
                continue
            new = wanted.rename + name[len(head) :] if wanted.rename else name
            if is_credential_name(new):
                yield new, f"{store}/{name}"


def release(unit: Unit, context: LaunchContext) -> list[str]:
    """Take back what an ended instance was given; what could not be, one sentence each."""
    if not has_credentials(unit):
        return []
    path = folder_of(unit, context)
    libc = ctypes.CDLL(None, use_errno=True)
    while libc.umount2(path.encode(), _DETACH) == 0:
        pass
    try:
        with suppress(FileNotFoundError):
            for name in os.listdir(
                path
            ):  # without the right to mount, they lie in the folder itself
                os.unlink(f"{path}/{name}")
            os.rmdir(path)
    except OSError as error:
        return [f"cannot remove the credentials in {path}: {error.strerror}"]
    return []
