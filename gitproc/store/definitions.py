"""Kept definitions: what a running instance was started from, so that it is stopped by the same
text.

All lie in one file, a line for each: `FINGERPRINT CRC32 JSON`. One that is new or has changed is appended with
one write(2), as a thousand starts cannot wait for a thousand new files; the last line of a fingerprint counts.
Lines that nobody needs go when they outweigh the others. Nothing is fsynced: definitions matter as long as
instances run, and no instance outlives a loss of power. Hence a line is believed only if its checksum is right.
"""

from __future__ import annotations

import json
import logging
import os
import zlib
from contextlib import suppress
from pathlib import Path
from typing import Any

from gitproc.errors import StateError
from gitproc.store import files

FILE = "kept"
_COMPACT_BYTES = 1 << 16  # of lines that nobody needs
_OLD_SUFFIX = ".json"  # earlier versions had a file for each

_log = logging.getLogger(__name__)
_encode = json.JSONEncoder(separators=(",", ":")).encode


class Definitions:
    """The folder of kept definitions (`STATE/definitions`). One at a time writes there."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._path = directory / FILE
        self._fd = -1
        self._lines: dict[str, tuple[int, int]] | None = None  # where it begins, how long it is
        self._size = 0  # of all whole lines
        self._needed = 0  # of those that count
        self._ragged = False  # there is more in the file than whole lines

    def put(self, fingerprint: str, frozen: dict[str, Any]) -> None:
        """Keep a frozen unit, in place of one of the same fingerprint. StateError if the disk refuses."""
        body = _encode(frozen).encode("ascii")
        line = b"%s %08x %s\n" % (_checked(fingerprint).encode(), zlib.crc32(body), body)
        lines = self._load()
        with suppress(OSError):
            if fingerprint in lines and self._read(*lines[fingerprint]) == line:
                return
        try:
            self._append(line)
        except OSError as error:
            raise StateError(
                f"cannot write {self._path}: {error.strerror}", path=str(self._path)
            ) from error
        self._forget(fingerprint)
        lines[fingerprint] = (self._size, len(line))
        self._size += len(line)
        self._needed += len(line)

    def get(self, fingerprint: str) -> dict[str, Any] | None:
        """The frozen unit; None if it is not kept, or damaged (then with a warning in the log)."""
        place = self._load().get(_checked(fingerprint))
        try:
            if place is None:
                return _old(self._old_path(fingerprint), fingerprint)
            return _decode(self._read(*place))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            _log.warning("cannot use kept definition %s: %s", fingerprint, error)
            return None

    def drop(self, fingerprint: str) -> None:
        """Forget one that nothing will ask for again."""
        self._load()
        self._forget(fingerprint)
        if self._size - self._needed > max(_COMPACT_BYTES, self._needed):
            self._compact()

    def prune(self, keep: set[str]) -> int:
        """Forget every definition but those of `keep`; returns how many went."""
        lines = self._load()
        unneeded = [fingerprint for fingerprint in lines if fingerprint not in keep]
        for fingerprint in unneeded:
            self._forget(fingerprint)
        if self._needed < self._size or self._ragged:
            self._compact()
        return len(unneeded) + self._take_over(keep)

    @property
    def lost(self) -> bool:
        """Whether somebody has taken the file away; `close`, and all are to be put again."""
        return self._fd >= 0 and not files.stands(self._path, self._fd)

    def close(self) -> None:
        """Give the file back; it is opened again when it is needed."""
        if self._fd >= 0:
            os.close(self._fd)
        self._fd, self._lines = -1, None

    def _take_over(self, keep: set[str]) -> int:
        """What an earlier version has kept in a file of its own; how many of those are not needed."""
        paths: list[Path] = []
        with suppress(FileNotFoundError):
            paths = [path for path in self.directory.iterdir() if path.name != FILE]
        removed = 0
        for path in paths:
            if path.suffix == _OLD_SUFFIX and path.stem in keep:
                frozen = self.get(path.stem)
                if frozen is not None:
                    self.put(path.stem, frozen)
            else:
                removed += 1
            path.unlink(missing_ok=True)
        return removed

    def _old_path(self, fingerprint: str) -> Path:
        return self.directory / (fingerprint + _OLD_SUFFIX)

    def _forget(self, fingerprint: str) -> None:
        _, length = self._load().pop(fingerprint, (0, 0))
        self._needed -= length

    def _load(self) -> dict[str, tuple[int, int]]:
        if self._lines is None:
            self._lines = {}
            self._size = self._needed = 0
            data = b""
            with suppress(OSError):
                data = self._path.read_bytes()
            while end := data.find(b"\n", self._size) + 1:
                length = end - self._size
                fingerprint = data[self._size : end].partition(b" ")[0].decode("ascii", "replace")
                self._forget(fingerprint)
                self._lines[fingerprint] = (self._size, length)
                self._needed += length
                self._size = end
            self._ragged = self._size != len(data)
        return self._lines

    def _open(self) -> int:
        if self._fd < 0:
            flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
            try:
                self._fd = os.open(self._path, flags, 0o600)
            except FileNotFoundError:
                self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
                self._fd = os.open(self._path, flags, 0o600)
        return self._fd

    def _read(self, offset: int, length: int) -> bytes:
        return os.pread(self._open(), length, offset)

    def _append(self, line: bytes) -> None:
        fd = self._open()
        if self._ragged:
            os.ftruncate(fd, self._size)
        self._ragged = True
        rest = memoryview(line)
        while rest:
            rest = rest[os.write(fd, rest) :]
        self._ragged = False

    def _compact(self) -> None:
        """Write the lines that count, and no others, in one step; a disk that refuses leaves all as it is."""
        lines = self._load()
        try:
            pieces = {name: self._read(*place) for name, place in lines.items()}
            files.replace(self._path, b"".join(pieces.values()), durable=False)
        except OSError as error:
            _log.warning("cannot tidy %s: %s", self._path, error.strerror)
            return
        self.close()
        self._load()


def _checked(fingerprint: str) -> str:
    if not fingerprint.isalnum() or not fingerprint.isascii():
        raise ValueError(f"not a fingerprint: {fingerprint!r}")
    return fingerprint


def _decode(line: bytes) -> dict[str, Any]:
    _, checksum, body = line.split(b" ", 2)
    if int(checksum, 16) != zlib.crc32(body.removesuffix(b"\n")):
        raise ValueError("wrong checksum")
    unit = json.loads(body.decode("ascii"))  # of bytes it would look which encoding they are in
    if not isinstance(unit, dict):
        raise ValueError("holds no unit")
    return unit


def _old(path: Path, fingerprint: str) -> dict[str, Any]:
    content = json.loads(path.read_bytes())
    if content["fingerprint"] != fingerprint or not isinstance(content["unit"], dict):
        raise ValueError("holds another definition")
    unit: dict[str, Any] = content["unit"]
    return unit
