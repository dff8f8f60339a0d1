"""Questions about units: projections of the world, with what the kernel, the logs and the branch add to them."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from gitproc import __version__
from gitproc.api.caller import Caller
from gitproc.core import status
from gitproc.core.records import commit_record
from gitproc.daemon import accounting
from gitproc.daemon.commits import Commits
from gitproc.daemon.desired import Desired
from gitproc.daemon.effects import Effects
from gitproc.daemon.loop import boottime
from gitproc.daemon.unit_names import UnitNames
from gitproc.daemon.unit_warnings import UnitWarnings
from gitproc.kernel import processes

if TYPE_CHECKING:
    from gitproc.daemon.log_answers import LogAnswers

_TAIL = 10  # log lines that `status UNIT` shows
_PROCESSES = 100  # that `status UNIT` lists


class UnitAnswers:
    """Answers `status`, `list`, `is-active`, `is-failed` and `show`."""

    def __init__(
        self,
        effects: Effects,
        names: UnitNames,
        warnings: UnitWarnings,
        desired: Desired,
        commits: Commits,
        logs: Callable[[], LogAnswers],
    ) -> None:
        self._e = effects
        self._world = effects.world
        self._names = names
        self._warnings = warnings
        self._desired = desired
        self._commits = commits
        self._logs = logs
        self._since = time.time()
        self.notes: list[str] = []
        """What is missing on this host, said in `status` and `doctor`."""
        self.methods = {
            "status": self._status,
            "list": self._list,
            "is-active": self._is_active,
            "is-failed": self._is_active,
            "show": self._show,
        }

    def _commit_overview(self) -> dict[str, Any]:
        return status.commits(self._world, self._desired.head, self._e.config.branch)

    def _unit(self, name: str) -> dict[str, Any]:
        found = status.unit_status(self._world, name, time.time() - boottime())
        state = self._world.units.get(name)
        if state is not None and accounting.counts(state):
            found.update(accounting.usage(self._e.controller, state.seat))
        found["warnings"] = list(self._warnings.of(name))
        return found

    async def _status(self, params: dict[str, Any], caller: Caller) -> dict[str, Any]:
        patterns = params.get("units")
        if patterns:
            names = self._names.matching([self._names.owner(x) for x in patterns])
            await self._logs().caught_up()
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
        found["log"] = self._logs().tail(name, lines)
        changed = await self._commits.last_change(self._files(name))
        found["commit"] = commit_record(changed)
        return found

    def _files(self, name: str) -> list[str]:
        unit = self._world.wanted_unit(name)
        return [x for x in (unit.fragment, *unit.drop_ins) if x] if unit is not None else []

    async def _list(self, params: dict[str, Any], caller: Caller) -> dict[str, Any]:
        patterns = params.get("units")
        names = self._names.matching(patterns) if patterns else status.listed(self._world)
        kinds, states = params.get("types"), params.get("states")
        units = [self._unit(x) for x in names if not kinds or x.rpartition(".")[2] in kinds]
        told = ("active_state", "sub_state", "load_state")
        found = [x for x in units if not states or any(x[key] in states for key in told)]
        return {"version": 1, "units": found}

    async def _is_active(self, params: dict[str, Any], caller: Caller) -> dict[str, Any]:
        return {
            "version": 1,
            "units": [self._unit(n) for n in self._names.matching(params["units"])],
        }

    async def _show(self, params: dict[str, Any], caller: Caller) -> dict[str, Any]:
        from gitproc.core import properties
        from gitproc.daemon.more_properties import more_properties

        wanted = params.get("properties")
        result = {}
        for name in params.get("units") or status.listed(self._world):
            name = self._names.canonical(name) or name
            found = self._unit(name)
            state = self._world.units.get(name)
            if state is not None and accounting.counts(state):
                found.update(accounting.details(self._e.controller, state.seat))
            shown = properties.properties(self._world, name, found)
            unit = self._world.wanted_unit(name)
            if unit is not None and not unit.masked:
                kept = len(self._e.sockets.store.of(name))
                shown |= more_properties(self._world, unit, found, kept)
            if wanted:
                keys = [key for one in wanted for key in one.split(",")]
                shown = {
                    k: shown.get(k) or shown.get(properties.property_name(k), "") for k in keys
                }
            result[name] = shown
        return {"version": 1, "units": result}
