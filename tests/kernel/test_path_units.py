"""A folder that takes long to look through: its path unit is looked at aside, and nothing is missed."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

from gitproc.core.occasions import PathsSeen
from gitproc.kernel import path_units
from gitproc.kernel.path_units import PathUnits
from gitproc.units.diagnostics import Location
from gitproc.units.specifiers import Host
from gitproc.units.unit import Setting, Unit
from tests.kernel.parts import soon


def path_unit(key: str, where: Path) -> Unit:
    return Unit(
        "a.path", "a.path", [Setting(f"Path.{key}", str(where), *Location("a.path", 1))], Host()
    )


class Watch:
    """Tells of what a test says has happened."""

    def watch(self, name, paths, happened):
        self.happened = happened

    def forget(self, name):
        pass


def test_who_takes_long_is_looked_at_aside_and_no_news_is_lost(tmp_path, monkeypatch):
    spool = tmp_path / "spool"
    spool.mkdir()
    path = path_unit("DirectoryNotEmpty", spool)
    looks: list[str] = []
    go_on = threading.Event()
    mark = path_units._mark

    def slowly(row, where):
        looks.append(threading.current_thread().name)
        if len(looks) > 1:
            go_on.wait()
        return mark(row, where)

    monkeypatch.setattr(path_units, "_mark", slowly)
    monkeypatch.setattr(path_units, "_LONG", -1.0)

    async def scenario():
        posted: list[PathsSeen] = []
        watch: Any = Watch()
        it = PathUnits(posted.append, watch)
        it.begin(path, "1" * 32, first=True)
        assert [(x.marks, x.begun) for x in posted] == [(("",), True)]
        watch.happened(frozenset({0}))
        await soon(lambda: len(looks) == 2, "a look that goes on")
        (spool / "x").touch()  # the loop is free meanwhile
        for _ in range(5):
            watch.happened(frozenset({0}))
        assert len(looks) == 2
        go_on.set()
        await soon(lambda: len(posted) == 2, "told")
        assert posted[1].marks == ("1",)
        await soon(lambda: len(looks) == 3, "looked once more, for all that has happened since")
        it.end("a.path")
        assert looks[0] == threading.current_thread().name
        assert threading.current_thread().name not in looks[1:]

    asyncio.run(scenario())


def test_what_is_watched_no_more_is_not_told_of(tmp_path, monkeypatch):
    path = path_unit("PathExists", tmp_path)
    monkeypatch.setattr(path_units, "_LONG", -1.0)

    async def scenario():
        posted: list[PathsSeen] = []
        watch: Any = Watch()
        it = PathUnits(posted.append, watch)
        it.begin(path, "1" * 32, first=True)
        it.end("a.path")
        it.begin(path, "2" * 32, first=False)
        it.end("a.path")
        it.begin(path, "3" * 32, first=False)
        await soon(lambda: len(posted) == 2, "told")
        assert [x.invocation[0] for x in posted] == ["1", "3"]

    asyncio.run(scenario())
