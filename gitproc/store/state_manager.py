"""The manager's memory: a durable map of keys to JSON values, safe against a crash at any byte.

Changes of one loop turn are one record of the journal; `state.json` is a checkpoint of the whole
map. Both carry a generation: `journal.N` holds what happened after checkpoint N. A checkpoint N+1
is written beside the old one, which stays as `state.json.old` together with `journal.N`, so that
a `state.json` that turns out damaged costs nothing: the older checkpoint and both journals give
the same map. Replaying a journal over a checkpoint that has it already changes nothing, since the
last value of a key wins; so a crash between any two of the file operations below is harmless.

Waiting for the disk is for a thread: `sync` may run in one while the loop puts and flushes. The lock is
held for memory and write(2), not for the fdatasync; a checkpoint holds it throughout.
"""

from __future__ import annotations

import contextlib
import json
import logging
import threading
import zlib
from pathlib import Path
from typing import Any

from gitproc.errors import StateError
from gitproc.immutable import NamedTuple
from gitproc.pattern import pattern
from gitproc.store import files, journal
from gitproc.store.journal import Journal
from gitproc.store.lock import Lock

VERSION = 1
COMPACT_BYTES = 1 << 20
TIDY_BYTES = 1 << 16

_log = logging.getLogger(__name__)
_encode = json.JSONEncoder(separators=(",", ":")).encode  # `dumps` would make one for each value
_NOTHING = "null"
_TRAILER = pattern(rb'\n"crc32": "([0-9a-f]{8})"}\n?\Z')
_JOURNAL = pattern(r"journal\.(\d{1,18})")


class Checkpoint(NamedTuple):
    """The parsed content of one state.json."""

    generation: int
    entries: dict[str, Any]
    texts: dict[str, str]  # the same, as JSON


def encode_value(value: Any) -> str:
    """Compact ASCII JSON; raises TypeError for what JSON cannot hold."""
    return _encode(value)


def encode_checkpoint(generation: int, entries: dict[str, str]) -> bytes:
    """The bytes of a state.json: one entry a line, then a checksum over every byte before it."""
    lines = ",\n".join(f"  {encode_value(key)}: {text}" for key, text in entries.items())
    head = f'{{"version": {VERSION},\n"generation": {generation},\n"entries": {{\n{lines}\n}},'
    body = head.encode("ascii")
    return body + b'\n"crc32": "%08x"}\n' % zlib.crc32(body)


def decode_checkpoint(data: bytes) -> Checkpoint:
    """Inverse of `encode_checkpoint`; ValueError if damaged, StateError if of another version."""
    trailer = _TRAILER.search(data)
    if trailer is None:
        raise ValueError("incomplete")
    if int(trailer[1], 16) != zlib.crc32(data[: trailer.start()]):
        raise ValueError("wrong checksum")
    text = data.decode("ascii")
    content = json.loads(text)
    if content["version"] != VERSION:
        raise StateError(
            f"state of version {content['version']} was written by another GitProc; "
            f"this one reads version {VERSION}"
        )
    entries: dict[str, Any] = content["entries"]
    lines = text.split("\n")[3:-3]  # one for each entry
    texts = {}
    for (key, value), line in zip(entries.items(), lines, strict=True) if entries else ():
        at = line.index('": ')
        written = "\\" not in line[:at]  # else the key may have a quotation mark in it
        texts[key] = line[at + 3 :].removesuffix(",") if written else encode_value(value)
    return Checkpoint(content["generation"], entries, texts)


