"""Questions about commits, and rollback: everything of the socket that asks git. All of it runs in threads."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

from gitproc.core import dependency_resolver, plan
from gitproc.core.events import CommitMeta
from gitproc.core.records import commit_record
from gitproc.daemon.desired import Desired
from gitproc.daemon.perform import Effects
from gitproc.errors import GitProcError, SourceError
from gitproc.units.diagnostics import Diagnostic
from gitproc.units.loader import UnitSet, load

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

    def _load(self, rev: str | None) -> tuple[CommitMeta, UnitSet, tuple[Diagnostic, ...]]:
        git = self._desired.git()
        sha = git.resolve(rev) if rev else git.head()
        if sha is None:
            raise SourceError(f"branch {git.branch} of {git.path} has no commit yet")
        change = git.read(sha)
        files = [file for file in change.files.values() if file is not None]
        units = load(files, self._e.host, self._desired.options)
        return git.commit_info(sha), units, change.diagnostics

    async def verify(self, rev: str | None) -> dict[str, Any]:
        """Everything that is wrong with a revision (None: the branch)."""
        commit, units, found = await self._thread(lambda: self._load(rev))
        diagnostics = [*found, *units.diagnostics]
        if not units.has_errors:
            diagnostics += await self._thread(lambda: dependency_resolver.check(units))
        return {
            "version": 1,
            "commit": commit_record(commit),
            "units": sum(1 for unit in units.units.values() if unit.fragment),
            "diagnostics": [x.as_dict() for x in dict.fromkeys(diagnostics)],
        }

    async def plan(self, rev: str | None) -> dict[str, Any]:
        """What putting a revision (None: the branch) in force would do now."""
        commit, units, found = await self._thread(lambda: self._load(rev))
        diagnostics = [*found, *units.diagnostics]
        entries: list[plan.PlanEntry] = []
        if not units.has_errors:
            world = self._e.world
            target = world.settings.default_target
            graph = await self._thread(lambda: dependency_resolver.build(units))
            roots = dependency_resolver.roots_of(units, target)
            diagnostics += dependency_resolver.check_changed(graph, units, units.units, roots)
            pulled = graph.closure(roots, units.units)
            names = set(units.units) | world.units.keys()
            entries = plan.compute(world, units, graph, pulled, names)
        shown = [x for x in diagnostics if x.severity == "error"] or diagnostics
        return {
            "version": 1,
            "commit": commit_record(commit),
            "actions": [
                entry.as_dict()
                for entry in entries
                if not self._built_in(units, entry.unit)
                and entry.action is not plan.PlannedAction.NONE
            ],
            "diagnostics": [x.as_dict() for x in dict.fromkeys(shown) if x.severity == "error"],
        }

    @staticmethod
    def _built_in(units: UnitSet, name: str) -> bool:
        unit = units.units.get(name)
        return unit is not None and not unit.fragment

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
