"""What the socket's methods do: each goes to the part that answers it, once the commit in force is known.

Parts that are seldom asked are imported when they are.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncGenerator, AsyncIterator
from functools import cached_property
from typing import TYPE_CHECKING, Any

from gitproc.api.caller import Caller
from gitproc.core.events import Verb
from gitproc.core.world import World
from gitproc.daemon.behind import behind
from gitproc.daemon.branch_verbs import BranchVerbs
from gitproc.daemon.commits import Commits
from gitproc.daemon.desired import Desired
from gitproc.daemon.effects import Effects
from gitproc.daemon.loop import Mailbox
from gitproc.daemon.perform import Perform
from gitproc.daemon.questions import Questions
from gitproc.daemon.shares import asked_by
from gitproc.daemon.unit_answers import UnitAnswers
from gitproc.daemon.unit_names import UnitNames
from gitproc.daemon.unit_verbs import UnitVerbs
from gitproc.errors import SourceError, UsageError

if TYPE_CHECKING:
    from gitproc.daemon.inquiries import Inquiries
    from gitproc.daemon.log_answers import LogAnswers
    from gitproc.daemon.push import Pushes

_PATIENCE = 10.0  # seconds
_GLANCE = 2.0  # seconds
_LAST_WORDS = 0.1  # seconds


class RpcHandler:
    """The manager's answers; one instance serves all connections, in the loop's thread."""

    def __init__(
        self, effects: Effects, mailbox: Mailbox, perform: Perform, desired: Desired
    ) -> None:
        self._e = effects
        self._world: World = effects.world
        self._desired = desired
        self.questions = Questions()
        self._names = names = UnitNames(effects.world, effects.controller)
        self._commits = Commits(effects, desired, self.questions)
        self._pushes: Pushes | None = None
        self.pushers: dict[str, str] = {}
        """Who pushes, by ticket."""
        self._verbs = UnitVerbs(effects.world, names, perform, mailbox.post)
        branch = BranchVerbs(effects, desired, self._commits, self._verbs.asked)
        self.units = UnitAnswers(
            effects, names, perform.warnings, desired, self._commits, lambda: self._logs
        )
        self._methods = {
            **self.units.methods,
            **branch.methods,
            "logs": self._log_lines,
            "ping": self._ping,
            "events": self._events,
            "verify": self._verify,
            "plan": self._plan,
            "deploy": self._deploy,
            "daemon-reexec": self._daemon_reexec,
            "doctor": self._doctor,
        }

    async def call(self, method: str, params: dict[str, Any], caller: Caller) -> Any:
        """Answer one request; GitProcError says why not."""
        asked_by(caller)
        await self._commit_known(method, params)
        if method in _VERBS:
            outcome = await self._verbs.carry_out(Verb(method), params, caller)
            if method in _STARTS:
                outcome["warnings"] = [
                    *outcome.get("warnings", ()),
                    *behind(self._world, self._desired.head),
                ]
            return outcome
        answer = self._methods.get(method) or self._seldom(method).methods[method]
        return await answer(params, caller)

    def _seldom(self, method: str) -> Pushes | Inquiries:
        if not method.startswith("push-"):
            return self._inquiries
        if self._pushes is None:
            from gitproc.daemon.push import Pushes

            self._pushes = Pushes(self._e, self._desired, self.pushers)
        return self._pushes

    @cached_property
    def _inquiries(self) -> Inquiries:
        from gitproc.daemon.inquiries import Inquiries

        return Inquiries(self._e, self._commits, self.questions, self._names.canonical)

    @cached_property
    def _logs(self) -> LogAnswers:
        from gitproc.daemon.log_answers import LogAnswers

        return LogAnswers(self._e, self.questions, self._names.canonical, self._names.matching)

    async def _commit_known(self, method: str, params: dict[str, Any]) -> None:
        """Wait for the commit in force, which a manager that just came back has yet to read.

        Units that were adopted can be looked at before. A verb finds all that was committed before it: who types
        `git commit && gitproc restart` is faster than the hint of the first.
        """
        if method in _LOOKS:
            names = params.get("units") or filter(None, [params.get("unit")])
            if all(name in self._world.units for name in names):
                return
        await self._desired.looked(_PATIENCE)
        if method in _JOBS:
            await self._desired.glance(_GLANCE)
        if self._world.undecided and method in _VERBS:
            raise SourceError("the commit in force cannot be read now; see `gitproc status`")

    async def stream(
        self, method: str, params: dict[str, Any], caller: Caller
    ) -> AsyncIterator[dict[str, Any]]:
        """The items of `logs` or `events` with `follow`."""
        asked_by(caller)
        await self._commit_known(method, params)
        if method == "logs":
            async with contextlib.aclosing(self._logs.stream(params)) as lines:
                async for line in lines:
                    yield line
        elif method == "deploy":
            async with contextlib.aclosing(self._deploy_items(params)) as items:
                async for item in items:
                    yield item
        else:
            events, count = self._e.events, params.get("lines", 10)
            past = await self.questions.ask(lambda: events.read(max(1, count)))
            with events.subscribe() as subscription:
                for event in (*(past if count else ()), *events.behind(past)):
                    yield event
                async for event in subscription:
                    yield event

    def hung_up(self, caller: Caller) -> None:
        """Nothing of a connection outlives it but a push that it had begun."""
        if self._pushes is not None:
            self._pushes.hung_up(caller)

    def _deploy_items(self, params: dict[str, Any]) -> AsyncGenerator[dict[str, Any], None]:
        from gitproc.daemon.deploy_stream import DEFAULT_LIMIT, MAX_LIMIT, DeployStream

        sha = params["sha"]
        limit = min(params.get("limit", DEFAULT_LIMIT), MAX_LIMIT)
        since = self._pushes.accepted.get(sha) if self._pushes is not None else None
        ask = self.questions.ask
        return DeployStream(self._e, self._desired, ask, sha, since=since, limit=limit).items()

    async def _ping(self, params: dict[str, Any], caller: Caller) -> dict[str, Any]:
        return {"pid": os.getpid()}

    async def _log_lines(self, params: dict[str, Any], caller: Caller) -> dict[str, Any]:
        return await self._logs.lines(params)

    async def _events(self, params: dict[str, Any], caller: Caller) -> dict[str, Any]:
        count = params.get("lines", 100)
        found = await self.questions.ask(lambda: self._e.events.read(count))
        return {"version": 1, "events": found}

    async def _verify(self, params: dict[str, Any], caller: Caller) -> dict[str, Any]:
        return await self._commits.verify(params.get("rev"))

    async def _plan(self, params: dict[str, Any], caller: Caller) -> dict[str, Any]:
        return await self._commits.plan(params.get("rev"))

    async def _deploy(self, params: dict[str, Any], caller: Caller) -> dict[str, Any]:
        raise UsageError("deploy is a stream: ask with follow")

    async def _daemon_reexec(self, params: dict[str, Any], caller: Caller) -> dict[str, Any]:
        """Both programs anew, as they are on disk now; the answer goes out before this one steps aside."""
        await self._e.manager.reexec()
        asyncio.get_running_loop().call_later(_LAST_WORDS, os.kill, os.getpid(), signal.SIGTERM)
        return {"version": 1}

    async def _doctor(self, params: dict[str, Any], caller: Caller) -> dict[str, Any]:
        from gitproc.daemon import doctor

        found = await self.questions.ask(lambda: doctor.look_at_repository(self._desired))
        return {"version": 1, "checks": doctor.checks(self._e, found)}


_VERBS = frozenset(verb.value for verb in Verb)
_JOBS = _VERBS - {Verb.KILL.value, Verb.RESET_FAILED.value}  # these are not about definitions
_STARTS = _JOBS - {Verb.STOP.value}
_LOOKS = frozenset(
    {"ping", "status", "list", "is-active", "is-failed", "show", "logs", "events", "doctor"}
)
