"""The names of made up users, for the host's name service: records that nss-systemd(8) reads from a folder.

A user is two files and two links (JSON User Records and JSON Group Records of systemd's): `NAME.user`, and a link
to it called by the number, and the same for the group. A record says whose it is, and only what says that it is
ours is ever replaced or removed. Each comes into its place whole, and never in the place of another's: a link has
its record as long as it is there.
"""

from __future__ import annotations

import json
import logging
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from gitproc.kernel.launch import LaunchError
from gitproc.kernel.safe_path import folder_of

REAL_NAME = "Dynamic User (GitProc)"
"""By which a user that a name service knows is told to be made up, and not the host's own."""
_SERVICE = "com.gitproc.DynamicUser"
_OWNER = "gitprocOwner"  # the specification asks for a prefix of one's own
_KINDS = ("group", "user")  # in the order they are made
_DRAFT = ".gitproc-"
_SIZE_MAX = 4096
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_WRITE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC

log = logging.getLogger(__name__)


class UserRecords:
    """The records in a folder that are of one manager; `owner` tells it from others: a path of its own."""

    def __init__(self, folder: str, owner: str) -> None:
        self._folder = folder
        self._owner = owner

    def is_free(self, number: int) -> bool:
        """Whether no record of the folder has this number."""
        return not any(os.path.lexists(f"{self._folder}/{number}.{kind}") for kind in _KINDS)

    def write(self, name: str, number: int) -> None:
        """Have the name service know a name. LaunchError (USER): the name or number is in another's record.

        A folder that cannot be written is no reason not to start: then the number goes without a name.
        """
        try:
            with self._open() as folder:
                for kind in _KINDS:
                    self._put(folder, f"{name}.{kind}", self._record(kind, name, number))
                    self._point(folder, f"{number}.{kind}", f"{name}.{kind}")
        except OSError as error:
            log.warning("no name for the dynamic user %s: %s: %s", name, self._folder, error)

    def remove(self, name: str, number: int) -> None:
        """Have the name service forget a name that it has from us."""
        with suppress(OSError), self._open() as folder:
            for kind in reversed(_KINDS):
                record, link = f"{name}.{kind}", f"{number}.{kind}"
                if self._is_ours(_read(folder, record)):
                    if _target(folder, link) == record:
                        os.unlink(link, dir_fd=folder)
                    os.unlink(record, dir_fd=folder)

    def reconcile(self, taken: Mapping[str, int]) -> None:
        """Have there be records of these names, and of no others of ours: what was before is not known."""
        try:
            self._sweep(taken)
        except OSError as error:
            log.warning("names of dynamic users: %s", error)
        for name, number in taken.items():
            try:
                self.write(name, number)
            except LaunchError as error:
                log.warning("no name for the dynamic user %s: %s", name, error)

    def _sweep(self, taken: Mapping[str, int]) -> None:
        if not os.path.lexists(self._folder):
            return
        with self._open() as folder:
            for entry in os.listdir(self._folder):
                name, _, kind = entry.rpartition(".")
                if entry.startswith(_DRAFT):
                    os.unlink(entry, dir_fd=folder)
                elif kind in _KINDS and not name.isdecimal():
                    fields = _parsed(_read(folder, entry))
                    number = fields.get("gid")
                    if self._has_mark(fields) and taken.get(name) != number:
                        self.remove(name, number if isinstance(number, int) else -1)

    def _record(self, kind: str, name: str, number: int) -> bytes:
        marks = {"disposition": "dynamic", "service": _SERVICE, _OWNER: self._owner}
        if kind == "group":
            fields = {"groupName": name, "gid": number, "description": REAL_NAME}
        else:
            fields = {"userName": name, "uid": number, "gid": number, "realName": REAL_NAME}
            fields |= {"homeDirectory": "/", "locked": True}
        return json.dumps(fields | marks, indent=1).encode() + b"\n"

    def _put(self, folder: int, entry: str, record: bytes) -> None:
        there = _read(folder, entry)
        if there == record:
            return
        if self._is_ours(there):
            os.unlink(entry, dir_fd=folder)
        draft = f"{_DRAFT}{entry}"
        with suppress(FileNotFoundError):
            os.unlink(draft, dir_fd=folder)
        fd = os.open(draft, _WRITE, 0o600, dir_fd=folder)
        try:
            os.write(fd, record)
            os.fchmod(fd, 0o644)
            os.link(draft, entry, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
        except FileExistsError:
            raise self._in_the_way(entry) from None
        finally:
            os.close(fd)
            os.unlink(draft, dir_fd=folder)

    def _point(self, folder: int, link: str, record: str) -> None:
        try:
            os.symlink(record, link, dir_fd=folder)
        except FileExistsError:
            if _target(folder, link) != record:
                raise self._in_the_way(link) from None

    def _in_the_way(self, entry: str) -> LaunchError:
        return LaunchError("USER", f"{self._folder}/{entry} is a record of somebody else's")

    def _is_ours(self, record: bytes) -> bool:
        return self._has_mark(_parsed(record))

    def _has_mark(self, fields: dict[str, Any]) -> bool:
        marks = (fields.get("disposition"), fields.get("service"), fields.get(_OWNER))
        return marks == ("dynamic", _SERVICE, self._owner)

    @contextmanager
    def _open(self) -> Iterator[int]:
        with folder_of(f"{self._folder}/.", 0o755) as (found, _):
            yield found.fd


def _read(folder: int, entry: str) -> bytes:
    """A record's text; empty where there is no plain file of root's own that could be one of ours."""
    try:
        fd = os.open(entry, _READ, dir_fd=folder)
    except OSError:
        return b""
    try:
        info = os.fstat(fd)
        plain = stat.S_ISREG(info.st_mode) and info.st_uid == os.geteuid()
        return os.read(fd, _SIZE_MAX) if plain and info.st_size < _SIZE_MAX else b""
    finally:
        os.close(fd)


def _parsed(record: bytes) -> dict[str, Any]:
    try:
        found = json.loads(record)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _target(folder: int, link: str) -> str:
    with suppress(OSError):
        return os.readlink(link, dir_fd=folder)
    return ""
