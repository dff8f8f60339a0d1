"""Watching paths by inotify: what is told of real files, and what is not."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from gitproc.kernel.path_watch import PathWatch, Watched


class Heard:
    """What was told of one watch."""

    def __init__(self) -> None:
        self.told: list[frozenset[int]] = []
        self.news = asyncio.Event()

    def __call__(self, numbers: frozenset[int]) -> None:
        self.told.append(numbers)
        self.news.set()

    async def next(self) -> frozenset[int]:
        """What is told next."""
        async with asyncio.timeout(20):
            while not self.told:
                self.news.clear()
                await self.news.wait()
        return self.told.pop(0)

    async def silent(self, probe: Callable[[], object], other: Heard) -> None:
        """Nothing is told of this, though something later is told of `other`."""
        probe()
        await other.next()
        assert self.told == []


def test_contents_and_writes(tmp_path: Path):
    async def main() -> None:
        watch, closed, written = PathWatch(), Heard(), Heard()
        file = tmp_path / "file"
        file.write_text("old")
        watch.watch("a", [Watched(str(file), contents=True)], closed)
        watch.watch("b", [Watched(str(file), contents=True, writes=True)], written)
        with file.open("a") as open_file:
            open_file.write("x")
            open_file.flush()
            assert await written.next() == {0}
            assert closed.told == []
        assert await closed.next() == {0}
        watch.close()

    asyncio.run(main())


def test_what_does_not_exist_is_watched_from_where_it_will_come(tmp_path: Path):
    async def main() -> None:
        watch, heard = PathWatch(), Heard()
        deep = tmp_path / "a" / "b" / "file"
        watch.watch("x", [Watched(str(deep), contents=True)], heard)
        deep.parent.mkdir(parents=True)
        await heard.next()
        while heard.told:
            heard.told.pop()
        deep.write_text("x")
        await heard.next()
        (tmp_path / "a").rename(tmp_path / "c")
        await heard.next()
        heard.told.clear()
        deep.parent.mkdir(parents=True)
        await heard.next()
        watch.close()

    asyncio.run(main())


def test_neighbours_of_what_exists_wake_nobody(tmp_path: Path):
    async def main() -> None:
        watch, heard, other = PathWatch(), Heard(), Heard()
        file = tmp_path / "file"
        file.write_text("x")
        watch.watch("x", [Watched(str(file))], heard)
        watch.watch("other", [Watched(str(tmp_path / "second"))], other)
        watch.forget("other")
        watch.watch("other", [Watched(str(tmp_path / "second"))], other)
        await heard.silent((tmp_path / "second").touch, other)
        watch.close()

    asyncio.run(main())


def test_a_link_is_watched_itself_and_what_it_leads_to(tmp_path: Path):
    async def main() -> None:
        watch, heard = PathWatch(), Heard()
        for name in ("one", "two"):
            (tmp_path / name).write_text(name)
        link = tmp_path / "link"
        link.symlink_to("one")
        watch.watch("x", [Watched(str(link), contents=True)], heard)
        (tmp_path / "one").write_text("changed")
        assert await heard.next() == {0}
        heard.told.clear()
        (tmp_path / "new").symlink_to("two")
        (tmp_path / "new").replace(link)
        await heard.next()
        heard.told.clear()
        (tmp_path / "two").write_text("changed")
        assert await heard.next() == {0}
        watch.close()

    asyncio.run(main())


def test_forgetting_ends_it_and_leaves_others(tmp_path: Path):
    async def main() -> None:
        watch, gone, stays = PathWatch(), Heard(), Heard()
        watch.watch("gone", [Watched(str(tmp_path), entries=True)], gone)
        watch.watch("stays", [Watched(str(tmp_path), entries=True)], stays)
        watch.forget("gone")
        watch.forget("never")
        await gone.silent((tmp_path / "file").touch, stays)
        watch.close()

    asyncio.run(main())


@pytest.mark.parametrize("path", ["/", "/proc/self/nothing", "/dev/null/x"])
def test_odd_paths_do_no_harm(path: str):
    async def main() -> None:
        watch = PathWatch()
        watch.watch("x", [Watched(path, contents=True)], Heard())
        watch.close()

    asyncio.run(main())
