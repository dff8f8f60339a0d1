"""The event log: what was decided and done, by whom, as JSON lines in `events.log`, and live to subscribers.

Events are for people and their tools; nothing is ever read back from here to decide anything (that is the
journal's). So a full disk costs events and never stops the manager, and a subscriber that does not keep up
loses events, and is told how many, instead of holding memory.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import time as clock
from collections import deque
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from itertools import count, islice
from pathlib import Path
from typing import Any, Self

from gitproc.store.rotation import RotatingFile, rotated

MAX_BYTES = 10 << 20
FILES = 5
BUFFER_EVENTS = 10_000
_BLOCK = 1 << 16
_LOOK_BACK = 2000  # lines; more than a turn of the manager's loop tells

_log = logging.getLogger(__name__)
_encode = json.JSONEncoder(separators=(",", ":")).encode


class Subscription:
    """A live view on the log: iterate it; close it (or leave its `with`) when done.

    Holds `limit` events for a slow reader; when more come the newest are dropped, and one event of
    kind `events.lost` with `data["count"]` stands where they are missing.
    """

    def __init__(self, log: EventLog, limit: int) -> None:
        self._log = log
        self._limit = limit
        self._queue: deque[dict[str, Any]] = deque()
        self._lost = 0
        self._closed = False
        self._wake = asyncio.Event()

    def offer(self, event: dict[str, Any]) -> None:
        """Called by the log for every event."""
        if self._lost and len(self._queue) < self._limit:
            data = {"count": self._lost}
            message = f"{self._lost} events lost: the reader is too slow"
            self._queue.append(_event(event["time"], "events.lost", "", message, data, ""))
            self._lost = 0
        if len(self._queue) < self._limit:
            self._queue.append(event)
        else:
            self._lost += 1
        self._wake.set()

    def close(self) -> None:
        """End the iteration, now or at the next step."""
        self._closed = True
        self._log.forget(self)
        self._wake.set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def __aiter__(self) -> AsyncIterator[dict[str, Any]]:
        while True:
            while self._queue:
                yield self._queue.popleft()
            if self._closed:
                return
            self._wake.clear()
            await self._wake.wait()


class EventLog:
    """Writer, reader and fan-out of `events.log` in `directory`.

    An event is `{"time": seconds since 1970, "kind", "unit", "message", "data": {}, "who"}`.
    """

    def __init__(self, directory: Path, *, max_bytes: int = MAX_BYTES, files: int = FILES) -> None:
        self.path = directory / "events.log"
        self.dropped = 0
        """Events that never reached the disk since the start."""
        self._file = RotatingFile(self.path, max_bytes, files)
        self._buffer: list[bytes] = []
        self._subscriptions: set[Subscription] = set()
        self._failing = False

    def append(
        self,
        kind: str,
        unit: str = "",
        message: str = "",
        data: Mapping[str, Any] | None = None,
        who: str = "",
        time: float | None = None,
    ) -> str:
        """Log an event and hand it to subscribers; on disk with the next `flush`. Returns its line.

        `time`: seconds since 1970, now if None. Raises TypeError if JSON cannot hold `data`.
        """
        when = round(clock.time() if time is None else time, 6)
        event = _event(when, kind, unit, message, dict(data or {}), who)
        line = _encode(event)
        if len(self._buffer) < BUFFER_EVENTS:
            self._buffer.append(line.encode("ascii") + b"\n")
        else:
            self.dropped += 1
        for subscription in self._subscriptions:
            subscription.offer(event)
        return line

    def complete(self, told: Iterable[Mapping[str, Any]]) -> None:
        """Write those of these events that are not in the log: a crash came between deciding and writing.

        They are the last of all that were decided, so only the log's last lines are looked at.
        """
        lines = [_encode(event).encode("ascii") for event in told]
        if not lines:
            return
        try:
            known = set(islice(self._backwards(), _LOOK_BACK))
        except OSError:
            return
        self._buffer += [line + b"\n" for line in lines if line not in known]
        self.flush()

    def flush(self) -> None:
        """Write what was appended: one write(2). A refusing disk is logged once and costs the events."""
        if not self._buffer:
            return
        lines, self._buffer = self._buffer, []
        try:
            self._file.write(b"".join(lines))
        except OSError as error:
            self.dropped += len(lines)
            if not self._failing:
                _log.error("cannot write %s: %s; events are lost", self.path, error.strerror)
            self._failing = True
            return
        if self._failing:
            _log.warning("%s can be written again; %d events were lost", self.path, self.dropped)
            self._failing = False

    def subscribe(self, limit: int = 1000) -> Subscription:
        """Every event from now on. `limit`: how many wait for a slow reader before some are lost."""
        subscription = Subscription(self, limit)
        self._subscriptions.add(subscription)
        return subscription

    def forget(self, subscription: Subscription) -> None:
        """Stop feeding a subscription (its `close` calls this)."""
        self._subscriptions.discard(subscription)

    def read(
        self,
        lines: int | None = 100,
        *,
        units: Iterable[str] = (),
        kind: str = "",
        since: float | None = None,
    ) -> list[dict[str, Any]]:
        """The last `lines` events (None: all there are), oldest first, that pass every filter.

        `units`: any of these. `kind`: this one, or all below it (`unit` also finds `unit.started`).
        `since`: seconds since 1970. Damaged lines are skipped, and what is not flushed yet is not seen.
        Reads files: call it in a thread. Raises OSError.
        """
        wanted = frozenset(units)
        found: list[dict[str, Any]] = []
        if lines is not None and lines <= 0:
            return found
        for line in self._backwards():
            event = _parse(line)
            if event is None:
                continue
            if since is not None and event["time"] < since:
                break
            if wanted and event.get("unit") not in wanted:
                continue
            if kind and event["kind"] != kind and not event["kind"].startswith(kind + "."):
                continue
            found.append(event)
            if lines is not None and len(found) >= lines:
                break
        found.reverse()
        return found

    def behind(
        self, past: list[dict[str, Any]], *, since: float | None = None
    ) -> list[dict[str, Any]]:
        """What has been told since `past` was read, oldest first: for who subscribes in the same moment."""
        self.flush()
        last, found = past[-1] if past else None, list[dict[str, Any]]()
        try:
            for line in islice(self._backwards(), _LOOK_BACK):
                event = _parse(line)
                if event == last or (event and since is not None and event["time"] < since):
                    break
                found += [event] if event is not None else []
        except OSError as error:
            _log.warning("cannot read %s: %s", self.path, error.strerror)
        found.reverse()
        return found

    def close(self) -> None:
        """Flush, end all subscriptions, close the file."""
        self.flush()
        for subscription in list(self._subscriptions):
            subscription.close()
        self._file.close()

    def _backwards(self) -> Iterator[bytes]:
        """All lines on disk, newest first, over the rotated files."""
        seen: set[tuple[int, int]] = set()  # a rotation meanwhile shows a file again
        for number in count():
            try:
                fd = os.open(rotated(self.path, number), os.O_RDONLY | os.O_CLOEXEC)
            except FileNotFoundError:
                if number == 0:
                    continue  # just rotated away
                return
            try:
                status = os.fstat(fd)
                if (status.st_dev, status.st_ino) not in seen:
                    seen.add((status.st_dev, status.st_ino))
                    yield from _lines_backwards(fd)
            finally:
                os.close(fd)


def _event(
    time: float, kind: str, unit: str, message: str, data: dict[str, Any], who: str
) -> dict[str, Any]:
    return {"time": time, "kind": kind, "unit": unit, "message": message, "data": data, "who": who}


def _parse(line: bytes) -> dict[str, Any] | None:
    try:
        event = json.loads(line)
        if isinstance(event["time"], int | float) and isinstance(event["kind"], str):
            return dict(event)
    except (ValueError, KeyError, TypeError):
        pass
    return None


def _lines_backwards(fd: int) -> Iterator[bytes]:
    position = os.fstat(fd).st_size
    head = b""  # the beginning of the line whose rest was read already
    while position > 0:
        start = max(0, position - _BLOCK)
        block = os.pread(fd, position - start, start) + head
        position = start
        head, *whole = block.split(b"\n")
        for line in reversed(whole):
            if line:
                yield line
    if head:
        yield head
