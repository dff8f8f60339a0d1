"""An append-only text file that rotates: NAME, NAME.1 ... NAME.N, the oldest dropped.

Lines are never split over two files. A file that does not end in a newline (a crash, a full disk) is given
one before the next line, so that one torn line never spoils two.
"""

from __future__ import annotations

import os
from pathlib import Path


class RotatingFile:
    """The one writer of a rotating file; opened at the first write. `files` counts the rotated ones."""

    def __init__(self, path: Path, max_bytes: int, files: int, mode: int = 0o640) -> None:
        self.path = path
        self._max_bytes = max_bytes
        self._files = files
        self._mode = mode
        self._fd = -1
        self._size = 0

    def write(self, lines: bytes) -> None:
        """Append whole lines. Raises OSError; then they may be in the file in part, and count as lost."""
        if self._fd >= 0 and self._size and self._size + len(lines) > self._max_bytes:
            self._rotate()
        if self._fd < 0:
            self._open()
        rest = memoryview(lines)
        try:
            while rest:
                written = os.write(self._fd, rest)
                self._size += written
                rest = rest[written:]
        except OSError:
            self.close()  # the next write looks at the end of the file again
            raise

    def close(self) -> None:
        """Close the file; a later write opens it again."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _open(self) -> None:
        fd = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, self._mode)
        try:
            size = os.fstat(fd).st_size
            if size and os.pread(fd, 1, size - 1) != b"\n":
                size += os.write(fd, b"\n")
        except OSError:
            os.close(fd)
            raise
        self._fd, self._size = fd, size

    def _rotate(self) -> None:
        self.close()
        for number in range(self._files, 0, -1):
            older = rotated(self.path, number)
            newer = rotated(self.path, number - 1)
            if newer.exists():
                newer.replace(older)
        if not self._files:
            self.path.unlink(missing_ok=True)


def rotated(path: Path, number: int) -> Path:
    """`NAME.3` of NAME and 3; NAME itself of 0."""
    return path.with_name(f"{path.name}.{number}") if number else path
