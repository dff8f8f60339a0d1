"""The files of one log, held open: `NAME.log` and its rotated parts, each with its index.

The logger renames while we read. A file that is open stays what it was, so the only care is at opening: each
log with its own index, all files in order, none missed.
"""

from __future__ import annotations

import os
from itertools import count
from pathlib import Path

from gitproc.errors import StateError
from gitproc.store.log_index import TimeIndex
from gitproc.store.rotation import rotated

BLOCK = 1 << 16


class Segment:
    """One file of a log, held open together with its index."""

    def __init__(self, path: Path) -> None:
        """Raises FileNotFoundError, or OSError if it cannot be read."""
        self.path = path
        self._fd = self._index_fd = -1
        try:
            self._open()
        except BaseException:
            self.close()
            raise
        status = os.fstat(self._fd)
        self.inode: tuple[int, int] = (status.st_dev, status.st_ino)
        self.changed = status.st_mtime
        self.index = TimeIndex(self._index_fd)

    def _open(self) -> None:
        for _ in range(5):  # until no rotation has come between the two files
            self.close()
            self._fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
            try:
                self._index_fd = os.open(index_path(self.path), os.O_RDONLY | os.O_CLOEXEC)
            except OSError:
                self._index_fd = -1
            try:
                if os.path.samestat(self.path.stat(), os.fstat(self._fd)):
                    return
            except FileNotFoundError:
                continue

    def renew_index(self) -> None:
        """Take in what was indexed since, also by an index that was not there before."""
        if self._index_fd >= 0:
            self.index.refresh()
        elif _inode(self.path) == self.inode:  # else the name is another file's by now
            try:
                self._index_fd = os.open(index_path(self.path), os.O_RDONLY | os.O_CLOEXEC)
            except OSError:
                return
            self.index = TimeIndex(self._index_fd)

    def size(self) -> int:
        """Bytes, now."""
        return os.fstat(self._fd).st_size

    def read(self, offset: int, length: int = BLOCK) -> bytes:
        """At most `length` bytes from `offset`; empty at the end."""
        return os.pread(self._fd, length, offset)

    def close(self) -> None:
        """Close both files."""
        for fd in (self._fd, self._index_fd):
            if fd >= 0:
                os.close(fd)
        self._fd = self._index_fd = -1


def index_path(path: Path) -> Path:
    """`NAME.log.1.index` of `NAME.log.1`."""
    return path.with_name(path.name + ".index")


def open_segments(path: Path) -> list[Segment]:
    """All files of a log, oldest first; none if there is no log. StateError if one cannot be read."""
    for _ in range(5):
        segments = _open_once(path)
        if is_newest(path, segments[-1] if segments else None):
            break
        close_all(segments)  # rotated meanwhile: the files may be out of order
        segments = []
    return segments or _open_once(path)


def _open_once(path: Path) -> list[Segment]:
    found: list[Segment] = []
    try:
        for number in count():
            try:
                segment = Segment(rotated(path, number))
            except FileNotFoundError:
                if number == 0:
                    continue  # a unit that has said nothing since the rotation
                break
            if any(segment.inode == other.inode for other in found):
                segment.close()
            else:
                found.append(segment)
    except OSError as error:
        close_all(found)
        raise StateError(f"cannot read {error.filename or path}: {error.strerror}") from error
    found.reverse()
    return found


def _inode(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def is_newest(path: Path, segment: Segment | None) -> bool:
    """Whether no file of the log is newer. After a rotation `NAME.log` is missing until something comes."""
    newest = _inode(path) or _inode(rotated(path, 1))
    return newest is None or (segment is not None and newest == segment.inode)


def close_all(segments: list[Segment]) -> None:
    """Close every one of them."""
    for segment in segments:
        segment.close()


def successors(path: Path, held: Segment | None) -> list[Segment]:
    """The held file and those that came after it, even if it has been rotated out of existence."""
    segments = open_segments(path)
    if held is None:
        return segments
    inodes = [segment.inode for segment in segments]
    if held.inode in inodes:
        later = segments[inodes.index(held.inode) + 1 :]
    else:
        later = [segment for segment in segments if segment.changed >= held.changed]
    close_all([segment for segment in segments if segment not in later])
    return [held, *later]
