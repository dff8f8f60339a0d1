"""RemoveIPC=: what a user or group leaves of System V and POSIX IPC, removed with the last unit that runs as it.

What belongs to root is never touched. A shared memory segment that somebody still has attached stays, as do
message queues that cannot be looked up because no mqueue file system is mounted (systemd.exec(5)).
"""

from __future__ import annotations

import ctypes
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from gitproc.kernel.accounts import Account, account_of
from gitproc.kernel.launch import LaunchError
from gitproc.units import directives as d
from gitproc.units.directives_exec import REMOVE_IPC
from gitproc.units.directives_sandbox import DYNAMIC_USER
from gitproc.units.unit import Unit

_IPC_RMID = 0
_OPEN = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_DEPTH_MAX = 64
_libc = ctypes.CDLL(None, use_errno=True)


def _remove_shm(number: int) -> None:
    _libc.shmctl(number, _IPC_RMID, None)


def _remove_sem(number: int) -> None:
    _libc.semctl(number, 0, _IPC_RMID)


def _remove_msg(number: int) -> None:
    _libc.msgctl(number, _IPC_RMID, None)


_SYSV = {
    "shm": (_remove_shm, "shmid"),
    "sem": (_remove_sem, "semid"),
    "msg": (_remove_msg, "msqid"),
}


class IpcObjects:
    """Whose IPC objects are to go: remembered until the last unit that runs as them has ended, in this life
    of the manager."""

    def __init__(self) -> None:
        self._uids: set[int] = set()
        self._gids: set[int] = set()

    def ended(self, unit: Unit, running: Iterable[Unit]) -> None:
        """The instance of a unit has ended; `running`: the definitions of all others that have not."""
        if not unit[REMOVE_IPC] and not self._uids and not self._gids:
            return
        account = _account(unit)
        if unit[REMOVE_IPC]:
            self._uids |= {account.uid} - {-1, 0}
            self._gids |= {account.gid} - {-1, 0}
        others = [_account(other) for other in running]
        uids = self._uids & ({account.uid} - {other.uid for other in others})
        gids = self._gids & ({account.gid} - {other.gid for other in others})
        if uids or gids:
            self._uids -= uids
            self._gids -= gids
            remove(uids, gids)


def _account(unit: Unit) -> Account:
    if not unit[d.USER] and not unit[d.GROUP] and not unit[DYNAMIC_USER]:
        return Account()
    try:
        return account_of(unit, privileged=os.geteuid() == 0)
    except LaunchError:  # it could not have been started either
        return Account()


def remove(uids: set[int], gids: set[int]) -> None:
    """Remove the IPC objects that belong to one of these users or groups."""
    for kind, (call, column) in _SYSV.items():
        for row in _sysv(kind):
            theirs = row["uid"] in uids or row["gid"] in gids
            if theirs and not row.get("nattch"):
                call(row[column])
    for folder in ("/dev/shm", "/dev/mqueue"):
        with suppress(OSError):
            here = os.open(folder, _OPEN)
            try:
                _sweep(here, uids, gids, 0)
            finally:
                os.close(here)


def _sysv(kind: str) -> Iterator[dict[str, int]]:
    try:
        head, *rows = Path(f"/proc/sysvipc/{kind}").read_text(encoding="ascii").splitlines()
    except (OSError, ValueError):
        return
    names = head.split()
    for row in rows:
        yield {name: int(value) for name, value in zip(names, row.split(), strict=False)}


def _sweep(folder: int, uids: set[int], gids: set[int], depth: int) -> None:
    with os.scandir(folder) as entries:
        names = [entry.name for entry in entries]
    for name in names:
        with suppress(OSError):  # gone meanwhile, or not empty: the next one
            info = os.stat(name, dir_fd=folder, follow_symlinks=False)
            theirs = info.st_uid in uids or info.st_gid in gids
            if not stat.S_ISDIR(info.st_mode):
                if theirs:
                    os.unlink(name, dir_fd=folder)
                continue
            if depth < _DEPTH_MAX:
                below = os.open(name, _OPEN, dir_fd=folder)
                try:
                    _sweep(below, uids, gids, depth + 1)
                finally:
                    os.close(below)
            if theirs:
                os.rmdir(name, dir_fd=folder)
