"""The journal: an append-only file of checksummed lines, whole after any crash but for its last
line.

A record is one line, `CRC32 JSON`, the checksum in eight hexadecimal digits over the JSON's
bytes. Lines were chosen over length-prefixed frames because a reader finds its feet again at the
next newline, so damage in the middle costs one record and not the rest, and because an operator
can read them. JSON is written in ASCII, hence never holds a raw newline.

One record is one turn of the manager's loop: what was decided together is kept or lost together.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
import zlib
from pathlib import Path
from typing import Any

from gitproc.errors import StateError
from gitproc.immutable import NamedTuple
from gitproc.store.files import stands


class Reading(NamedTuple):
    """What a journal file holds: records in order, the bytes up to the end of the last whole one,
    findings.
    """

    records: list[dict[str, Any]]
    length: int
    warnings: list[str]


def encode(entries: str) -> bytes:
    """One line of the journal from the JSON text of one record."""
    body = entries.encode("ascii")
    return b"%08x %s\n" % (zlib.crc32(body), body)


def _decode(line: bytes) -> dict[str, Any] | None:
    try:
        if line[8:9] != b" " or int(line[:8], 16) != zlib.crc32(line[9:]):
            return None
        record = json.loads(line[9:])
    except ValueError:
        return None
    return record if isinstance(record, dict) else None


def read(path: Path) -> Reading:
    """Read a journal; a file that is not there is an empty one. StateError if it cannot be read
    at all.

    A last line that is torn (no newline, or a checksum that is wrong) is what a crash leaves
    behind: it is dropped with a warning, and `length` ends before it. Bad lines before good ones
    are damage: reported.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return Reading([], 0, [])
    except OSError as error:
        raise StateError(f"cannot read {path}: {error.strerror}", path=str(path)) from error
    records: list[dict[str, Any]] = []
    warnings: list[str] = []
    length = start = number = 0
    bad: list[int] = []
    while start < len(data):
        number += 1
        newline = data.find(b"\n", start)
        end = len(data) if newline < 0 else newline
        record = _decode(data[start:end]) if newline >= 0 else None
        start = end + 1
        if record is None:
            bad.append(number)
            continue
        warnings += [f"{path}:{line}: damaged record skipped" for line in bad]
        bad.clear()
        records.append(record)
        length = start
    if bad:
        torn = len(data) - length
        warnings.append(f"{path}:{bad[0]}: {torn} bytes after the last whole record dropped")
    return Reading(records, length, warnings)


class Journal:
    """The open end of a journal. Every append is one write(2); nothing is fsynced but by `sync`."""

    def __init__(self, path: Path, length: int) -> None:
        """Open (or create) `path` and cut it to `length` bytes, its whole records. Raises
        StateError.
        """
        self.path = path
        self.size = length
        self._ragged = True  # there may be bytes behind `size` that are no whole record
        self._unsynced = False
        self._syncing = threading.Lock()
        try:
            self._fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StateError(f"cannot open {path}: {error.strerror}", path=str(path)) from error
        try:
            self._trim()
        except StateError:
            os.close(self._fd)
            raise

    def _trim(self) -> None:
        if not self._ragged:
            return
        try:
            if os.fstat(self._fd).st_size != self.size:
                os.ftruncate(self._fd, self.size)
        except OSError as error:
            raise StateError(f"cannot truncate {self.path}: {error.strerror}") from error
        self._ragged = False

    @property
    def stands(self) -> bool:
        """Whether who reads its path would find what is appended."""
        return stands(self.path, self._fd)

    def append(self, line: bytes) -> None:
        """Write one encoded record. StateError if the disk refuses: then nothing of it counts as
        written.
        """
        self._trim()
        rest = memoryview(line)
        try:
            while rest:
                self._ragged = True
                rest = rest[os.write(self._fd, rest) :]
        except OSError as error:
            with contextlib.suppress(StateError):  # tried again before the next append
                self._trim()
            raise StateError(f"cannot write {self.path}: {error.strerror}") from error
        self._ragged = False
        self._unsynced = True
        self.size += len(line)

    def sync(self) -> None:
        """Make what was appended durable (fdatasync). StateError if the disk refuses.

        May run in a thread while another appends. After a failed fsync the kernel may have thrown the
        pages away and a second one may lie: the caller must write everything anew (a checkpoint).
        """
        with self._syncing:
            if not self._unsynced or self._fd < 0:
                return
            self._unsynced = (
                False  # before the call: what is appended meanwhile is for the next one
            )
            try:
                os.fdatasync(self._fd)
            except OSError as error:
                self._unsynced = True
                raise StateError(f"cannot sync {self.path}: {error.strerror}") from error

    def close(self) -> None:
        """Close the file, after a sync that is running; what was appended stays."""
        with self._syncing:
            if self._fd >= 0:
                os.close(self._fd)
                self._fd = -1
