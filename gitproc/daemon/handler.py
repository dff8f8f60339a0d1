"""What the socket's methods do: verbs are posted to the world and awaited, questions are projections of it."""

from __future__ import annotations

import asyncio
import contextlib
import fnmatch
import os
import signal
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from typing import Any

from gitproc import __version__
from gitproc.api.caller import Caller
from gitproc.core import properties, status
from gitproc.core.events import (
    Event,
    OperatorAsked,
    RequestDropped,
    Verb,
)
from gitproc.core.records import commit_record
from gitproc.core.world import World
from gitproc.daemon import accounting, doctor
from gitproc.daemon.absence import absence
from gitproc.daemon.branch_verbs import BranchVerbs
from gitproc.daemon.commits import Commits
from gitproc.daemon.deploy_stream import DEFAULT_LIMIT, MAX_LIMIT, DeployStream
from gitproc.daemon.desired import Desired
from gitproc.daemon.inquiries import Inquiries
from gitproc.daemon.log_answers import LogAnswers
from gitproc.daemon.loop import Mailbox, boottime
from gitproc.daemon.more_properties import more_properties
from gitproc.daemon.perform import Effects, Perform
from gitproc.daemon.push import Pushes
from gitproc.daemon.questions import Questions
from gitproc.errors import NoSuchUnit, SourceError, UsageError
from gitproc.kernel import processes
from gitproc.store.logs import LogReader
from gitproc.units.seats import home, is_second

_TAIL = 10  # log lines that `status UNIT` shows
_PROCESSES = 100  # that `status UNIT` lists
_PATIENCE = 10.0  # seconds
_LAST_WORDS = 0.1  # seconds


