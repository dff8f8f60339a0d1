"""Questions about commits, and rollback: everything of the socket that asks git. All of it runs in threads.

What compiles is imported when somebody asks: a manager that comes back does without it.
"""

from __future__ import annotations

import contextlib
import json
import posixpath
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from gitproc.core.events import CommitMeta
from gitproc.core.records import commit_record
from gitproc.daemon.desired import Desired
from gitproc.daemon.effects import Effects
from gitproc.daemon.questions import Questions
from gitproc.errors import GitProcError, NoSuchUnit, SourceError
from gitproc.immutable import immutable
from gitproc.units.unit import Unit

if TYPE_CHECKING:
    from gitproc.daemon.compiling import Compiled
    from gitproc.source.reading import TreeChange


@immutable
class Draft:
    """A rollback that has not been committed. `tree`: what the commit on top of `head` would have."""

    head: str
    restored: CommitMeta
    tree: str
    units: tuple[str, ...]
    compiled: Compiled


def files_of(unit: Unit) -> list[str]:
    """The files that make a unit: fragment, drop-ins of its own, and what its triggers name.

    Drop-ins for all units of a type (`service.d/`) are nobody's own.
    """
    common = f"{unit.kind}.d"
    own = [x for x in unit.drop_ins if posixpath.basename(posixpath.dirname(x)) != common]
    return [x for x in (unit.fragment, *own, *unit.triggers) if x]


class Commits:
    """Reads commits for people."""

    def __init__(self, effects: Effects, desired: Desired, questions: Questions) -> None:
        self._e = effects
        self._desired = desired
        self._thread = questions.ask

    async def last_change(self, paths: list[str]) -> CommitMeta | None:
        """The commit that last changed one of these files, seen from the applied one."""
        applied = self._e.world.applied
        if not paths or applied is None:
            return None
        try:
            return await self._thread(lambda: self._desired.git().last_change(paths, applied.sha))
        except GitProcError:
            return None

    async def resolve(self, rev: str) -> str:
        """The commit id that a revision names; SourceError if none."""
        return await self._thread(lambda: self._desired.git().resolve(rev))

    async def draft(self, target: str, units: Sequence[str]) -> Draft:
        """What a rollback to `target`, of these units alone or of everything, would commit."""

        def work() -> Draft:
            git = self._desired.git()
            head, sha = git.head(), git.resolve(target)
            if head is None:
                raise SourceError(f"there is no branch {git.branch} to roll back")
            whole = git.tree(sha)
            names: list[str] = []
            if units:
                then, now = (
                    self._compile_tree(whole).units,
                    self._compile_tree(git.tree(head)).units,
                )
                paths: set[str] = set()
                for name in units:
                    found = [x for x in (then.resolve(name), now.resolve(name)) if x is not None]
                    if not found:
                        raise NoSuchUnit(f"no unit {name}, neither then nor now", unit=name)
                    names.append(found[-1].name)
                    paths.update(path for unit in found for path in files_of(unit))
                whole = git.compose(head, sha, sorted(paths))
            if whole == git.tree(head):
                raise SourceError(
                    f"nothing to roll back: the branch already has the files of {sha[:12]}"
                )
            return Draft(head, git.commit_info(sha), whole, tuple(names), self._compile_tree(whole))

        return await self._thread(work)

    async def commit(self, draft: Draft, who: str) -> CommitMeta:
        """Put a draft onto the branch, which must not have moved meanwhile; the new commit."""

        def work() -> CommitMeta:
            git = self._desired.git()
            trailers = {"Rollback-Units": " ".join(draft.units)} if draft.units else {}
            made = git.rollback(
                draft.restored.sha, who, trailers, expected=draft.head, tree=draft.tree
            )
            return git.commit_info(made)

        return await self._thread(work)

    def _compile_tree(self, tree: str) -> Compiled:
        change = self._desired.git().read_tree(tree)
        return self._compiled(change)

    def _compile(self, rev: str | None) -> tuple[CommitMeta, Compiled]:
        git = self._desired.git()
        sha = git.resolve(rev) if rev else git.head()
        if sha is None:
            raise SourceError(f"branch {git.branch} of {git.path} has no commit yet")
        return git.commit_info(sha), self._compiled(git.read(sha))

    def _compiled(self, change: TreeChange) -> Compiled:
        from gitproc.daemon.compiling import compile_commit

        return compile_commit(
            change,
            None,
            self._e.host,
            self._desired.options,
            self._e.world.settings.default_target,
            user_mode=self._e.config.user_mode,
        )

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
        from gitproc.daemon.compiling import plan_for, plan_record

        commit, compiled = await self._thread(lambda: self._compile(rev))
        errors = compiled.errors
        return {
            "version": 1,
            "commit": commit_record(commit),
            "actions": [] if errors else plan_record(plan_for(self._e.world, compiled)),
            "diagnostics": [x.as_dict() for x in errors],
        }

    def _log(
        self, count: int, paths: Sequence[str], also: Sequence[str]
    ) -> tuple[list[CommitMeta], dict[str, dict[str, Any]]]:
        git = self._desired.git()
        found = git.log(None, count, paths) if paths or not also else []
        known = {commit.sha for commit in found}
        for sha in also:
            with contextlib.suppress(SourceError):  # it may be gone from the repository
                found += [git.commit_info(sha)] if sha not in known else []
        if also and found:
            # Commits know whole seconds only: those of one second come as the branch has them.
            order = git.newest_first(min(commit.time for commit in found))
            place = {sha: number for number, sha in enumerate(order)}
            found.sort(key=lambda x: (-x.time, place.get(x.sha, 0)))
        notes = {}
        for commit in found:
            with contextlib.suppress(ValueError):  # not of our making
                note = json.loads(git.read_note(commit.sha) or "null")
                if isinstance(note, dict) and isinstance(note.get("units", {}), dict):
                    notes[commit.sha] = note
        return found, notes

    async def history(
        self, count: int, paths: list[str], also: Sequence[str] = ()
    ) -> dict[str, Any]:
        """Commits of the branch (of `paths`, and those named), newest first, with their verdicts."""
        found, notes = await self._thread(lambda: self._log(count, paths, also))
        verdicts = self._e.world.verdicts
        entries = []
        for commit in found:
            record = commit_record(commit) or {}
            deploy = self._e.world.deploy
            deploying = deploy is not None and deploy.commit.sha == commit.sha
            note = notes.get(commit.sha, {})
            known = verdicts.get(commit.sha) or note.get("verdict")
            record["verdict"] = "deploying" if deploying else known
            if note and not deploying:
                units = note.get("units") or {}
                record["units"] = {k: v for k, v in units.items() if v != "settled"}
                record["outcome"] = note
            entries.append(record)
        return {"version": 1, "entries": entries}
