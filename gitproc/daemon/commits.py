"""Questions about commits, and rollback: everything of the socket that asks git. All of it runs in threads."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

from gitproc.core.events import CommitMeta
from gitproc.core.records import commit_record
from gitproc.daemon.compiling import Compiled, compile_commit, plan_for, plan_record
from gitproc.daemon.desired import Desired
from gitproc.daemon.perform import Effects
from gitproc.errors import GitProcError, SourceError

T = TypeVar("T")


class Commits:
    """Reads commits for people."""

    def __init__(self, effects: Effects, desired: Desired) -> None:
        self._e = effects
        self._desired = desired

    async def _thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(None, work)

    async def last_change(self, paths: list[str]) -> CommitMeta | None:
        """The commit that last changed one of these files, seen from the applied one."""
        applied = self._e.world.applied
        if not paths or applied is None:
            return None
        try:
            return await self._thread(lambda: self._desired.git().last_change(paths, applied.sha))
        except GitProcError:
            return None

    async def rollback(self, target: str, who: str) -> tuple[CommitMeta, CommitMeta]:
        """Commit the tree of `target`; the new commit, and the one whose tree it carries."""

        def work() -> tuple[CommitMeta, CommitMeta]:
            git = self._desired.git()
            sha = git.resolve(target)
            made = git.rollback(sha, who)
            return git.commit_info(made), git.commit_info(sha)

        return await self._thread(work)

    def _compile(self, rev: str | None) -> tuple[CommitMeta, Compiled]:
        git = self._desired.git()
        sha = git.resolve(rev) if rev else git.head()
        if sha is None:
            raise SourceError(f"branch {git.branch} of {git.path} has no commit yet")
        target = self._e.world.settings.default_target
        compiled = compile_commit(git.read(sha), None, self._e.host, self._desired.options, target)
        return git.commit_info(sha), compiled

    async def verify(self, rev: str | None) -> dict[str, Any]:
        """Everything that is wrong with a revision (None: the branch)."""
        commit, compiled = await self._thread(lambda: self._compile(rev))
        return {
            "version": 1,
            "commit": commit_record(commit),
            "units": compiled.count,
            "diagnostics": [x.as_dict() for x in compiled.diagnostics],
        }

    async def plan(self, rev: str | None) -> dict[str, Any]:
        """What putting a revision (None: the branch) in force would do now."""
        commit, compiled = await self._thread(lambda: self._compile(rev))
        errors = compiled.errors
        return {
            "version": 1,
            "commit": commit_record(commit),
            "actions": [] if errors else plan_record(plan_for(self._e.world, compiled)),
            "diagnostics": [x.as_dict() for x in errors],
        }

    async def history(self, count: int, paths: list[str]) -> dict[str, Any]:
        """Commits of the branch, newest first, with their verdicts."""
        found = await self._thread(lambda: self._desired.git().log(None, count, paths))
        verdicts = self._e.world.verdicts
        entries = []
        for commit in found:
            record = commit_record(commit) or {}
            deploy = self._e.world.deploy
            deploying = deploy is not None and deploy.commit.sha == commit.sha
            record["verdict"] = "deploying" if deploying else verdicts.get(commit.sha)
            entries.append(record)
        return {"version": 1, "entries": entries}