class StateManager:
    """Durable map of keys to JSON values in `directory`. One manager at a time holds it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.warnings: list[str] = []
        """What `load` found damaged, for `status` and the log."""
        self._state = directory / "state.json"
        self._old = directory / "state.json.old"
        self._holder = Lock(directory)
        self._lock = threading.RLock()
        self._entries: dict[
            str, str
        ] = {}  # as JSON text: what callers do to their values is theirs
        self._pending: dict[str, str] = {}
        self._journal: Journal | None = None
        self._generation = 0  # of the journal being written
        self._state_generation = 0  # of state.json
        self._old_generation = 0  # of state.json.old; journals from here on are kept
        self._checkpoint_bytes = 0
        self._suspect = False  # what the journal holds may not be on disk: only a checkpoint helps

    def load(self) -> dict[str, Any]:
        """Lock the directory (made if needed) and read it; what is damaged is in `warnings`.

        StateError: held by another manager, unreadable, or written by another version.
        """
        try:
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise StateError(f"cannot make {self.directory}: {error.strerror}") from error
        self._holder.acquire()
        try:
            return self._load()
        except OSError as error:
            self.close()
            raise StateError(f"cannot read state in {self.directory}: {error}") from error
        except BaseException:
            self.close()
            raise

    def _load(self) -> dict[str, Any]:
        self.warnings = []
        state = self._read_checkpoint(self._state)
        old = self._read_checkpoint(self._old)
        base = state or old or Checkpoint(0, {}, {})
        values, texts = base.entries, base.texts
        generations = [number for number in self._journals() if number >= base.generation]
        length = 0
        for generation in generations:
            reading = journal.read(self._journal_path(generation))
            self.warnings += reading.warnings
            length = reading.length
            for record in reading.records:
                for key, value in record.items():
                    texts.pop(key, None)
                    if value is None:
                        values.pop(key, None)
                    else:
                        values[key] = value
        self._entries = {
            key: texts.get(key) or encode_value(value) for key, value in values.items()
        }
        self._pending = {}
        self._checkpoint_bytes = sum(len(key) + len(text) for key, text in self._entries.items())
        self._generation = generations[-1] if generations else base.generation
        self._state_generation = state.generation if state else 0
        self._old_generation = old.generation if old else 0
        self._journal = Journal(self._journal_path(self._generation), length)
        self._suspect = False
        files.sync_directory(self.directory)
        for warning in self.warnings:
            _log.warning("%s", warning)
        return values

    def put(self, key: str, value: Any) -> None:
        """Remember `value` under `key`; None forgets the key. In memory only until `flush`.

        Putting what is there already costs nothing. Raises TypeError for what JSON cannot hold.
        """
        self.put_text(key, encode_value(value))

    def put_text(self, key: str, text: str) -> None:
        """As `put`, of a value that is compact ASCII JSON already."""
        with self._lock:
            if text == _NOTHING:
                if self._entries.pop(key, None) is None:
                    return
            elif self._entries.get(key) == text:
                return
            else:
                self._entries[key] = text
            self._pending[key] = text

    @property
    def dirty(self) -> bool:
        """Something was put that `flush` has not written."""
        return bool(self._pending)

    def flush(self) -> None:
        """Write what was put since the last flush: one record, one write(2), no fsync.

        StateError if the disk refuses; nothing is lost then, the next flush tries again.
        """
        with self._lock:
            if self._pending:
                pairs = (f"{encode_value(key)}:{text}" for key, text in self._pending.items())
                self._writer().append(journal.encode(f"{{{','.join(pairs)}}}"))
                self._pending.clear()

    def sync(self) -> None:
        """Flush, and make everything that was put durable (fdatasync); for a thread.

        Nothing to do costs nothing. StateError as `flush`: then nothing may be taken for safe.
        """
        with self._lock:
            self.flush()
            if self._suspect:
                self.checkpoint()
                return
            current = self._writer()
        self._sync(current)

    def _sync(self, current: Journal) -> None:
        try:
            current.sync()
        except StateError:
            self._suspect = True
            raise

    @property
    def untidy(self) -> bool:
        """The journal has so much in it that who reads it next would be glad of a checkpoint."""
        return self._writer().size > max(TIDY_BYTES, self._checkpoint_bytes // 2)

    @property
    def wants_checkpoint(self) -> bool:
        """The journal has outgrown max(1 MiB, twice the checkpoint)."""
        return self._writer().size > max(COMPACT_BYTES, 2 * self._checkpoint_bytes)

    def checkpoint(self) -> None:
        """Write state.json anew (atomic, fsynced) and begin a fresh journal.

        StateError if the disk refuses: nothing is lost, and the next call tries again.
        """
        with self._lock:
            self._checkpoint()

    def _checkpoint(self) -> None:
        self.flush()
        current = self._writer()
        if not self._suspect:
            self._sync(current)
        following = self._generation + 1
        data = encode_checkpoint(following, self._entries)
        fresh = self.directory / "state.json.new"
        try:
            files.write(fresh, data, durable=True)
            successor = Journal(self._journal_path(following), 0)
        except OSError as error:
            fresh.unlink(missing_ok=True)
            raise StateError(f"cannot write {fresh}: {error.strerror}", path=str(fresh)) from error
        # The successor takes the records from here on whatever becomes of the renames: a reader
        # replays every journal it finds. Until they are done, what it holds may not survive a
        # loss of power.
        current.close()
        self._journal, self._generation, self._suspect = successor, following, True
        try:
            if self._state.exists():
                self._state.replace(self._old)
                self._old_generation = self._state_generation
            fresh.replace(self._state)
            self._state_generation = following
            files.sync_directory(self.directory)
        except OSError as error:
            raise StateError(f"cannot replace {self._state}: {error.strerror}") from error
        self._suspect = False
        self._checkpoint_bytes = len(data)
        for generation in self._journals():
            if generation < self._old_generation:
                with contextlib.suppress(OSError):  # it is replayed in vain, no more
                    self._journal_path(generation).unlink()

    @property
    def lost(self) -> bool:
        """Whether somebody has taken the files away: what is put is in memory only until `renew`."""
        with self._lock:
            if self._journal is None:
                return False
            whole = self._state.exists() or not self._state_generation
            return not (whole and self._holder.stands and self._journal.stands)

    def renew(self) -> None:
        """Write all that is remembered into the directory, whatever is there now; for a thread.

        StateError if the disk refuses, or another manager has taken the place.
        """
        with self._lock:
            self._holder.release()
            self._holder.acquire()
            if not self._writer().stands:
                self._pending.clear()  # nobody will read it there
            self._suspect = True
            self._checkpoint()

    def close(self) -> None:
        """Flush if the disk lets us, release the lock. `load` may be called again."""
        with self._lock:
            try:
                if self._journal is not None:
                    self.flush()
            finally:
                if self._journal is not None:
                    self._journal.close()
                    self._journal = None
                self._holder.release()

    def _writer(self) -> Journal:
        if self._journal is None:
            raise StateError(f"state in {self.directory} is not loaded")
        return self._journal

    def _read_checkpoint(self, path: Path) -> Checkpoint | None:
        """Parse a checkpoint; a damaged one is put aside, so that it never becomes the fallback."""
        try:
            return decode_checkpoint(path.read_bytes())
        except FileNotFoundError:
            return None
        except ValueError as error:
            aside = path.with_name(path.name + ".damaged")
            path.replace(aside)
            self.warnings.append(
                f"{path}: damaged ({error}), kept as {aside.name}; using older state"
            )
            return None

    def _journals(self) -> list[int]:
        """Generations of the journals that exist, oldest first."""
        matches = (_JOURNAL.fullmatch(path.name) for path in self.directory.iterdir())
        return sorted(int(match[1]) for match in matches if match)

    def _journal_path(self, generation: int) -> Path:
        return self.directory / f"journal.{generation}"
