"""Commits as files on disk, for units that use some beside unit files, and `current`, which names those in force."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from gitproc.core.verdicts import last_good
from gitproc.core.world import World
from gitproc.daemon import push_rules as rules
from gitproc.daemon.config import Config
from gitproc.daemon.surroundings import TREES
from gitproc.errors import GitProcError
from gitproc.units.diagnostics import Diagnostic

if TYPE_CHECKING:
    from gitproc.source.git_integration import GitIntegration

log = logging.getLogger(__name__)

_LATER = 1.0  # seconds


class LaidOut:
    """Lays them out below `trees`. `git` opens the repository, in a thread the first time."""

    def __init__(self, git: Callable[[], GitIntegration], config: Config, world: World) -> None:
        self._open = git
        self._is_open = False
        self._config = config
        self._world = world
        self._loop = asyncio.get_running_loop()
        self._later: asyncio.TimerHandle | None = None
        self._published = ""
        self._tasks: set[asyncio.Task[None]] = set()
        self.trees = config.state_dir / TREES

    def close(self) -> None:
        """What was to be laid out later is not."""
        if self._later is not None:
            self._later.cancel()

    def _git(self) -> GitIntegration:
        found = self._open()
        self._is_open = True
        return found

    def lay_out(self, sha: str) -> tuple[Diagnostic, ...]:
        """The files of a commit that is about to be judged; or why they are not: there is too much of them.

        SourceError: they cannot be read or written. Call it in a thread.
        """
        git = self._git()
        applied = self._world.applied
        if applied is None or sha != applied.sha:  # what is in force was small enough once
            most = self._config.policy.max_tree
            found = rules.too_large(git.laid_out_bytes(sha, most), most)
            if found:
                return tuple(found)
        git.lay_out(sha, self.trees, keep=self._kept(), point=False)
        return ()

    def publish(self, sha: str) -> None:
        """The commit is in force: point `current` at its files, or lay them out soon if they are not yet.

        They are not where only unit files changed. Units have no use for each other's files, so that can
        wait until the pushes of a moment are over, and never races with the next look for the disk.
        """
        self._published = sha
        if self._later is not None:
            self._later.cancel()
        self._later = None
        if (self.trees / sha).is_dir() and self._is_open:
            self._point(sha)
        else:
            self._later = self._loop.call_later(_LATER, self._lay_out_soon)

    def _lay_out_soon(self) -> None:
        self._later = None
        task = self._loop.create_task(self._lay_out_late(self._published))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _lay_out_late(self, sha: str) -> None:
        def work() -> None:
            self._git().lay_out(sha, self.trees, keep=self._kept(), point=False)

        try:
            await self._loop.run_in_executor(None, work)
        except GitProcError as error:
            log.warning("%s", error.message)
        else:
            if sha == self._published:
                self._point(sha)

    def _point(self, sha: str) -> None:
        try:
            self._git().point(sha, self.trees)
        except GitProcError as error:
            log.warning("%s", error.message)

    def _kept(self) -> tuple[str, ...]:
        applied = self._world.applied
        good = last_good(self._world, applied.sha if applied is not None else "")
        return tuple(x.sha for x in (applied, good) if x is not None)
