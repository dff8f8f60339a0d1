"""RemoveIPC=: what a user or group leaves of System V and POSIX IPC, removed with the last unit that runs as it.

What belongs to root is never touched. A shared memory segment that somebody still has attached stays, as do
message queues that cannot be looked up because no mqueue file system is mounted (systemd.exec(5)).
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from gitproc.kernel.accounts import Account, account_of
from gitproc.kernel.ipc_files import Each, remove_files
from gitproc.kernel.launch import LaunchError
from gitproc.units import directives as d
from gitproc.units.directives_exec import REMOVE_IPC
from gitproc.units.directives_sandbox import DYNAMIC_USER
from gitproc.units.unit import Unit

_IPC_RMID = 0
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
    of the manager. `later`: see `remove_files`."""

    def __init__(self, later: Callable[[Callable[[Each], None]], None]) -> None:
        self._later = later
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
            _remove_sysv(uids, gids)
            remove_files(uids, gids, self._later)


def _account(unit: Unit) -> Account:
    if not unit[d.USER] and not unit[d.GROUP] and not unit[DYNAMIC_USER]:
        return Account()
    try:
        return account_of(unit, privileged=os.geteuid() == 0)
    except LaunchError:  # it could not have been started either
        return Account()


def _remove_sysv(uids: set[int], gids: set[int]) -> None:
    for kind, (call, column) in _SYSV.items():
        for row in _sysv(kind):
            theirs = row["uid"] in uids or row["gid"] in gids
            if theirs and not row.get("nattch"):
                call(row[column])


def _sysv(kind: str) -> Iterator[dict[str, int]]:
    try:
        head, *rows = Path(f"/proc/sysvipc/{kind}").read_text(encoding="ascii").splitlines()
    except (OSError, ValueError):
        return
    names = head.split()
    for row in rows:
        yield {name: int(value) for name, value in zip(names, row.split(), strict=False)}
