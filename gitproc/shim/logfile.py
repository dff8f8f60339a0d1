"""One log file and its time index: exact bytes of the service, 16 bytes of index for every chunk moved.

`NAME.log` holds what the service wrote and nothing else, so grep, less and tail work. `NAME.log.index`
holds records of two little-endian 64-bit numbers, (offset in the file, realtime in nanoseconds). Bytes go
from pipe to file by splice(2): a logger that dies at any instruction loses none, at worst the record of one
chunk. On a full disk the pipe is emptied into nowhere and the loss is counted: a service must not stand
still because a disk is full.

A log is rotated when it or its index is large enough: who writes single bytes fills the index first.
Rotation renames `NAME.log` to `NAME.log.1` and so on, each with its index, between two lines where the
service leaves a chance (within another 64 kB).

After a shim was killed there are two loggers: its own, which serves the pipes it had to their end, and its
successor's. Both may write for one service (its main process, its ExecReload=), so each chunk is written
under a lock.
"""

# ruff: noqa: SIM105 (contextlib would cost every start 4 ms)

import errno
import fcntl
import os
import struct
import time

from gitproc.shim.logrules import RateLimit

_RECORD = struct.Struct("<QQ")
_CHUNK = 1 << 20
_GRACE = 65536
_OPEN = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
_LOCK_PATIENCE = 1.0  # seconds; the other logger holds it for less, unless it gets no processor
_LOCK_PAUSE = 0.0001  # seconds between tries
_LOCK_DISTRUST = 60.0  # seconds for which nobody waits for a lock that was not given back
_RETRY = 1.0  # seconds between attempts to open a file that could not be opened


class LogFile:
    """The file at `path`; `files` old generations are kept once it has grown over `max_bytes` (0: never)."""

    __slots__ = (
        "_index",
        "_indexed",
        "_log",
        "_retry",
        "_unlockable_until",
        "dropped",
        "files",
        "limit",
        "max_bytes",
        "path",
        "users",
    )

    def __init__(self, path: str, max_bytes: int, files: int) -> None:
        self.path = path
        self.max_bytes = max_bytes
        self.files = files
        self.users = 0
        self.dropped = 0
        self.limit = RateLimit()
        self._log = self._index = -1
        self._retry = 0.0
        self._unlockable_until = 0.0
        self._indexed = 0  # bytes of the index

    def move(self, pipe: int) -> tuple[int, str]:
        """Move what is in the pipe: (bytes taken, news for people). 0 bytes: all writers have closed.

        BlockingIOError: the pipe is empty for now.
        """
        try:
            if self._log < 0:
                self._open()
            start, moved = self._append(pipe)
        except BlockingIOError:
            raise
        except OSError as error:
            return self._drop(len(os.read(pipe, _CHUNK)), error)
        return self._moved(start, moved)

    def write(self, data: bytes) -> str:
        """Append bytes; the news for people."""
        try:
            if self._log < 0:
                self._open()
            self._lock()
            try:
                start, view = os.lseek(self._log, 0, os.SEEK_END), memoryview(data)
                while view:
                    view = view[os.write(self._log, view) :]
            finally:
                fcntl.flock(self._log, fcntl.LOCK_UN)
        except OSError as error:
            return self._drop(len(data), error)[1]
        return self._moved(start, len(data))[1]

    def _moved(self, start: int, moved: int) -> tuple[int, str]:
        if not moved:
            return 0, ""
        self._record(start)
        if self.max_bytes and max(start + moved, self._indexed) >= self.max_bytes:
            self._rotate_between_lines(start + moved)
        if not self.dropped:
            return moved, ""
        news = f"{self.path}: writable again, {self.dropped} bytes were lost"
        self.dropped = 0
        return moved, news

    def _append(self, pipe: int) -> tuple[int, int]:
        """splice(2) refuses O_APPEND, so the end of the file is looked for: alone (where it was, bytes moved)."""
        self._lock()
        try:
            start = os.lseek(self._log, 0, os.SEEK_END)
            flags = os.SPLICE_F_NONBLOCK | os.SPLICE_F_MOVE
            return start, os.splice(pipe, self._log, _CHUNK, flags=flags)
        finally:
            fcntl.flock(self._log, fcntl.LOCK_UN)

    def _lock(self) -> None:
        """Waited for, but not for long: a reader that keeps such a lock must not hold up every log."""
        begun = 0.0
        while True:
            try:
                fcntl.flock(self._log, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                now = time.monotonic()
            begun = begun or now
            if now < self._unlockable_until:
                return
            if now - begun > _LOCK_PATIENCE:
                self._unlockable_until = now + _LOCK_DISTRUST
                return
            time.sleep(_LOCK_PAUSE)

    def reopen(self) -> None:
        """Close: the next chunk opens whatever the path names then (after a foreign rotation)."""
        for fd in (self._log, self._index):
            if fd >= 0:
                os.close(fd)
        self._log = self._index = -1
        self._retry = 0.0

    def _open(self) -> None:
        now = time.monotonic()
        if now < self._retry:
            raise OSError(errno.EIO, "not opened yet")
        self._retry = now + _RETRY
        try:
            log = os.open(self.path, _OPEN, 0o640)
        except FileNotFoundError:
            os.mkdir(os.path.dirname(self.path), 0o755)
            log = os.open(self.path, _OPEN, 0o640)
        try:
            self._index = self._open_index(os.fstat(log).st_size == 0)
        except OSError:
            self._index = -1  # lines without times are better than no lines
        self._log = log

    def _open_index(self, fresh: bool) -> int:
        path, rotated = f"{self.path}.index", f"{self.path}.1.index"
        if fresh and os.path.exists(f"{self.path}.1") and not os.path.exists(rotated):
            try:  # a rotation was cut off between its renames
                os.rename(path, rotated)
            except FileNotFoundError:
                pass
        index = os.open(path, _OPEN | os.O_APPEND, 0o640)
        size = os.fstat(index).st_size
        self._indexed = 0 if fresh else size
        if fresh and size:
            os.ftruncate(index, 0)
        elif size % _RECORD.size:
            os.ftruncate(index, size - size % _RECORD.size)
        return index

    def _record(self, offset: int) -> None:
        if self._index < 0:
            return
        try:
            self._indexed += _RECORD.size
            if os.write(self._index, _RECORD.pack(offset, time.time_ns())) != _RECORD.size:
                size = os.fstat(self._index).st_size
                os.ftruncate(self._index, size - size % _RECORD.size)
        except OSError:
            pass  # a full disk: the chunk goes without a time

    def _drop(self, lost: int, error: OSError) -> tuple[int, str]:
        first = not self.dropped
        self.dropped += lost
        return (
            lost,
            f"{self.path}: {error.strerror}; output is being lost" if first and lost else "",
        )

    def _rotate_between_lines(self, size: int) -> None:
        try:
            grown = max(size, self._indexed) >= self.max_bytes + _GRACE
            if not grown and os.pread(self._log, 1, size - 1) != b"\n":
                return
            self._rotate()
        except OSError:
            pass  # it goes on growing; the next chunk tries again

    def _rotate(self) -> None:
        if not self.files:
            os.ftruncate(self._log, 0)
        for number in range(self.files, 0, -1):
            older = f"{self.path}.{number}"
            newer = f"{self.path}.{number - 1}" if number > 1 else self.path
            for suffix in ("", ".index"):
                try:
                    os.rename(newer + suffix, older + suffix)
                except FileNotFoundError:
                    pass
        self.reopen()
