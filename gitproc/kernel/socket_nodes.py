"""The nodes of sockets and FIFOs in the file system: made, owned, linked to, removed (systemd.socket(5)).

The folder is reached first, and all else goes by its descriptor: whoever owns a folder on the way may exchange
what is in it for a link at any time. Nodes are taken over by their type alone: in the place of a socket only a
socket or FIFO is ever replaced.
"""

from __future__ import annotations

import errno
import os
import socket
import stat
from collections.abc import Callable
from contextlib import suppress
from typing import TypeAlias

from gitproc.kernel import safe_path
from gitproc.kernel.accounts import group_id, user_entry
from gitproc.units import directives_socket as s
from gitproc.units.addresses import Listen
from gitproc.units.unit import Unit

Problems: TypeAlias = list[str]
_NODE = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC


def bind(sock: socket.socket, unit: Unit, path: str) -> Problems:
    """Bind a socket to a node that is made, and the folders above it; what is odd about it. OSError."""
    with safe_path.folder_of(path, unit[s.DIRECTORY_MODE]) as (folder, name):
        # The address is what getsockname(2) tells, so it is the path, where that is sure to lead there.
        address = path if folder.firm else f"/proc/self/fd/{folder.fd}/{name}"
        before = os.umask(0o777 & ~unit[s.SOCKET_MODE])
        try:
            try:
                sock.bind(address)
            except OSError as error:
                if error.errno != errno.EADDRINUSE or not _remove(folder.fd, name):
                    raise
                sock.bind(address)
        finally:
            os.umask(before)
    if folder.firm:
        return []
    return [f"{path} can be reached, but the socket's own name differs: others own a folder above"]


def fifo(unit: Unit, path: str) -> tuple[int, Problems]:
    """A FIFO that is open both ways, made if it is not there. OSError if something else is."""
    with safe_path.folder_of(path, unit[s.DIRECTORY_MODE]) as (folder, name):
        with suppress(FileExistsError):
            os.mkfifo(name, unit[s.SOCKET_MODE], dir_fd=folder.fd)
        node = os.open(name, _NODE, dir_fd=folder.fd)
        try:
            if not stat.S_ISFIFO(os.fstat(node).st_mode):
                raise FileExistsError(errno.EEXIST, "there is something else in its place")
            flags = os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
            return os.open(f"/proc/self/fd/{node}", flags), []
        finally:
            os.close(node)


def has_owner(unit: Unit) -> bool:
    """Whether its nodes are to belong to somebody who has to be looked up."""
    return bool(unit[s.SOCKET_USER] or unit[s.SOCKET_GROUP])


def owner_of(unit: Unit) -> tuple[int, int]:
    """The numbers of user and group whom its nodes are to belong to, -1 for whoever makes them.

    LaunchError for a user or group that does not exist.
    """
    user, group = unit[s.SOCKET_USER], unit[s.SOCKET_GROUP]
    entry = user_entry(user) if user else None
    gid = group_id(group) if group else entry.pw_gid if entry else -1
    return entry.pw_uid if entry else -1, gid


def own(unit: Unit, path: str) -> Problems:
    """Give the node its owner and mode; whatever took its place meanwhile is left alone.

    LaunchError for a user or group that does not exist.
    """
    try:
        with safe_path.folder_of(path) as (folder, name):
            fd = os.open(name, _NODE, dir_fd=folder.fd)
    except OSError as error:
        return [f"{path} is gone: {error.strerror}"]
    try:
        mode = os.fstat(fd).st_mode
        if not (stat.S_ISSOCK(mode) or stat.S_ISFIFO(mode)):
            return [f"{path} is not the socket any more"]
        node = f"/proc/self/fd/{fd}"
        if has_owner(unit):
            os.chown(node, *owner_of(unit))
        os.chmod(node, unit[s.SOCKET_MODE])
    except OSError as error:
        return [f"cannot set owner and mode of {path}: {error.strerror}"]
    finally:
        os.close(fd)
    return []


def link(unit: Unit, listens: tuple[Listen, ...]) -> Problems:
    """Symlinks=: a link that is in the place is replaced, anything else is left alone."""
    problems: Problems = []
    path = next((listen.path for listen in listens if listen.path), "")
    for wanted in unit[s.SYMLINKS] if path else ():
        try:
            with safe_path.folder_of(wanted, unit[s.DIRECTORY_MODE]) as (folder, name):
                _unlink(folder.fd, name, stat.S_ISLNK)
                os.symlink(path, name, dir_fd=folder.fd)
        except OSError as error:
            problems.append(f"cannot make the link {wanted}: {error.strerror}")
    return problems


def remove(unit: Unit, listens: tuple[Listen, ...]) -> None:
    """RemoveOnStop=: the nodes and the links to them."""
    for wanted in unit[s.SYMLINKS]:
        with suppress(OSError), safe_path.folder_of(wanted) as (folder, name):
            _unlink(folder.fd, name, stat.S_ISLNK)
    for listen in listens:
        if listen.path:
            with suppress(OSError), safe_path.folder_of(listen.path) as (folder, name):
                _remove(folder.fd, name)


def _remove(folder: int, name: str) -> bool:
    """Remove a socket, a FIFO or a link; False if something else is there, or it stays."""
    try:
        return _unlink(
            folder, name, lambda x: stat.S_ISSOCK(x) or stat.S_ISFIFO(x) or stat.S_ISLNK(x)
        )
    except OSError:
        return False


def _unlink(folder: int, name: str, wanted: Callable[[int], bool]) -> bool:
    with suppress(FileNotFoundError):
        if wanted(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
            os.unlink(name, dir_fd=folder)
            return True
    return False
