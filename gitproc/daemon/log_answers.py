"""What the socket answers of services' logs: lines of one or several units, as they are or as they come."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from pathlib import Path
from typing import Any

from gitproc.daemon.absence import absence
from gitproc.daemon.effects import Effects
from gitproc.daemon.log_levels import level_and_text
from gitproc.daemon.questions import Questions
from gitproc.daemon.shares import Shares
from gitproc.errors import HostError, NoSuchUnit, UsageError
from gitproc.store.log_lines import LogLine
from gitproc.store.log_merge import follow_all, newest_of
from gitproc.store.logs import LogReader
from gitproc.units.unit import Unit
from gitproc.units.wildcards import is_pattern

PATIENCE = 3.0  # seconds the logger has to write down what is in the pipes
DISTRUST = 10.0  # seconds for which one that did not is not asked again
AT_ONCE = 100  # logs that one reader may follow
FOLLOWED = 2000  # by all readers; each holds two files open
_TAIL = 10  # lines from which on a log is followed


class LogAnswers:
    """`canonical` knows the unit a name means, `matching` the units that names and patterns mean."""

    def __init__(
        self,
        effects: Effects,
        questions: Questions,
        canonical: Callable[[str], str | None],
        matching: Callable[[list[str]], list[str]],
    ) -> None:
        self._e = effects
        self._questions = questions
        self._canonical, self._matching = canonical, matching
        self._distrusted_until = 0.0
        self._followed = Shares(FOLLOWED, "logs are followed")

    async def caught_up(self) -> None:
        """Wait until what services have written by now can be read; not for long, and not for one that hangs."""
        if time.monotonic() < self._distrusted_until:
            return
        try:
            async with asyncio.timeout(PATIENCE):
                await self._e.manager.drain_logs()
        except TimeoutError:
            self._distrusted_until = time.monotonic() + DISTRUST
        except HostError:
            pass  # the shim is gone: there is nobody to wait for

    async def lines(self, params: dict[str, Any]) -> dict[str, Any]:
        """The lines of units, as they are."""
        readers = self._readers(params)
        since, until, last = params.get("since"), params.get("until"), params.get("lines")
        await self.caught_up()
        told, cut = await self._questions.ask(lambda: newest_of(readers, last, since, until))
        item = self._teller(params)
        found: dict[str, Any] = {"version": 1, "lines": [item(*one) for one in told]}
        if cut:
            only = len(readers) == 1
            found["cut"] = str(next(iter(readers.values())).path if only else self._log_dir)
        return found

    async def stream(self, params: dict[str, Any]) -> AsyncGenerator[dict[str, Any], None]:
        """The items of `logs` with `follow`."""
        if params.get("until") is not None:
            raise UsageError("what is followed has no end: leave out until, or follow")
        readers = self._readers(params)
        if len(readers) > AT_ONCE:
            raise UsageError(
                f"{len(readers)} logs are too many to follow at once ({AT_ONCE}): name some of them"
            )
        since, item = params.get("since"), self._teller(params)
        last = params.get("lines", _TAIL if since is None else None)
        who = self._followed.take(len(readers))
        try:
            lines = follow_all(readers, last, since, self._questions.ask)
            async with contextlib.aclosing(lines):
                async for unit, line in lines:
                    yield item(unit, line)
        finally:
            self._followed.give(who, len(readers))

    @property
    def _log_dir(self) -> Path:
        return self._e.config.log_dir

    def _readers(self, params: Mapping[str, Any]) -> dict[str, LogReader]:
        """The logs that are asked for, by unit. NoSuchUnit for a name (not a pattern) that has none."""
        wanted = params.get("units", ["*"]) if "unit" not in params else [params["unit"]]
        found: dict[str, LogReader] = {}
        for one in wanted:
            for name in self._matching([one]) if is_pattern(one) else [self._known(one)]:
                reader = LogReader(self._log_dir, name)
                if not is_pattern(one) or name.endswith(".service") or reader.path.exists():
                    found[name] = reader
        if not found and wanted != ["*"]:
            raise NoSuchUnit(f"no unit matches {', '.join(wanted)}")
        return found

    def _known(self, name: str) -> str:
        found = self._canonical(name)
        if found is not None:
            return found
        if LogReader(self._log_dir, name).path.exists():  # of a unit that is gone
            return name
        raise NoSuchUnit(absence(self._e.world, name), unit=name)

    def tail(self, unit: str, lines: int) -> list[str]:
        """The texts of the last lines of a unit that there is."""
        definition = self._definition(unit)
        last = LogReader(self._log_dir, unit).tail(lines)
        return [level_and_text(definition, line.text)[1] for line in last]

    def _definition(self, name: str) -> Unit | None:
        """Whose settings tell levels: of the log that instances for connections share, the template's."""
        desired = self._e.world.desired
        sample = desired.sample(name) if desired is not None else None
        return sample or self._e.world.wanted_unit(name)

    def _teller(self, params: Mapping[str, Any]) -> Callable[[str, LogLine], dict[str, Any]]:
        """How a line is told: with its unit where several may be asked for."""
        definitions: dict[str, Unit | None] = {}

        def told(unit: str, line: LogLine) -> dict[str, Any]:
            if unit not in definitions:
                definitions[unit] = self._definition(unit)
            priority, text = level_and_text(definitions[unit], line.text)
            return {"text": text, "time": line.time, "priority": priority}

        if "unit" in params:
            return told
        return lambda unit, line: {"unit": unit, **told(unit, line)}
