"""The reader understands what the real logger writes, also while it writes and rotates."""

import asyncio
import os
import time

from gitproc.shim.logfile import LogFile
from gitproc.store.logs import LogReader

MANY = 4000


def test_what_the_logger_moves_is_read_with_its_times(tmp_path):
    begun = time.time()
    source, sink = os.pipe()
    file = LogFile(str(tmp_path / "a.log"), 0, 0)
    for text in (b"one\ntw", b"o\n", b"three\n"):
        os.write(sink, text)
        file.move(source)
    file.reopen()
    os.close(source)
    os.close(sink)
    lines = LogReader(tmp_path, "a.service").tail(10)
    assert [line.text for line in lines] == ["one", "two", "three"]
    times = [line.time or 0.0 for line in lines]
    assert times == sorted(times)
    assert begun - 1 <= times[0] <= time.time() + 1


def test_following_the_logger_over_rotations_loses_and_doubles_nothing(tmp_path):
    async def scenario() -> list[int]:
        source, sink = os.pipe()
        os.set_blocking(source, False)
        file = LogFile(str(tmp_path / "a.log"), 2000, 5)
        lines = LogReader(tmp_path, "a.service").follow(last=None)
        seen: list[int] = []
        progress = asyncio.Event()

        async def follow() -> None:
            async for line in lines:
                seen.append(int(line.text))
                progress.set()
                if len(seen) == MANY:
                    return

        task = asyncio.create_task(follow())
        try:
            async with asyncio.timeout(50):
                for number in range(MANY):
                    os.write(sink, b"%d\n" % number)
                    catch_up = number % 400 == 399  # within what the rotated files hold
                    if number % 3 == 0 or catch_up:
                        file.move(source)
                    while catch_up and len(seen) <= number and not task.done():
                        progress.clear()
                        await progress.wait()
                await task
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await lines.aclose()  # type: ignore[attr-defined]
            file.reopen()
            os.close(source)
            os.close(sink)
        return seen

    assert asyncio.run(scenario()) == list(range(MANY))
    assert (tmp_path / "a.log.5").exists()
