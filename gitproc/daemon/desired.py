"""Following the branch: hints become looks, looks become `CommitLoaded`.

A hint (inotify, the slow poll, SIGHUP, a request) says only that looking may be worth it. A look resolves
the branch, and if it names another commit than the last one seen, reads what differs from the commit in
force, compiles it, and posts it. Looks run in a thread and one after the other; the loop's thread owns what
they return. Files that a commit has besides unit files are laid out before it is posted, so that a unit
finds them when it starts.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from gitproc.core.events import (
    BranchUnborn,
    CommitLoaded,
    CommitMeta,
    Event,
    SourceFailed,
)
from gitproc.core.host_unit import HostUnit
from gitproc.core.verdicts import astray, stand_in_for
from gitproc.core.world import World
from gitproc.daemon.config import Config
from gitproc.daemon.host_units import of_commit
from gitproc.daemon.laid_out import LaidOut
from gitproc.errors import GitProcError, SourceError
from gitproc.immutable import immutable, replaced
from gitproc.units.specifiers import Host

if TYPE_CHECKING:
    from gitproc.source.git_integration import GitIntegration
    from gitproc.source.git_monitor import GitMonitor
    from gitproc.units.loader import LoadOptions, UnitSet

log = logging.getLogger(__name__)

_DEBOUNCE = 0.005  # seconds: a push makes several events within a millisecond


@immutable
class _Base:
    """What a look compares with: the commit in force."""

    sha: str
    units: UnitSet
    known: frozenset[str] = frozenset()  # names that the host's systemd has been asked about


def load_options(config: Config) -> LoadOptions:
    """What the host's configuration says about loading units."""
    from gitproc.units.loader import LoadOptions  # nothing of it is needed to adopt what runs

    return LoadOptions(frozenset(config.allow_unenforced), config.default_private_pids)


