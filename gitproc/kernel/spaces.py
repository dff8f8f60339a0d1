"""What the processes of an instance share, and units that join it (JoinsNamespaceOf=): private folders, network, IPC.

A space is founded by the first of its members that starts, and goes with the last one. Who is in which is
written into the run directory, one link a unit, before a process is made: a manager that dies in between
finds it again. The folders lie in /tmp and /var/tmp, in one that only root can enter, so that no other
process comes near what a service puts there.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from gitproc.immutable import NamedTuple
from gitproc.kernel.directories import remove_tree
from gitproc.kernel.launch import LaunchError

if TYPE_CHECKING:
    from gitproc.kernel.trash import Trash

ROOTS = ("/tmp", "/var/tmp")
_NAME_MAX = 100  # characters of a unit's name in a folder's


class Folders(NamedTuple):
    """What /tmp and /var/tmp are inside."""

    tmp: str
    var_tmp: str


class Spaces:
    """All spaces of one manager.

    `run`: folder for the links; `tag` tells its folders from those of another manager of the machine. `trash`
    takes a folder in which there is very much.
    """

    def __init__(
        self,
        run: str,
        tag: str,
        roots: tuple[str, str] = ROOTS,
        trash: Trash | None = None,
    ) -> None:
        self._run = run
        self._prefix = f"gitproc-private-{tag}-"
        self._roots = roots
        self._trash = trash
        self._members: dict[str, str] = {}
        self._joiners: dict[str, set[str]] = {}
        with contextlib.suppress(FileNotFoundError):
            self._members = {unit: os.readlink(f"{run}/{unit}") for unit in os.listdir(run)}
        self.on_empty: Callable[[str], None] = lambda _: None
        """Called with a space that has no member any more."""

    def enter(self, unit: str, invocation: str, joins: Iterable[str], *, first: bool) -> str:
        """The space of this instance. `first`: nothing of it runs yet; `joins`: units whose space it shares.

        LaunchError: it cannot be written down.
        """
        if not first and unit in self._members:
            return self._members[unit]
        if first:
            self.leave(unit)
        others = (*joins, *self._joiners.get(unit, ()))
        space = next((self._members[x] for x in others if x in self._members), "")
        space = space or f"{unit[:_NAME_MAX]}-{invocation}"
        path = f"{self._run}/{unit}"
        try:
            os.makedirs(self._run, 0o700, exist_ok=True)
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
            os.symlink(space, path)
        except OSError as error:
            raise LaunchError("NAMESPACE", f"{path}: {error.strerror}") from error
        self._members[unit] = space
        self._note(unit, joins)
        return space

    def _note(self, unit: str, joins: Iterable[str]) -> None:
        for other in joins:
            self._joiners.setdefault(other, set()).add(unit)

    def leave(self, unit: str) -> list[str]:
        """The unit has ended; what could not be removed of a space without members, one sentence each."""
        space = self._members.pop(unit, "")
        if not space:
            return []
        for joiners in self._joiners.values():
            joiners.discard(unit)
        with contextlib.suppress(OSError):
            os.unlink(f"{self._run}/{unit}")
        if space in self._members.values():
            return []
        self.on_empty(space)
        return [
            problem
            for root in self._roots
            for problem in remove_tree(root, self._prefix + space, self._trash)
        ]

    @property
    def living(self) -> set[str]:
        """Spaces that have members."""
        return set(self._members.values())

    def folders(self, space: str) -> Folders:
        """Its /tmp and /var/tmp, made where they are missing. LaunchError: somebody was there before."""
        return Folders(*(self._folder(f"{root}/{self._prefix}{space}") for root in self._roots))

    def sweep(self, running: Mapping[str, Iterable[str]]) -> None:
        """Take over from another manager: what runs, with the units it joins; what nobody is in goes."""
        for unit in [unit for unit in self._members if unit not in running]:
            self.leave(unit)
        for unit in self._members:
            self._note(unit, running[unit])
        living = self.living
        for root in self._roots:
            with contextlib.suppress(OSError):
                for name in os.listdir(root):
                    if name.startswith(self._prefix) and name[len(self._prefix) :] not in living:
                        remove_tree(root, name, self._trash)

    @staticmethod
    def _folder(path: str) -> str:
        inner = f"{path}/tmp"
        try:
            with contextlib.suppress(FileExistsError):
                os.mkdir(path, 0o700)
            info = os.lstat(path)
            if not stat.S_ISDIR(info.st_mode) or info.st_uid != os.geteuid():
                raise LaunchError("NAMESPACE", f"{path} is somebody else's")
            os.chmod(path, 0o700)
            with contextlib.suppress(FileExistsError):
                os.mkdir(inner)
                os.chmod(inner, 0o1777)
        except OSError as error:
            raise LaunchError("NAMESPACE", f"{path}: {error.strerror}") from error
        return inner
