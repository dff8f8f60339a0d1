"""Records of who is on which terminal, in utmp and wtmp: UtmpIdentifier= and UtmpMode= of systemd.exec(5), utmp(5).

A file that is not there is not made: a host without it wants no such records. The record of an identifier in
utmp is replaced, wtmp only grows. Anybody may lock utmp, so nobody waits for it for ever.
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct
import time

TYPE_CHECKING = False  # `typing` and `collections` stay out of this process
if TYPE_CHECKING:
    from gitproc.shim.setup import Setup

INIT, LOGIN, USER, DEAD = 5, 6, 7, 8
_KINDS = {"init": (INIT,), "login": (INIT, LOGIN), "user": (INIT, LOGIN, USER)}
_BY_ID = (INIT, LOGIN, USER, DEAD)
_WIDE = os.uname().machine != "x86_64"  # glibc: times and sessions of 64 bits
_RECORD = struct.Struct("=hxxi32s4s32s256shh" + ("qqq4i20s4x" if _WIDE else "iii4i20s"))
_PATIENCE, _PAUSE = 5.0, 0.05  # seconds that a child waits for the lock
_MOST = 1 << 20  # bytes of utmp that are read


def begin(setup: Setup) -> None:
    """The process is on the terminal from now on; what cannot be written is said, as it is no reason to fail."""
    if "utmp" not in setup.spec:
        return
    utmp, wtmp, identifier, line, mode, user = setup.spec["utmp"]
    pid, session = os.getpid(), os.getsid(0)
    for kind in _KINDS[mode]:
        record = _pack(kind, pid, session, identifier, line, user if kind == USER else "")
        try:
            _replace(utmp, record, _PATIENCE)
            _append(wtmp, record, _PATIENCE)
        except OSError as error:
            setup.warn(f"{line or identifier} is not in utmp: {error.strerror}")
            return


def end(utmp: str, wtmp: str, identifier: str) -> str:
    """Nobody is on the terminal any more: the record that a process has left is marked. What could not be done."""
    try:
        found = _find(utmp, _key(identifier))
        if found is None:
            return ""
        fields = _RECORD.unpack(found[1])
        kind, pid, line, key, session = fields[0], fields[1], fields[2], fields[3], fields[8]
        if kind == DEAD or os.path.exists(f"/proc/{pid}"):
            return ""
        _replace(utmp, _dead(pid, line, key, session, 0.0), 0.0)
        _append(wtmp, _dead(pid, line, key, session, time.time()), 0.0)
    except OSError as error:
        return f"the record in utmp stays: {error.strerror}"
    return ""


def _key(identifier: str) -> bytes:
    """The last four bytes, which is what there is room for."""
    return identifier.encode("utf-8", "surrogateescape")[-4:]


def _pack(kind: int, pid: int, session: int, identifier: str, line: str, user: str) -> bytes:
    now = time.time()
    parts = int(now), int(now % 1 * 1_000_000)
    name = user.encode("utf-8", "surrogateescape")[:32]
    where = line.encode("utf-8", "surrogateescape")[:32]
    return _RECORD.pack(
        kind, pid, where, _key(identifier), name, b"", 0, 0, session, *parts, 0, 0, 0, 0, b""
    )


def _dead(pid: int, line: bytes, key: bytes, session: int, at: float) -> bytes:
    parts = int(at), int(at % 1 * 1_000_000)
    return _RECORD.pack(DEAD, pid, line, key, b"", b"", 0, 0, session, *parts, 0, 0, 0, 0, b"")


def _find(path: str, key: bytes) -> tuple[int, bytes] | None:
    """Offset and content of the record of an identifier."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return None
    try:
        return _search(os.pread(fd, _MOST, 0), key)
    finally:
        os.close(fd)


def _search(content: bytes, key: bytes) -> tuple[int, bytes] | None:
    for at in range(0, len(content) - _RECORD.size + 1, _RECORD.size):
        record = content[at : at + _RECORD.size]
        fields = _RECORD.unpack(record)
        if fields[0] in _BY_ID and fields[3].rstrip(b"\0") == key:
            return at, record
    return None


def _replace(path: str, record: bytes, patience: float) -> None:
    fd = _open(path, patience)
    if fd < 0:
        return
    try:
        content = os.pread(fd, _MOST, 0)
        found = _search(content, _RECORD.unpack(record)[3].rstrip(b"\0"))
        at = found[0] if found else len(content) // _RECORD.size * _RECORD.size
        os.pwrite(fd, record, at)
    finally:
        os.close(fd)


def _append(path: str, record: bytes, patience: float) -> None:
    fd = _open(path, patience)
    if fd < 0:
        return
    try:
        os.pwrite(fd, record, os.fstat(fd).st_size // _RECORD.size * _RECORD.size)
    finally:
        os.close(fd)


def _open(path: str, patience: float) -> int:
    """The file, locked against other writers until it is closed; -1 if there is none."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return -1
    deadline = time.monotonic() + patience
    while True:
        try:
            fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            busy = error.errno in (errno.EAGAIN, errno.EACCES)
            if not busy or time.monotonic() >= deadline:
                os.close(fd)
                raise
            time.sleep(_PAUSE)
        else:
            return fd
