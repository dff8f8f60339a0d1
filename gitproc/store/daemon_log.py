"""Where the manager's own messages go: `daemon.log`, and standard error where somebody reads it.

Messages are written by the thread that logs, one write(2) each, or all of a turn of the manager's loop with one
(`gather`). A disk that refuses never raises into the manager. Under systemd, standard error is the journal and
gets its priority prefixes (sd-daemon(3)) instead of a time stamp, which the journal has itself. What others have
a say in (names, references, notifications) stands in messages too, so control characters are spelled out.
"""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TextIO

from gitproc.store.log_lines import without_controls
from gitproc.store.rotation import RotatingFile

MAX_BYTES = 10 << 20
FILES = 5


class _Handler(logging.Handler):
    """Writes lines at once, or, from `gather` on, when it is told to."""

    def __init__(
        self, write: Callable[[str], None], end: Callable[[], None] = lambda: None
    ) -> None:
        super().__init__()
        self._write = write
        self._end = end
        self._held: list[str] | None = None

    def emit(self, record: logging.LogRecord) -> None:
        try:
            text = self.format(record) + "\n"
        except Exception:
            self.handleError(record)
            return
        if self._held is not None:
            self._held.append(text)
        else:
            self._put(text)

    def hold(self) -> None:
        """Keep what is logged from now on."""
        with self.lock:  # type: ignore[union-attr]
            if self._held is None:
                self._held = []

    def let_go(self) -> None:
        """Write what was kept, and keep no more."""
        with self.lock:  # type: ignore[union-attr]
            held, self._held = self._held, None
            if held:
                self._put("".join(held))

    def _put(self, text: str) -> None:
        with suppress(OSError, ValueError):  # there is no better place to say it
            self._write(text)

    def close(self) -> None:
        self.let_go()
        self._end()
        super().close()


def gather() -> None:
    """Keep what is logged until `release`: a thousand lines are then one write(2)."""
    for handler in _handlers():
        handler.hold()


def release() -> None:
    """Write what was kept, and each line at once from here on."""
    for handler in _handlers():
        handler.let_go()


def _handlers() -> list[_Handler]:
    return [x for x in logging.getLogger().handlers if isinstance(x, _Handler)]


def _say(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()


class _TimedFormatter(logging.Formatter):
    """`2026-01-31 10:00:00.123 WARNING store.journal: text`, local time; indented further lines.

    A thousand services that start say two lines each, into the file and to standard error: the second's
    stamp and the last record's text are kept.
    """

    def __init__(self) -> None:
        super().__init__()
        self._second = (0, "")
        self._last: tuple[logging.LogRecord | None, str] = (None, "")

    def format(self, record: logging.LogRecord) -> str:
        known, text = self._last
        if record is not known:
            text = self._line(record)
            self._last = (record, text)
        return text

    def _line(self, record: logging.LogRecord) -> str:
        second, stamp = self._second
        if int(record.created) != second:
            second = int(record.created)
            stamp = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(second))
            self._second = (second, stamp)
        name = record.name.removeprefix("gitproc.")
        text = without_controls(super().format(record)).replace("\n", "\n    ")
        return f"{stamp}.{int(record.msecs):03d} {record.levelname} {name}: {text}"


class _JournalFormatter(logging.Formatter):
    """`<4>text`: one syslog priority a line, as the journal takes them from a stream."""

    def format(self, record: logging.LogRecord) -> str:
        prefix = f"<{_priority(record.levelno)}>"
        text = without_controls(super().format(record))
        return prefix + text.replace("\n", "\n" + prefix)


def _priority(level: int) -> int:
    bounds = ((logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6))
    return next((priority for bound, priority in bounds if level >= bound), 7)


def _is_journal(stream: TextIO) -> bool:
    """Whether the stream is the one that $JOURNAL_STREAM names (systemd.exec(5))."""
    try:
        status = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"


def set_up(
    path: Path | None,
    *,
    stderr: bool,
    level: int = logging.INFO,
    max_bytes: int = MAX_BYTES,
    files: int = FILES,
) -> None:
    """Send all logging to `path` (None: to no file) and, if asked, to standard error.

    Replaces what was set up before. A file that cannot be written is tried again with each message;
    OSError is never raised.
    """
    root = logging.getLogger()
    for handler in _handlers():
        root.removeHandler(handler)
        handler.close()
    timed = _TimedFormatter()
    if path is not None:
        file = RotatingFile(path, max_bytes, files)
        _add(
            _Handler(lambda x: file.write(x.encode("utf-8", "backslashreplace")), file.close), timed
        )
    if stderr:
        _add(_Handler(_say), _JournalFormatter() if _is_journal(sys.stderr) else timed)
    root.setLevel(level)
    logging.raiseExceptions = False
    # What no line shows need not be found out for each.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    logging._srcfile = None  # noqa: SLF001 (as the documentation says: who has logged is not looked for)
    logging.captureWarnings(True)


def _add(handler: logging.Handler, formatter: logging.Formatter) -> None:
    handler.setFormatter(formatter)
    logging.getLogger().addHandler(handler)
