"""Questions that join what several parts know: why a unit is as it is, what drifts, what happened to it."""

from __future__ import annotations

import fnmatch
import time
from collections.abc import Callable, Mapping
from typing import Any

from gitproc.api.caller import Caller
from gitproc.core.dependency_resolver import roots_of
from gitproc.core.dependency_tree import dependency_tree
from gitproc.core.drift import drifts
from gitproc.core.properties import unit_file_state
from gitproc.core.records import commit_record
from gitproc.core.socket_status import sockets
from gitproc.core.status_timers import timers
from gitproc.core.why import why
from gitproc.daemon.absence import absence
from gitproc.daemon.accounting import top
from gitproc.daemon.commits import Commits, files_of
from gitproc.daemon.effects import Effects
from gitproc.daemon.healing import differing_limits
from gitproc.daemon.loop import boottime
from gitproc.daemon.questions import Questions
from gitproc.errors import NoSuchUnit
from gitproc.units.unit import Unit

_TOLD = frozenset(
    {
        "commit.plan", "operator.asked", "unit.failed", "unit.limits-changed", "unit.main-exited",
        "unit.oom-kill", "unit.restarting", "unit.started", "unit.unhealthy",
    }
)  # fmt: skip
_EVENTS_PER_LINE = 10  # of the log that are looked at for each line asked for