class RpcHandler:
    """The manager's answers; one instance serves all connections, in the loop's thread."""

    def __init__(
        self, effects: Effects, mailbox: Mailbox, perform: Perform, desired: Desired
    ) -> None:
        self._e = effects
        self._world: World = effects.world
        self._mailbox = mailbox
        self._perform = perform
        self._desired = desired
        self.questions = Questions()
        self._commits = Commits(effects, desired, self.questions)
        self.pushes = Pushes(effects, desired)
        branch = BranchVerbs(effects, desired, self._commits, self._asked)
        inquiries = Inquiries(effects, self._commits, self.questions, self._canonical)
        self._logs = LogAnswers(effects, self.questions, self._canonical, self._matching)
        self._others = {
            **self.pushes.methods,
            **branch.methods,
            **inquiries.methods,
            **self._logs.methods,
        }
        self._next = 0
        self._since = time.time()
        self.notes: list[str] = []
        """What is missing on this host, said in `status` and `doctor`."""

    async def call(self, method: str, params: dict[str, Any], caller: Caller) -> Any:
        """Answer one request; GitProcError says why not."""
        await self._commit_known(method, params)
        if method in _VERBS:
            return await self._verb(Verb(method), params, caller)
        if method in self._others:
            return await self._others[method](params, caller)
        name = "_" + method.replace("-", "_")
        return await getattr(self, name)(params, caller)

    async def _commit_known(self, method: str, params: dict[str, Any]) -> None:
        """Wait for the commit in force, which a manager that just came back has yet to read.

        Units that were adopted can be looked at before.
        """
        if method in _LOOKS:
            names = params.get("units") or filter(None, [params.get("unit")])
            if all(name in self._world.units for name in names):
                return
        await self._desired.looked(_PATIENCE)
        if self._world.undecided and method in _VERBS:
            raise SourceError("the commit in force cannot be read now; see `gitproc status`")

    async def stream(
        self, method: str, params: dict[str, Any], caller: Caller
    ) -> AsyncIterator[dict[str, Any]]:
        """The items of `logs` or `events` with `follow`."""
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
        self.pushes.hung_up(caller)

    def _deploy_items(self, params: dict[str, Any]) -> AsyncGenerator[dict[str, Any], None]:
        sha = params["sha"]
        limit = min(params.get("limit", DEFAULT_LIMIT), MAX_LIMIT)
        since = self.pushes.accepted.get(sha)
        ask = self.questions.ask
        return DeployStream(self._e, self._desired, ask, sha, since=since, limit=limit).items()

    # -- names -----------------------------------------------------------------------------------

    def _canonical(self, name: str) -> str | None:
        """The unit a name means, following aliases and templates; None if there is none."""
        desired = self._world.desired
        if desired is not None:
            unit = desired.resolve(name)
            if unit is not None:
                return unit.name
        return name if name in self._world.units and not is_second(name) else None

    def _matching(self, patterns: list[str]) -> list[str]:
        names: dict[str, None] = {}
        for pattern in patterns:
            if any(char in pattern for char in "*?["):
                shown = status.listed(self._world)
                names.update(dict.fromkeys(fnmatch.filter(shown, pattern)))
            else:
                names[self._canonical(pattern) or pattern] = None
        return list(names)

    def _meant(self, verb: Verb, patterns: list[str]) -> list[str]:
        """What an operator means to act on: by a pattern, units that run; all of them, to start or forget them."""
        every = verb in (Verb.START, Verb.RESET_FAILED)
        names: dict[str, None] = {}
        for pattern in patterns:
            if not any(char in pattern for char in "*?["):
                names[pattern] = None
                continue
            found = self._matching([pattern])
            states = {name: self._world.units.get(name) for name in found}
            meant = [n for n, state in states.items() if every or (state and not state.down)]
            if not meant:
                what = "unit" if every else "running unit"
                raise NoSuchUnit(f"no {what} matches {pattern}", unit=pattern)
            names.update(dict.fromkeys(meant))
        return list(names)

    def _owner(self, name: str) -> str:
        """The unit whose process has this for a PID, where no unit has it for a name."""
        digits = name.removesuffix(".service")
        if not (digits.isascii() and digits.isdigit()) or self._canonical(name) is not None:
            return name
        found = self._e.controller.unit_of(int(digits))
        return name if found is None else home(found)

    # -- verbs -----------------------------------------------------------------------------------

    def _post(self, event: Event) -> None:
        self._mailbox.post(event)

    def _request(self) -> int:
        self._next += 1
        return self._next

    async def _asked(self, question: Callable[[int], Event]) -> dict[str, Any]:
        """Post an event that is answered, by the number of the request it makes; the answer."""
        request = self._request()
        future = self._perform.expect(request)
        self._post(question(request))
        return await future

    async def _verb(self, verb: Verb, params: dict[str, Any], caller: Caller) -> dict[str, Any]:
        outcomes: dict[str, Any] = {}
        names: dict[str, None] = {}
        wanted = params.get("units") or []
        if verb is Verb.RESET_FAILED and not wanted:
            failed = (n for n, s in self._world.units.items() if s.sub == "failed")
            wanted = sorted(n for n in failed if not is_second(n))
            if not wanted:
                return {"version": 1, "units": {}}
        for name in self._meant(verb, wanted):
            found = self._canonical(name)
            if found is None:
                message = absence(self._world, name)
                outcomes[name] = {"result": "not-found", "message": message}
            elif (problem := self._cannot(verb, found)) is not None:
                outcomes[found] = {"result": "failed", "message": problem}
            else:
                names[found] = None
        if names:
            request = self._request()
            future = self._perform.expect(request)
            self._post(
                OperatorAsked(
                    verb,
                    tuple(names),
                    request,
                    caller.who,
                    params.get("signal", 15),
                    params.get("whom", "all"),
                    time.time(),
                )
            )
            if params.get("wait", True):
                try:
                    outcomes.update(await future)
                finally:
                    if not future.done():
                        self._post(RequestDropped(request))
                    self._perform.give_up(request)
            else:
                outcomes.update({name: {"result": "queued"} for name in names})
        warnings = [f"{n}: {w}" for n in names for w in self._perform.warnings.get(n, ())]
        return {"version": 1, "units": outcomes, "warnings": warnings}

    def _cannot(self, verb: Verb, name: str) -> str | None:
        if verb not in (Verb.START, Verb.RESTART, Verb.RELOAD, Verb.RELOAD_OR_RESTART):
            return None
        unit = self._world.wanted_unit(name)
        if unit is None:
            return "it is not in the applied commit any more" if verb is Verb.START else None
        if unit.masked:
            return "it is masked"
        return None

    # -- questions -------------------------------------------------------------------------------

    async def _ping(self, params: dict[str, Any], caller: Caller) -> dict[str, Any]:
        return {"pid": os.getpid()}

    def _commit_overview(self) -> dict[str, Any]:
        return status.commits(self._world, self._desired.head, self._e.config.branch)

    def _unit(self, name: str) -> dict[str, Any]:
        found = status.unit_status(self._world, name, time.time() - boottime())
        state = self._world.units.get(name)
        if state is not None and accounting.counts(state):
            found.update(accounting.usage(self._e.controller, state.seat))
        found["warnings"] = list(self._perform.warnings.get(name, ()))
        return found

    async def _status(self, params: dict[str, Any], caller: Caller) -> dict[str, Any]:
        patterns = params.get("units")
        if patterns:
            names = self._matching([self._owner(x) for x in patterns])
            await self._logs.caught_up()
            units = [await self._detailed(name, params.get("lines", _TAIL)) for name in names]
        else:
            units = [self._unit(name) for name in status.listed(self._world)]
        return {
            "version": 1,
            "daemon": {
                "pid": os.getpid(),
                "shim_pid": self._e.shim_pid,
                "version": __version__,
                "since": self._since,
                "warnings": self.notes,
            },
            "commit": self._commit_overview(),
            "units": units,
        }

    async def _detailed(self, name: str, lines: int) -> dict[str, Any]:
        found = self._unit(name)
        if found["load_state"] == "not-found":
            return found
        state = self._world.units.get(name)
        if state is not None and accounting.counts(state):
            found.update(accounting.details(self._e.controller, state.seat))
            pids = self._e.controller.pids(state.seat)[:_PROCESSES]
            found["processes"] = [{"pid": pid, "title": processes.title(pid)} for pid in pids]
        found["log"] = [x.text for x in LogReader(self._e.config.log_dir, name).tail(lines)]
        changed = await self._commits.last_change(self._files(name))
        found["commit"] = commit_record(changed)
        return found

    def _files(self, name: str) -> list[str]:
        unit = self._world.wanted_unit(name)
        return [unit.fragment, *unit.drop_ins] if unit is not None and unit.fragment else []

    async def _list(self, params: dict[str, Any], caller: Caller) -> dict[str, Any]:
        patterns = params.get("units")
        names = self._matching(patterns) if patterns else status.listed(self._world)
        kinds, states = params.get("types"), params.get("states")
        units = [self._unit(x) for x in names if not kinds or x.rpartition(".")[2] in kinds]
        told = ("active_state", "sub_state", "load_state")
        found = [x for x in units if not states or any(x[key] in states for key in told)]
        return {"version": 1, "units": found}

    async def _is_active(self, params: dict[str, Any], caller: Caller) -> dict[str, Any]:
        return {"version": 1, "units": [self._unit(n) for n in self._matching(params["units"])]}

    _is_failed = _is_active

    async def _show(self, params: dict[str, Any], caller: Caller) -> dict[str, Any]:
        wanted = params.get("properties")
        result = {}
        for name in params.get("units") or status.listed(self._world):
            name = self._canonical(name) or name
            found = self._unit(name)
            state = self._world.units.get(name)
            if state is not None and accounting.counts(state):
                found.update(accounting.details(self._e.controller, state.seat))
            shown = properties.properties(self._world, name, found)
            unit = self._world.wanted_unit(name)
            if unit is not None and not unit.masked:
                kept = len(self._e.sockets.store.of(name))
                shown |= more_properties(unit, found, kept)
            if wanted:
                keys = [key for one in wanted for key in one.split(",")]
                shown = {
                    k: shown.get(k) or shown.get(properties.property_name(k), "") for k in keys
                }
            result[name] = shown
        return {"version": 1, "units": result}

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
        found = await self.questions.ask(lambda: doctor.look_at_repository(self._desired))
        return {"version": 1, "checks": doctor.checks(self._e, found)}


_VERBS = frozenset(verb.value for verb in Verb)
_LOOKS = frozenset(
    {"ping", "status", "list", "is-active", "is-failed", "show", "logs", "events", "doctor"}
)
