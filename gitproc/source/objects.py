"""Objects of the repository, read through one `git cat-file --batch` that stays.

A round trip costs a tenth of a millisecond and a process two, so requests go out in windows: as many
names as the pipe is sure to hold, then their answers in order. The process may die at any time (killed,
out of memory): a request that got no answer is put once more to a fresh one.
"""

from __future__ import annotations

import contextlib
import fcntl
import select
from collections.abc import Callable, Iterator, Sequence
from typing import IO, Protocol

from gitproc.errors import SourceError
from gitproc.immutable import NamedTuple

_PATIENCE_MS = 20_000  # without a byte of an answer that is due


class Batch(Protocol):
    """What is needed of the process: its pipes, and a way to be rid of it."""

    @property
    def stdin(self) -> IO[bytes] | None:
        """Requests go here."""

    @property
    def stdout(self) -> IO[bytes] | None:
        """Answers come from here."""


class GitObject(NamedTuple):
    """One object. `data` is None where it is larger than the caller's limit."""

    oid: str
    kind: str
    size: int
    data: bytes | None


class ObjectSource(Protocol):
    """Where objects come from: the repository, or a push over it."""

    def get_all(self, names: Sequence[str], limit: int | None = None) -> Iterator[GitObject | None]:
        """Objects in the order asked; data of those above `limit` bytes is left out."""


class _ProcessDiedError(Exception):
    """The process is gone, or speaks nonsense."""


class Objects:
    """Reads objects by name. Not for several threads at once. `requests` counts names asked for."""

    def __init__(self, start: Callable[[], Batch], stop: Callable[[Batch], None]) -> None:
        self._start = start
        self._stop = stop
        self._batch: Batch | None = None
        self._window = 4096
        self._due = 0
        self.requests = 0

    def get(self, name: str, limit: int | None = None) -> GitObject | None:
        """One object by id or any revision syntax; None if there is no such object."""
        [found] = self.get_all([name], limit)
        return found

    def get_all(self, names: Sequence[str], limit: int | None = None) -> Iterator[GitObject | None]:
        """Objects in the order asked; data of those above `limit` bytes is not transferred.

        SourceError when git cannot be run, does not answer, or reports a damaged object.
        """
        place = 0
        failed_at = -1
        try:
            while place < len(names):
                try:
                    for found in self._exchange(names[place:], limit):
                        place += 1
                        yield found
                        if found is not None and found.data is None:
                            self.close()  # cheaper than to read what nobody wants
                            break
                except _ProcessDiedError as error:
                    self.close()
                    if failed_at == place:
                        raise SourceError(
                            f"git cannot read object {names[place]}{error}"
                        ) from error
                    failed_at = place
        finally:
            if (
                self._due
            ):  # the caller left early: these would be taken for the next question's answers
                self.close()

    def close(self) -> None:
        """End the process; the next request starts a new one."""
        batch, self._batch = self._batch, None
        self._due = 0
        if batch is not None:
            self._stop(batch)

    def _exchange(self, names: Sequence[str], limit: int | None) -> Iterator[GitObject | None]:
        batch = self._batch or self._open()
        stdin, stdout = batch.stdin, batch.stdout
        assert stdin is not None and stdout is not None
        at = 0
        while at < len(names):
            lines: list[bytes] = []
            room = self._window
            while at < len(names):
                line = names[at].encode("utf-8", "surrogateescape") + b"\n"
                if line.count(b"\n") != 1:
                    raise SourceError(f"{names[at]!r} is not the name of an object")
                room -= len(line)
                if lines and room < 0:
                    break
                lines.append(line)
                at += 1
            self.requests += len(lines)
            try:
                stdin.write(b"".join(lines))
                stdin.flush()
            except (OSError, ValueError) as error:
                raise _ProcessDiedError("") from error
            self._await(stdout)
            self._due = len(lines)
            for _ in lines:
                found = _answer(stdout, limit)
                self._due -= 1
                yield found

    def _open(self) -> Batch:
        self._batch = batch = self._start()
        assert batch.stdin is not None
        with contextlib.suppress(OSError):
            self._window = fcntl.fcntl(batch.stdin.fileno(), fcntl.F_GETPIPE_SZ) // 2
        return batch

    def _await(self, stdout: IO[bytes]) -> None:
        poller = select.poll()
        poller.register(stdout.fileno(), select.POLLIN)
        if not poller.poll(_PATIENCE_MS):
            self.close()
            raise SourceError(f"git gave no answer for {_PATIENCE_MS // 1000} s")


def _answer(stdout: IO[bytes], limit: int | None) -> GitObject | None:
    header = stdout.readline()
    if header.endswith((b" missing\n", b" ambiguous\n")):
        return None
    try:
        oid, kind, digits = header.split()
        size = int(digits)
    except ValueError as error:
        text = header.decode(errors="replace").strip()
        raise _ProcessDiedError(f": {text}" if text else "") from error
    if limit is not None and size > limit:
        return GitObject(oid.decode(), kind.decode(), size, None)
    data = stdout.read(size + 1)
    if len(data) != size + 1:
        raise _ProcessDiedError("")
    return GitObject(oid.decode(), kind.decode(), size, data[:-1])
