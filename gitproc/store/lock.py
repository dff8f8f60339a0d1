"""One manager per state directory: a flock that names its holder and dies with it."""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path

from gitproc.errors import StateError
from gitproc.store.files import stands


class Lock:
    """flock(2) on `DIRECTORY/lock`, whose content (a pid) only serves the error message."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / "lock"
        self._fd = -1

    def acquire(self) -> None:
        """Take the lock or raise StateError that says who holds it. Taking it twice is no error."""
        if self._fd >= 0:
            return
        try:
            fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StateError(f"cannot open {self._path}: {error.strerror}") from error
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = _describe(os.read(fd, 32))
            os.close(fd)
            raise StateError(
                f"state directory {self._path.parent} is in use by {holder}", holder=holder
            ) from error
        except OSError as error:
            os.close(fd)
            raise StateError(f"cannot lock {self._path}: {error.strerror}") from error
        self._fd = fd
        with contextlib.suppress(OSError):  # on a full disk nobody learns who holds it: it is held
            os.ftruncate(fd, 0)
            os.write(fd, b"%d\n" % os.getpid())

    @property
    def stands(self) -> bool:
        """Whether who comes next would find the file that is locked."""
        return stands(self._path, self._fd)

    def release(self) -> None:
        """Let the next one in; the file stays."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def _describe(content: bytes) -> str:
    """`process 123 (title)`, as far as it can be told."""
    text = content.decode("ascii", "replace").strip()
    if not text.isdigit():
        return "another process"
    try:
        words = Path(f"/proc/{text}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return f"process {text}"
    title = b" ".join(words).decode("utf-8", "replace").strip()[:80]
    return f"process {text} ({title})" if title else f"process {text}"
