"""Verbs about units: posted to the world as what an operator asked for, and awaited."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from gitproc.api.caller import Caller
from gitproc.core.events import Event, OperatorAsked, RequestDropped, Verb
from gitproc.core.world import World
from gitproc.daemon.absence import absence
from gitproc.daemon.perform import Perform
from gitproc.daemon.unit_names import UnitNames
from gitproc.units.seats import is_second


class UnitVerbs:
    """Numbers the requests, which `perform` answers; `post` puts them into the mailbox."""

    def __init__(
        self, world: World, names: UnitNames, perform: Perform, post: Callable[[Event], None]
    ) -> None:
        self._world = world
        self._names = names
        self._perform = perform
        self._post = post
        self._next = 0

    def _request(self) -> int:
        self._next += 1
        return self._next

    async def asked(self, question: Callable[[int], Event]) -> dict[str, Any]:
        """Post an event that is answered, by the number of the request it makes; the answer."""
        request = self._request()
        future = self._perform.expect(request)
        self._post(question(request))
        return await future

    async def carry_out(self, verb: Verb, params: dict[str, Any], caller: Caller) -> dict[str, Any]:
        """What came of it for each unit; with `wait` false, that it is under way."""
        outcomes: dict[str, Any] = {}
        names: dict[str, None] = {}
        wanted = params.get("units") or []
        if verb is Verb.RESET_FAILED and not wanted:
            failed = (n for n, s in self._world.units.items() if s.sub == "failed")
            wanted = sorted(n for n in failed if not is_second(n))
            if not wanted:
                return {"version": 1, "units": {}}
        for name in self._names.meant(verb, wanted):
            found = self._names.canonical(name)
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
        warnings = [f"{n}: {w}" for n in names for w in self._perform.warnings.of(n)]
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
