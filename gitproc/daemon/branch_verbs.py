"""Verbs that are about the branch as a whole: `sync`, `apply`, `rollback`.

All of them go the way every commit goes: what is wanted changes, on the branch or in the world, and the
branch is looked at. A rollback is compiled before it is committed: what would be refused as a push never
gets onto the branch.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from gitproc.api.caller import Caller
from gitproc.core import status, verdicts
from gitproc.core.events import ApplyAsked, CommitMeta, Event, SyncAsked
from gitproc.core.records import commit_record
from gitproc.daemon.behind import behind
from gitproc.daemon.commits import Commits
from gitproc.daemon.desired import Desired
from gitproc.daemon.effects import Effects
from gitproc.daemon.healing import heal_limits
from gitproc.errors import RefusedError, SourceError, UsageError

Ask = Callable[[Callable[[int], Event]], Awaitable[dict[str, Any]]]


class BranchVerbs:
    """Carries them out. `ask` posts an event with the number of its request and awaits the answer."""

    def __init__(self, effects: Effects, desired: Desired, commits: Commits, ask: Ask) -> None:
        self._e = effects
        self._world = effects.world
        self._desired = desired
        self._commits = commits
        self._ask = ask
        self.methods = {"sync": self.sync, "apply": self.apply, "rollback": self.rollback}

    def _overview(self) -> dict[str, Any]:
        return status.commits(self._world, self._desired.head, self._e.config.branch)

    async def sync(self, params: Mapping[str, Any], caller: Caller) -> dict[str, Any]:
        """Look at the branch, and try again what gave up."""
        await self._desired.look()
        healed = list(heal_limits(self._e, caller.who))
        tried = await self._ask(lambda request: SyncAsked(request, caller.who))
        shown = self._overview()
        result: dict[str, Any] = {
            "version": 1,
            "commit": shown["refused"] or shown["deploying"] or shown["applied"],
            "units": {name: {**outcome, "result": "queued"} for name, outcome in tried.items()},
        }
        for name in healed:
            state = self._world.units[name].active.value
            result["units"].setdefault(name, {"result": "done", "active_state": state})
        if warnings := behind(self._world, self._desired.head, but_refused=True):
            result["warnings"] = warnings
        if shown["refused"]:
            result["diagnostics"] = shown["diagnostics"]
        return result

    async def apply(self, params: Mapping[str, Any], caller: Caller) -> dict[str, Any]:
        """Have the branch's commit tried and judged anew; a no-op where it is good or being deployed."""
        await self._desired.look()
        head, sha = self._desired.head, params.get("sha")
        if head is None:
            raise SourceError(self._world.source_problem or "the branch has no commit yet")
        if sha and await self._commits.resolve(sha) != head:
            raise UsageError(
                f"{sha} is not what the branch {self._e.config.branch} names ({head[:12]}): "
                f"`gitproc rollback {sha}` goes back to it"
            )
        result = self._done(head)
        if not result:
            await self._ask(lambda request: ApplyAsked(request, caller.who, head))
            await self._desired.look(anew=True)
            result = "applying"
        shown = self._overview()
        found: dict[str, Any] = {"version": 1, "result": result, "commit": shown["applied"]}
        if shown["refused"]:
            found |= {"result": "refused", "commit": shown["refused"]}
            found["diagnostics"] = shown["diagnostics"]
        return found

    def _done(self, head: str) -> str:
        world = self._world
        if world.deploy is not None and world.deploy.commit.sha == head:
            return "deploying"
        in_force = world.applied is not None and world.applied.sha == head
        return "in-force" if in_force and world.verdicts.get(head) == "good" else ""

    async def rollback(self, params: Mapping[str, Any], caller: Caller) -> dict[str, Any]:
        """Commit the files of an earlier commit, all or those of some units, unless it is a dry run."""
        await self._desired.look()
        units = params.get("units") or []
        target = params.get("sha") or self._last_good(units)
        from gitproc.daemon.compiling import plan_for, plan_record

        draft = await self._commits.draft(target, units)
        shown: dict[str, Any] = {"version": 1, "restored": commit_record(draft.restored)}
        if draft.compiled.errors:
            count = len(draft.compiled.errors)
            raise RefusedError(
                f"{draft.restored.sha[:12]} would be refused: "
                f"{count} error{'s' if count != 1 else ''}",
                diagnostics=[x.as_dict() for x in draft.compiled.errors],
            )
        shown["actions"] = plan_record(plan_for(self._world, draft.compiled))
        shown["units"] = list(draft.units)
        if params.get("dry_run"):
            return {**shown, "dry_run": True, "commit": None}
        made = await self._commits.commit(draft, caller.who)
        await self._desired.look()
        await asyncio.sleep(0)
        return {**shown, "dry_run": False, "commit": self._shown(made)}

    def _shown(self, made: CommitMeta) -> dict[str, Any]:
        deploying = self._world.deploy is not None and self._world.deploy.commit.sha == made.sha
        verdict = "deploying" if deploying else self._world.verdicts.get(made.sha)
        return {**(commit_record(made) or {}), "verdict": verdict}

    def _last_good(self, units: list[str]) -> str:
        """The last good commit that the branch does not name now."""
        found = verdicts.last_good(self._world, self._desired.head or "")
        if found is None:
            raise UsageError(
                "no earlier commit is known to be good: name one (`gitproc history` lists them)"
            )
        return found.sha