class Desired:
    """Brings the branch's commits to the world. `post` is the mailbox's; used from the loop's thread."""

    def __init__(
        self, config: Config, world: World, host: Host, post: Callable[[Event], None]
    ) -> None:
        self._config = config
        self._world = world
        self._host = host
        self._post = post
        self._loop = asyncio.get_running_loop()
        self._lock = asyncio.Lock()
        self._git: GitIntegration | None = None
        self._monitor: GitMonitor | None = None
        self._stale = False  # what the monitor watches is not the repository any more
        self._seen = ""
        self._reverting = ""
        self._hinted: asyncio.TimerHandle | None = None
        self._poll: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._looked = asyncio.Event()
        self.polled: Callable[[], None] = lambda: None
        """Called at each slow poll."""
        self.chores: list[Callable[[], None]] = [self._clear_away]
        """Called at each slow poll, in the thread that then looks: two would wake each other in turns."""
        self.laid_out = LaidOut(self.git, config, world)
        """The files of commits, of which units may read those that are no unit files."""
        self.head: str | None = None
        """The commit the branch named at the last look."""

    def git(self) -> GitIntegration:
        """The repository; SourceError if there is none. Imports GitPython: call it in a thread."""
        if self._git is None:
            from gitproc.source.git_integration import GitIntegration

            self._git = GitIntegration(self._config.repository, self._config.branch)
        return self._git

    @property
    def monitor(self) -> GitMonitor | None:
        """The watch on the repository, once there is one."""
        return self._monitor

    def close(self) -> None:
        """End the watch, the timers and the git process."""
        for timer in (self._hinted, self._poll):
            if timer is not None:
                timer.cancel()
        self.laid_out.close()
        if self._monitor is not None:
            self._monitor.stop()
        if self._git is not None:
            self._git.close()

    # -- hints -----------------------------------------------------------------------------------

    def hint(self) -> None:
        """Something in the repository may have changed. Any thread."""
        self._loop.call_soon_threadsafe(self._debounce)

    def _debounce(self) -> None:
        if self._hinted is None:
            self._hinted = self._loop.call_later(_DEBOUNCE, self._look_soon)

    def _look_soon(self, chores: Sequence[Callable[[], None]] = ()) -> asyncio.Task[None]:
        self._hinted = None
        task = self._loop.create_task(self.look(chores=chores))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _poll_again(self) -> None:
        self._poll = self._loop.call_later(self._config.poll_interval, self._polled)

    def _polled(self) -> None:
        self._look_soon(self.chores)
        self.polled()
        self._poll_again()

    async def watch(self) -> None:
        """Look for the first time, then watch. Returns after the first look."""
        await self.look(chores=[self._clear_away])
        self._looked.set()
        self._poll_again()

    def _clear_away(self) -> None:
        """What a manager has left that was killed amid a rollback would keep everybody from pushing."""
        try:
            sha = self.git().undo_rollback()
        except GitProcError as error:
            log.debug("a rollback that may have been cut off is looked at later: %s", error.message)
            return
        if sha:
            log.warning("rollback %s was cut off before the branch moved: taken back", sha[:12])

    async def looked(self, patience: float) -> None:
        """Returns when the first look is over, or after `patience` seconds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience):  # `wait_for` may lose that we are cancelled
                await self._looked.wait()

    async def glance(self, patience: float) -> None:
        """Look, but wait no longer than `patience` seconds: git's disk may hang."""
        await asyncio.wait({self._look_soon()}, timeout=patience)

    async def _start_monitor(self) -> None:
        before, self._monitor, self._stale = self._monitor, None, False

        def start() -> GitMonitor:
            from gitproc.source.git_monitor import GitMonitor

            if before is not None:
                before.stop()
            monitor = GitMonitor(self._config.repository, self._config.branch, self.hint)
            monitor.start()
            return monitor

        try:
            self._monitor = await self._loop.run_in_executor(None, start)
        except (GitProcError, OSError) as error:
            log.warning("cannot watch the repository, polling it instead: %s", error)

    # -- looks -----------------------------------------------------------------------------------

    async def look(self, *, anew: bool = False, chores: Sequence[Callable[[], None]] = ()) -> None:
        """Resolve the branch and post what is new. `anew`: its commit, even if nothing is new.

        `chores` are done first, in the same thread.
        """
        async with self._lock:
            if self._monitor is None:
                await self._start_monitor()
            try:
                await self._look(anew=anew, chores=chores)
            except GitProcError as error:
                self._post(SourceFailed(error.message))
            except Exception as error:
                log.exception("cannot look at the repository")
                self._post(SourceFailed(f"cannot look at the repository: {error}"))
            if self._stale:
                await self._start_monitor()
                self.hint()  # what came before it watched
            await asyncio.sleep(0)  # let the world take it in
            if self._world.undecided or astray(self._world) is not None:
                await self._fall_back()

    async def _look(self, *, anew: bool, chores: Sequence[Callable[[], None]]) -> None:
        head = await self._loop.run_in_executor(None, self._resolve, chores)
        if head is not None and await self._reverted(head):
            head = await self._loop.run_in_executor(None, self._resolve)
        self.head = head
        if head is None:
            return
        stand_in = stand_in_for(self._world, head)
        sha = stand_in.sha if stand_in is not None else head
        in_force = self._world.applied.sha if self._world.applied is not None else ""
        known = sha == self._seen and self._world.desired is not None
        if known and not self._world.source_problem and not anew:
            return
        base = None
        if self._world.desired is not None and in_force:
            base = self._base(in_force, self._world.desired)
        if stand_in is not None:
            loaded = await self._loop.run_in_executor(None, self._read_again, stand_in, base)
        else:
            loaded = await self._loop.run_in_executor(None, self._read, head, base)
            again = base is None and head == in_force
            loaded = replaced(loaded, again=again, anew=anew and not again)
        self._seen = sha
        if base is None:
            gc.freeze()  # ten thousand units that stay: a collection that looks at them takes 0.2 s
        self._post(loaded)

    def _base(self, sha: str, units: UnitSet) -> _Base:
        return _Base(sha, units, frozenset(self._world.foreign.states))

    async def _reverted(self, head: str) -> bool:
        """Undo a failed commit on the branch, where that is configured and has not been tried."""
        held = self._world.held_back
        if held is None or not held.revert or head != held.commit.sha or head == self._reverting:
            return False
        self._reverting = head  # tried once: what is in the way now is a person's to clear away
        git = self.git()
        trailers = {"Failed-Commit": head, "Failed-Unit": "; ".join(_failures(held.units))}

        def revert() -> None:
            git.rollback(held.to.sha, "gitproc", trailers, expected=head)

        try:
            await self._loop.run_in_executor(None, revert)
        except GitProcError as error:
            log.warning("cannot revert %s on the branch: %s", head[:12], error.message)
            return False
        return True

    def _resolve(self, chores: Sequence[Callable[[], None]] = ()) -> str | None:
        for chore in chores:
            chore()
        git = self.git()
        self._stale = self._monitor is not None and self._monitor.is_stale()
        head = git.head()
        if head is not None:
            return head
        state = git.branch_state()
        if state == "unborn" and self._world.applied is None:
            self._loop.call_soon_threadsafe(self._post, BranchUnborn())
            return None
        raise SourceError(
            f"branch {git.branch} of {git.path} is gone: what was applied stays in force; "
            f"push it again, or set `branch` in config.toml"
        )

    def _read(self, sha: str, base: _Base | None) -> CommitLoaded:
        git = self.git()
        change = git.read(sha, base.sha if base is not None else None)
        changed: frozenset[str] | None = None
        if base is not None and not change.full:
            units, changed = base.units.updated(change.files)
        else:
            from gitproc.units.loader import load

            present = [file for file in change.files.values() if file is not None]
            units = load(present, self._host, self.options)
        findings = change.diagnostics
        if base is None or change.full or _beside_units(change.files):
            findings += self.laid_out.lay_out(sha)
        host = self._host_units(units, changed, base)
        return CommitLoaded(git.commit_info(sha), units, changed, findings, host_units=host)

    def _host_units(
        self, units: UnitSet, changed: frozenset[str] | None, base: _Base | None
    ) -> dict[str, HostUnit] | None:
        user = self._config.user_mode
        if changed is None or base is None:
            return of_commit(units, units.units, user_mode=user)
        gone = changed - units.units.keys()  # who needs one may find it on the host
        return of_commit(units, changed, base.known, gone, user_mode=user)

    @property
    def options(self) -> LoadOptions:
        """What the host's configuration says about loading units."""
        return load_options(self._config)

    async def _fall_back(self) -> None:
        """The branch cannot be had, or is refused: the commit last in force stays so, over restarts.

        Unless that one is held back: then the last good one is.
        """
        applied, desired = self._world.applied, self._world.desired
        if applied is None:
            return
        base = self._base(applied.sha, desired) if desired is not None else None
        applied = astray(self._world) or applied
        try:
            loaded = await self._loop.run_in_executor(None, self._read_again, applied, base)
        except (GitProcError, OSError) as error:
            log.error("cannot bring back commit %s: %s", applied.sha[:12], error)
            return
        self._post(loaded)
        await asyncio.sleep(0)

    def _read_again(self, commit: CommitMeta, base: _Base | None) -> CommitLoaded:
        """A commit that was in force before, from the repository or as it was laid out."""
        try:
            loaded = self._read(commit.sha, base)
        except GitProcError:
            from gitproc.source import layout
            from gitproc.units.loader import load

            files = layout.files_below(self.laid_out.trees / commit.sha)
            units = load(files, self._host, self.options)
            host = self._host_units(units, None, None)
            loaded = CommitLoaded(commit, units, host_units=host)
        return replaced(loaded, again=True, stand_in=True)


def _failures(units: Mapping[str, str]) -> list[str]:
    """`UNIT: REASON` of the first few."""
    return [f"{name}: {reason}" for name, reason in list(units.items())[:10]]


def _beside_units(files: object) -> bool:
    """Whether a change touches files that are no unit files, which units may read when they start."""
    from gitproc.source.reading import is_unit_like

    return isinstance(files, dict) and any(not is_unit_like(path) for path in files)