class Inquiries:
    """Answers them. `canonical` is the unit a name means, None if there is none."""

    def __init__(
        self,
        effects: Effects,
        commits: Commits,
        questions: Questions,
        canonical: Callable[[str], str | None],
    ) -> None:
        self._e = effects
        self._world = effects.world
        self._commits = commits
        self._questions = questions
        self._canonical = canonical
        self.methods = {
            "why": self.why, "diff": self.diff, "history": self.history, "cat": self.cat,
            "list-timers": self.list_timers, "list-sockets": self.list_sockets, "security": self.security,
            "top": self.top, "is-enabled": self.is_enabled, "list-dependencies": self.list_dependencies,
        }  # fmt: skip

    async def why(self, params: Mapping[str, Any], caller: Caller) -> dict[str, Any]:
        """The reasons behind a unit's state."""
        name = self._canonical(params["unit"])
        if name is None:
            raise NoSuchUnit(absence(self._world, params["unit"]), unit=params["unit"])
        now = boottime()
        return {"version": 1, **why(self._world, name, time.time() - now, now)}

    async def is_enabled(self, params: Mapping[str, Any], caller: Caller) -> dict[str, Any]:
        """What the commit in force says of units: whether something is to start them."""
        units = []
        for name in params["units"]:
            unit = self._world.wanted_unit(self._canonical(name) or name)
            state = "not-found" if unit is None else unit_file_state(unit)
            units.append({"name": name, "unit_file_state": state})
        return {"version": 1, "units": units}

    async def list_dependencies(self, params: Mapping[str, Any], caller: Caller) -> dict[str, Any]:
        """The tree of units below one, or above it; of the default target, unless one is named."""
        before, after = params.get("before", False), params.get("after", False)
        tree = dependency_tree(
            self._world,
            self._wanted(params["unit"]).name if params.get("unit") else self._default_target(),
            ordering=before or after,
            reverse=before or params.get("reverse", False),
            recursive=params.get("all", False),
        )
        return {"version": 1, **tree}

    def _default_target(self) -> str:
        desired = self._world.desired
        if desired is None:
            raise NoSuchUnit("no commit is in force: commit unit files to the branch")
        return roots_of(desired, self._world.settings.default_target)[0]

    async def list_timers(self, params: Mapping[str, Any], caller: Caller) -> dict[str, Any]:
        """Timers that are active (or all), the next to elapse first."""
        patterns = params.get("units") or ("*",)
        found = [
            one
            for one in timers(self._world)
            if any(fnmatch.fnmatch(one["unit"], pattern) for pattern in patterns)
            and (params.get("all") or one["active_state"] == "active")
        ]
        return {"version": 1, "timers": found}

    async def list_sockets(self, params: Mapping[str, Any], caller: Caller) -> dict[str, Any]:
        """Addresses of sockets that are open (or all)."""
        patterns = params.get("units") or ("*",)
        found = [
            one
            for one in sockets(self._world)
            if any(fnmatch.fnmatch(one["unit"], pattern) for pattern in patterns)
            and (params.get("all") or one["open"])
        ]
        return {"version": 1, "sockets": found}

    async def diff(self, params: Mapping[str, Any], caller: Caller) -> dict[str, Any]:
        """Where what is differs from what the commit in force wants."""
        found = sorted(
            [*drifts(self._world), *differing_limits(self._e)], key=lambda x: (x.unit, x.kind)
        )
        return {"version": 1, "drifts": [x.as_dict() for x in found]}

    async def security(self, params: Mapping[str, Any], caller: Caller) -> dict[str, Any]:
        """How exposed services of the commit in force are; those of `units`, or all."""
        names = params.get("units") or []
        found = [self._wanted(x) for x in names] if names else self._services()
        from gitproc.units.exposure import expose

        exposures = [expose(unit).as_dict() for unit in found if unit.kind == "service"]
        exposures.sort(key=lambda x: (-x["exposure"], x["unit"]))
        return {
            "version": 1,
            "units": exposures,
            "threshold": params.get("threshold"),
            "named": bool(names),
        }

    def _wanted(self, name: str) -> Unit:
        unit = self._world.wanted_unit(self._canonical(name) or name)
        if unit is None:
            raise NoSuchUnit(absence(self._world, name), unit=name)
        return unit

    def _services(self) -> list[Unit]:
        desired = self._world.desired
        units = desired.units.values() if desired is not None else ()
        return [unit for unit in units if unit.fragment and not unit.masked]

    async def top(self, params: Mapping[str, Any], caller: Caller) -> dict[str, Any]:
        """What units and slices use."""
        return top(self._e)

    async def history(self, params: Mapping[str, Any], caller: Caller) -> dict[str, Any]:
        """Commits with their verdicts; of one unit: those that changed it, and what happened to it."""
        count = params.get("lines", 20)
        if not params.get("unit"):
            return await self._commits.history(count, [])
        name = self._canonical(params["unit"]) or params["unit"]
        unit = self._world.wanted_unit(name)
        paths = files_of(unit) if unit is not None else []
        events = await self._questions.ask(
            lambda: self._e.events.read(count * _EVENTS_PER_LINE, units=[name])
        )
        told = [x for x in events if x["kind"] in _TOLD]
        if not paths and not told:
            raise NoSuchUnit(f"no unit {name} in the applied commit, nor in the event log")
        plans = {
            x["data"]["commit"]: x
            for x in told
            if x["kind"] == "commit.plan" and x["data"].get("changed", True)
        }
        found = await self._commits.history(count, paths, list(plans)) if paths or plans else {}
        entries = found.get("entries", [])
        timeline = [_happening(x) for x in told if x["kind"] != "commit.plan"]
        at = 0.0
        for entry in reversed(entries):
            plan = plans.get(entry["sha"])
            entry["change"] = plan["message"] if plan is not None else None
            entry["applied"] = plan["time"] if plan is not None else None
            # Git knows whole seconds only: a commit does not come before the one below it.
            at = plan["time"] if plan is not None else max(at, entry["time"])
            timeline.append({"time": at, "kind": "commit", "commit": entry})
        timeline.sort(key=lambda x: float(x["time"]))  # what is of one instant stays in its order
        newest = timeline[::-1][:count]
        return {"version": 1, "unit": name, "entries": entries, "timeline": newest}

    async def cat(self, params: Mapping[str, Any], caller: Caller) -> dict[str, Any]:
        """The files units come from, in order of effect, each with the commit that last changed it."""
        result: dict[str, Any] = {}
        desired = self._world.desired
        for name in params["units"]:
            paths = desired.files_of(name) if desired is not None else None
            if paths is None or desired is None:
                raise NoSuchUnit(f"no unit {name} in the applied commit", unit=name)
            result[desired.canonical(name)] = [
                {
                    "path": path,
                    "text": desired.text_of(path),
                    "commit": commit_record(await self._commits.last_change([path])),
                }
                for path in paths
            ]
        return {"version": 1, "units": result}


def _happening(event: Mapping[str, Any]) -> dict[str, Any]:
    return {key: event[key] for key in ("time", "kind", "message", "who")}
