"""Watching one commit being deployed: its plan, the steps of its units, and how it ended.

Only a view: the daemon deploys whether anybody watches or not. What happened between the move of the branch
and the question is taken from the event log, so that nothing is missed; then events come as they happen,
until the commit is judged.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Mapping
from typing import Any

from gitproc.core.world import World
from gitproc.daemon.desired import Desired
from gitproc.daemon.effects import Effects
from gitproc.store.event_log import Subscription
from gitproc.store.log_follow import Ask

DEFAULT_LIMIT = 300.0  # seconds
MAX_LIMIT = 86_400.0
_PAST = 2000  # events of the log that are looked at where it is not known since when
_MOST = 20_000  # where it is
_ENDS = frozenset(f"commit.{x}" for x in ("good", "failed", "refused", "superseded"))
_HELD = "commit.held-back"
_ABOUT = _ENDS | {_HELD, "commit.plan", "commit.applied"}


class DeployStream:
    """Follows one commit; iterate `items()`.

    `ask` reads the log in a thread. `since`: when its push was accepted (epoch seconds), if that is known.
    `limit`: seconds.
    """

    def __init__(
        self,
        effects: Effects,
        desired: Desired,
        ask: Ask,
        sha: str,
        *,
        since: float | None = None,
        limit: float = DEFAULT_LIMIT,
    ) -> None:
        self._e = effects
        self._world: World = effects.world
        self._desired = desired
        self._ask = ask
        self._sha = sha
        self._since = since
        self._limit = limit
        self._units: set[str] = set()
        self._began = False

    async def items(self) -> AsyncGenerator[dict[str, Any], None]:
        """Events, the last with `"last": true` and in `undo` the commit to roll back to, if one is known.

        Its kind is `commit.good` and the like (`commit.held-back` where an earlier one takes its place; with
        `"reverted": true` also on the branch), `commit.in-force` for a commit that was judged before, or
        `deploy.timeout` when the limit was reached first.
        """
        events, since = self._e.events, self._since
        most = _PAST if since is None else _MOST
        past = await self._ask(lambda: events.read(most, since=since))
        with events.subscribe() as subscription:
            past += events.behind(past, since=since)
            looked = asyncio.ensure_future(self._desired.look())
            try:
                async for event in self._all(past, subscription, looked):
                    yield event
                    if event["last"]:
                        return
            finally:
                looked.cancel()
                await asyncio.gather(looked, return_exceptions=True)

    async def _all(
        self, past: list[dict[str, Any]], live: Subscription, looked: asyncio.Future[None]
    ) -> AsyncGenerator[dict[str, Any], None]:
        first = (n for n, x in enumerate(past) if x["kind"] in _ABOUT and self._is_ours(x))
        for event in past[next(first, len(past)) :]:
            if self._concerns(event):
                yield self._item(event)
        deadline = time.monotonic() + self._limit
        events = aiter(live)
        step: asyncio.Future[dict[str, Any]] = asyncio.ensure_future(anext(events))
        waiting: set[asyncio.Future[Any]] = {looked}
        try:
            while True:
                left = max(0.0, deadline - time.monotonic())
                done, _ = await asyncio.wait(
                    {step, *waiting}, timeout=left, return_when=asyncio.FIRST_COMPLETED
                )
                if step in done:
                    event = step.result()
                    step = asyncio.ensure_future(anext(events))
                    if self._concerns(event):
                        yield self._item(event)
                elif looked in done:
                    waiting = set()
                    if (end := self._after_look()) is not None:
                        yield end
                else:
                    yield self._last("deploy.timeout", f"not settled after {self._limit:g} s")
        except StopAsyncIteration:
            return  # the daemon ends
        finally:
            step.cancel()
            await asyncio.gather(step, return_exceptions=True)

    def _is_ours(self, event: Mapping[str, Any]) -> bool:
        return bool(event["data"].get("commit") == self._sha)

    def _concerns(self, event: Mapping[str, Any]) -> bool:
        kind: str = event["kind"]
        if kind in _ABOUT and self._is_ours(event):
            self._began = True
            if event["unit"]:
                self._units.add(event["unit"])
            return True
        return kind.startswith("unit.") and event["unit"] in self._units

    def _item(self, event: Mapping[str, Any]) -> dict[str, Any]:
        kind = event["kind"]
        if kind == _HELD:
            reverted = self._world.settings.on_failure == "revert"
            return {**event, "last": True, "undo": "", "reverted": reverted}
        if kind in _ENDS and not (kind == "commit.failed" and self._is_held()):
            return {**event, "last": True, "undo": self._undo()}
        return {**event, "last": False}

    def _is_held(self) -> bool:
        """Whether the word follows that an earlier commit takes its place."""
        return self._world.settings.on_failure != "keep" and self._undo() != ""

    def _after_look(self) -> dict[str, Any] | None:
        """The end for a commit that brings no events though the branch has been looked at."""
        world, sha = self._world, self._sha
        if self._began or (world.deploy is not None and world.deploy.commit.sha == sha):
            return None
        if world.source_problem:
            return self._last("source.failed", world.source_problem)
        if self._desired.head != sha:
            head = (self._desired.head or "nothing")[:12]
            return self._last("commit.superseded", f"the branch is at {head} by now")
        verdict = world.verdicts.get(sha)
        if world.held_back is not None and world.held_back.commit.sha == sha:
            text = f"{sha[:12]} failed before and is held back: `gitproc apply` tries it again"
            return self._last("commit.failed", text)
        if world.applied is not None and world.applied.sha == sha and verdict is not None:
            text = f"{sha[:12]} is in force again; it was {verdict} before"
            return self._last("commit.in-force", text)
        if world.refused is not None and world.refused.commit.sha == sha:
            return self._last("commit.refused", f"{sha[:12]} was refused before: `gitproc status`")
        return None

    def _last(self, kind: str, message: str) -> dict[str, Any]:
        data = {"commit": self._sha}
        event = {"time": time.time(), "kind": kind, "unit": "", "message": message, "data": data}
        return {**event, "who": "", "last": True, "undo": self._undo()}

    def _undo(self) -> str:
        """The last commit that settled well before this one."""
        goods = [x.sha for x in self._world.goods if x.sha != self._sha]
        return goods[-1] if goods else ""
