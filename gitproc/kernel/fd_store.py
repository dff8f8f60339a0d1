"""Descriptors that services have asked to be kept (FDSTORE=1 of sd_notify(3)) and get back when they start.

They lie with the shim, each as a set of its own, so neither the service nor this process need live for
them; here are duplicates, to be passed on and to see when one is of no use any more (FDPOLL=).
"""

from __future__ import annotations

import asyncio
import os
import select
from contextlib import suppress

from gitproc.immutable import mutable
from gitproc.kernel import storable
from gitproc.kernel.process_manager import ProcessManager
from gitproc.kernel.same_file import is_same
from gitproc.shim.protocol import unlingering
from gitproc.units import directives as d
from gitproc.units.directives_socket import parse_fd_name
from gitproc.units.unit import Unit

STORE = "store/"
"""What the names of such sets begin with; `store/SERIAL/FDNAME` is whole."""
_UNNAMED = "stored"
_NO_MORE = "no more than {} descriptors are kept for it"


@mutable
class _Stored:
    unit: str
    name: str  # for $LISTEN_FDNAMES
    key: str
    fd: int
    polled: bool = False


class FdStore:
    """All that is kept, by unit."""

    def __init__(self, manager: ProcessManager) -> None:
        self._manager = manager
        self._units: dict[str, list[_Stored]] = {}
        self._by_fd: dict[int, _Stored] = {}
        self._serial = 0
        self._poll: select.epoll | None = None

    def of(self, unit: str) -> list[tuple[str, int]]:
        """(name, descriptor) of all that is kept for a unit, in the order in which it came."""
        return [(each.name, each.fd) for each in self._units.get(unit, ())]

    def keep(self, unit: Unit, name: str, fds: list[int], *, poll: bool) -> str:
        """Keep these, as far as the unit may; what is kept leaves `fds`. Why something is not, or empty."""
        most = unit[d.FILE_DESCRIPTOR_STORE_MAX]
        problem = (
            "" if fds else "no descriptor came that can be kept" if most else _NO_MORE.format(0)
        )
        for fd in fds[:]:
            if any(is_same(fd, each.fd) for each in self._units.get(unit.name, ())):
                continue  # a second one is closed without a word, as in systemd
            if len(self._units.get(unit.name, ())) >= most:
                problem = _NO_MORE.format(most)
                break
            fds.remove(fd)
            self._serial += 1
            key = f"{STORE}{self._serial}/{_valid(name)}"
            self._add(_Stored(unit.name, _valid(name), key, fd), poll=poll)
            preserve, polled = unit[d.FILE_DESCRIPTOR_STORE_PRESERVE], "poll" if poll else ""
            held = self._manager.hold(unit.name, key, f"{preserve} {polled}", [fd])
            held.add_done_callback(lambda done: done.cancelled() or done.exception())
        return problem

    def remove(self, unit: str, name: str) -> None:
        """Drop what is kept under this name (FDSTOREREMOVE=1)."""
        for each in [x for x in self._units.get(unit, ()) if x.name == _valid(name)]:
            self._drop(each)

    def release(self, unit: Unit, *, restart: bool) -> None:
        """The instance has ended: drop what FileDescriptorStorePreserve= does not keep."""
        preserve = unit[d.FILE_DESCRIPTOR_STORE_PRESERVE]
        if preserve == "no" or (preserve == "restart" and not restart):
            for each in self._units.get(unit.name, [])[:]:
                self._drop(each)

    def restore(self, owner: str, key: str, note: str, fds: list[int], *, runs: bool) -> bool:
        """Take over a set that the shim holds; False if it is none of ours, or to be kept no longer."""
        preserve, _, polled = note.partition(" ")
        _, _, rest = key.partition("/")
        serial, slash, name = rest.partition("/")
        if not key.startswith(STORE) or not slash or len(fds) != 1:
            return False
        if not runs and preserve != "yes":
            return False
        self._serial = max(self._serial, int(serial) if serial.isdecimal() else 0)
        self._add(_Stored(owner, name, key, fds[0]), poll=bool(polled))
        return True

    def _add(self, stored: _Stored, *, poll: bool) -> None:
        self._units.setdefault(stored.unit, []).append(stored)
        self._by_fd[stored.fd] = stored
        if poll:
            if self._poll is None:
                self._poll = select.epoll()
                asyncio.get_running_loop().add_reader(self._poll.fileno(), self._hung_up)
            if storable.is_epoll(stored.fd):
                return  # never hangs up, and to ask is to ask whatever it watches
            with suppress(PermissionError):  # a file, which never hangs up
                self._poll.register(stored.fd, 0)
                stored.polled = True

    def _hung_up(self) -> None:
        assert self._poll is not None
        for fd, _ in self._poll.poll(0):
            stored = self._by_fd.get(fd)
            if stored is not None:
                self._drop(stored)

    def _drop(self, stored: _Stored) -> None:
        if stored.polled and self._poll is not None:
            self._poll.unregister(stored.fd)
        del self._by_fd[stored.fd]
        unlingering(os.close, stored.fd)
        kept = self._units[stored.unit]
        kept.remove(stored)
        if not kept:
            del self._units[stored.unit]
        self._manager.drop(stored.unit, stored.key)


def _valid(name: str) -> str:
    try:
        return parse_fd_name(name) or _UNNAMED
    except ValueError:
        return _UNNAMED
