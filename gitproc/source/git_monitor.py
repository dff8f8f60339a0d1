"""Hints that the branch may have moved, from inotify by way of watchdog.

Only a hint: the receiver reads the branch and compares, and looks anyway from time to time, so a lost
event costs time and nothing else. Directories are watched, never the reference's own file, since git
replaces files by renaming a lock onto them: the git directory itself (HEAD, packed-refs), `refs` with all
below it (the folders of a branch `a/b` come and go), and `reftable`. Nothing below `objects` is watched: a
large push would wake us a thousand times.
"""

from __future__ import annotations

import errno
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gitproc.source.place import locate

if TYPE_CHECKING:
    from watchdog.events import FileSystemEvent, FileSystemEventHandler
    from watchdog.observers.api import BaseObserver

_LIMITS = {
    errno.ENOSPC: "no inotify watch is left: raise sysctl fs.inotify.max_user_watches",
    errno.EMFILE: "no inotify instance is left: raise sysctl fs.inotify.max_user_instances",
    errno.ENOSYS: "the kernel has no inotify",
}


class GitMonitor:
    """Calls `notify` from a thread of its own, several times for one push: debounce there (5 ms).

    `inotify_works` is False, with `reason` saying why, when only looking from time to time will do.
    """

    def __init__(self, path: Path, branch: str, notify: Callable[[], None]) -> None:
        """SourceError if there is no repository at `path`."""
        self._git_dir = locate(path).git_dir
        self._branch = self._git_dir / "refs" / "heads" / branch
        self._notify = notify
        self._observer: BaseObserver | None = None
        self._watched = _identity(self._git_dir)
        self.reason = "not started"

    @property
    def inotify_works(self) -> bool:
        """Whether hints can be relied on: the watch stands and its threads are alive."""
        if self._observer is None or self.reason:
            return False
        threads: list[Any] = [self._observer, *self._observer.emitters]
        reader = getattr(self._observer, "_inotify_fd", None)  # a thread in recent versions
        if hasattr(reader, "is_alive"):
            threads.append(reader)
        if not all(thread.is_alive() for thread in threads):
            gone = not self._git_dir.exists()
            self.reason = "the repository was removed" if gone else "watchdog's threads have ended"
        return not self.reason

    def is_stale(self) -> bool:
        """Whether another repository lies in the place of the one that is watched. For a thread."""
        found = _identity(self._git_dir)
        return found is not None and found != self._watched

    def start(self) -> None:
        """Begin to watch. Never fails for want of inotify: see `inotify_works` and `reason`."""
        from watchdog.events import FileSystemEventHandler

        # A folder made inside a new folder may be found twice; the second find changes nothing.
        warnings.filterwarnings("ignore", "Callback with id", RuntimeWarning)
        monitor = self

        class Handler(FileSystemEventHandler):
            """Hands on what may concern the branch."""

            def on_any_event(self, event: FileSystemEvent) -> None:
                monitor._see(event)

        handler = Handler()
        observer: BaseObserver | None = None
        try:
            from watchdog.observers.inotify import InotifyObserver

            observer = InotifyObserver()
            for folder, below in (("", False), ("refs", True), ("reftable", False)):
                if (self._git_dir / folder).is_dir():
                    _schedule(observer, handler, str(self._git_dir / folder), below)
            observer.start()
        except (OSError, ImportError) as error:
            number = getattr(error, "errno", None)
            self.reason = _LIMITS.get(number or 0, f"inotify does not work here: {error}")
            if observer is not None:
                _end(observer)
            return
        self._observer = observer
        self.reason = ""

    def stop(self) -> None:
        """End the watch and its threads."""
        observer, self._observer = self._observer, None
        self.reason = "stopped"
        if observer is not None:
            _end(observer)

    def _see(self, event: FileSystemEvent) -> None:
        # watchdog before 4.0 cannot be told in `schedule` what is not wanted
        if event.event_type in {"opened", "closed", "closed_no_write"}:
            return
        if event.is_directory and event.event_type == "modified":
            return
        if event.event_type == "deleted" and Path(str(event.src_path)) == self._git_dir:
            self.reason = "the repository was removed"
            self._notify()
            return
        # watchdog before 3.0 gives `dest_path` only to what moves
        names = (event.src_path, getattr(event, "dest_path", ""))
        if any(self._concerns(Path(str(name))) for name in names if name):
            self._notify()

    def _concerns(self, path: Path) -> bool:
        """Whether the branch may read differently after something happened to `path`."""
        if path.suffix == ".lock":
            return False
        if path.parent == self._git_dir:
            return path.name in {"HEAD", "packed-refs", "refs"}
        if path.parent == self._git_dir / "reftable":
            return True
        return path == self._branch or path in self._branch.parents


def _identity(folder: Path) -> tuple[int, int] | None:
    try:
        found = folder.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _schedule(
    observer: BaseObserver, handler: FileSystemEventHandler, path: str, recursive: bool
) -> None:
    """Watch for what changes names and contents only: git opens these files all the time to read them."""
    from watchdog import events

    kinds = [
        events.FileMovedEvent,
        events.FileCreatedEvent,
        events.FileDeletedEvent,
        events.FileModifiedEvent,
        events.DirMovedEvent,
        events.DirCreatedEvent,
        events.DirDeletedEvent,
    ]
    try:
        observer.schedule(handler, path, recursive=recursive, event_filter=list(kinds))
    except TypeError:  # watchdog before 4.0 has no filter
        observer.schedule(handler, path, recursive=recursive)


def _end(observer: BaseObserver) -> None:
    observer.unschedule_all()
    if observer.is_alive():
        observer.stop()
        observer.join(5)
