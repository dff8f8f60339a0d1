"""The clock and the zone of this machine, and hearing of changes without setting the clock."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from pathlib import Path

from gitproc.kernel import clock_watch
from gitproc.kernel.clock_watch import ClockWatch, find_zone, local_zone, wall_offset
from gitproc.kernel.path_watch import PathWatch


def test_the_wall_is_where_it_was():
    before, boot = time.time(), time.clock_gettime(time.CLOCK_BOOTTIME)
    after = time.time()
    assert before - 1 < boot + wall_offset() < after + 1


def test_zones(monkeypatch, tmp_path: Path):
    berlin = find_zone("Europe/Berlin")
    assert berlin is not None
    noon = datetime(2026, 7, 1, 12, tzinfo=berlin)
    assert noon.astimezone(UTC).hour == 10
    assert find_zone("Mars/Crater") is None
    assert find_zone("../../../etc/passwd") is None
    monkeypatch.delenv("TZ", raising=False)
    monkeypatch.setattr(clock_watch, "LOCALTIME", str(tmp_path / "none"))
    assert find_zone("") is UTC
    assert local_zone() == "UTC"
    monkeypatch.setenv("TZ", "Europe/Berlin")
    assert local_zone() == "Europe/Berlin"
    assert find_zone("") == berlin


def test_a_new_zone_is_told_once(monkeypatch, tmp_path: Path):
    monkeypatch.delenv("TZ", raising=False)
    localtime = tmp_path / "localtime"
    localtime.symlink_to("/usr/share/zoneinfo/UTC")
    monkeypatch.setattr(clock_watch, "LOCALTIME", str(localtime))

    async def main() -> None:
        told: list[str] = []
        news = asyncio.Event()

        def heard(zone: str) -> None:
            told.append(zone)
            news.set()

        paths = PathWatch()
        watch = ClockWatch(paths, lambda _: None, heard)
        (tmp_path / "new").symlink_to("/usr/share/zoneinfo/Europe/Berlin")
        (tmp_path / "new").replace(localtime)
        async with asyncio.timeout(20):
            await news.wait()
        assert len(told) == 1
        assert "Berlin" in told[0]
        zone = find_zone("")
        assert zone is not None
        assert datetime(2026, 7, 1, 12, tzinfo=zone).astimezone(UTC).hour == 10
        watch.close()
        paths.close()

    asyncio.run(main())


def test_a_cancelled_timer_tells_the_time(monkeypatch):
    """What the kernel does when the clock is set: the read fails with ECANCELED."""

    async def main() -> None:
        told: list[float] = []
        watch = ClockWatch(None, told.append, lambda _: None)

        def cancelled(_fd: int, _count: int) -> bytes:
            raise OSError(125, "Operation canceled")

        monkeypatch.setattr("os.read", cancelled)
        watch._cancelled()
        monkeypatch.undo()
        assert abs(told[0] - wall_offset()) < 1
        watch.close()

    asyncio.run(main())
