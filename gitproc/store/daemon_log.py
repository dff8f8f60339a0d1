"""Where the manager's own messages go: `daemon.log`, and standard error where somebody reads it.

Messages are written by the thread that logs, one write(2) each; there are few of them. A disk that refuses
never raises into the manager. Under systemd, standard error is the journal and gets its priority prefixes
(sd-daemon(3)) instead of a time stamp, which the journal has itself. What others have a say in (names,
references, notifications) stands in messages too, so control characters are spelled out.
"""

from __future__ import annotations

import logging
import os
import sys
import time
from pathlib import Path
from typing import TextIO

from gitproc.store.log_lines import without_controls
from gitproc.store.rotation import RotatingFile

MAX_BYTES = 10 << 20
FILES = 5


class _RotatingHandler(logging.Handler):
    """A handler over the one rotating file of the store."""

    def __init__(self, file: RotatingFile) -> None:
        super().__init__()
        self._file = file

    def emit(self, record: logging.LogRecord) -> None:
        try:
            text = self.format(record) + "\n"
            self._file.write(text.encode("utf-8", "backslashreplace"))
        except OSError:
            pass  # there is no better place to say it; standard error has the message itself
        except Exception:
            self.handleError(record)

    def close(self) -> None:
        self._file.close()
        super().close()


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
    for handler in list(root.handlers):
        if getattr(handler, "is_gitprocs", False):
            root.removeHandler(handler)
            handler.close()
    timed = _TimedFormatter()
    if path is not None:
        _add(_RotatingHandler(RotatingFile(path, max_bytes, files)), timed)
    if stderr:
        _add(logging.StreamHandler(), _JournalFormatter() if _is_journal(sys.stderr) else timed)
    root.setLevel(level)
    logging.raiseExceptions = False
    # What no line shows need not be found out for each.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    logging.captureWarnings(True)


def _add(handler: logging.Handler, formatter: logging.Formatter) -> None:
    handler.setFormatter(formatter)
    handler.is_gitprocs = True  # type: ignore[attr-defined]
    logging.getLogger().addHandler(handler)
