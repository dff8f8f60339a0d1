"""Logs are read as one stream over their files, with times, whatever the bytes are."""

import asyncio
import os
import struct
import time
import tracemalloc
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from gitproc.errors import StateError
from gitproc.store import inotify, log_merge, log_segments
from gitproc.store.log_index import TimeIndex
from gitproc.store.log_lines import LINE_BYTES, safe_text
from gitproc.store.log_merge import newest_of
from gitproc.store.logs import LogReader
from tests.descriptors import descriptors


class Writer:
    """Writes a log and its index as the logger does."""

    def __init__(self, directory: Path, name: str = "a") -> None:
        self.path = directory / f"{name}.log"
        self.index = directory / f"{name}.log.index"

    def write(self, data: bytes, time: float | None = None) -> None:
        with self.path.open("ab") as file:
            offset = file.tell()
            file.write(data)
        if time is not None:
            with self.index.open("ab") as file:
                file.write(struct.pack("<QQ", offset, round(time * 1e9)))

    def rotate(self, files: int = 3) -> None:
        for number in range(files, 0, -1):
            for suffix in ("", ".index"):
                newer = Path(
                    f"{self.path}.{number - 1}{suffix}" if number > 1 else f"{self.path}{suffix}"
                )
                if newer.exists():
                    newer.rename(f"{self.path}.{number}{suffix}")


@pytest.fixture
def writer(tmp_path):
    return Writer(tmp_path)


@pytest.fixture
def reader(tmp_path):
    return LogReader(tmp_path, "a.service")


def texts(lines) -> list[str]:
    return [line.text for line in lines]


@pytest.mark.parametrize(
    ("unit", "name"),
    [
        ("nginx.service", "nginx"),
        ("app@1.service", "app@1"),
        ("daemon.service", "daemon.service"),
        ("events.service", "events.service"),
        ("a.socket", "a.socket"),
        ("x.service.service", "x.service.service"),
        ("daemon.service.service", "daemon.service.service"),
        ("a.socket.service", "a.socket.service"),
    ],
)
def test_names(tmp_path, unit, name):
    assert LogReader(tmp_path, unit).path == tmp_path / f"{name}.log"


def test_no_log_is_no_lines(reader):
    assert reader.tail(10) == []
    assert list(reader.since(0)) == []


@pytest.mark.parametrize("end", [b"", b"\n"])
@pytest.mark.parametrize("wanted", [0, 1, 2, 5, 6, 100])
def test_tail(writer, reader, wanted, end):
    writer.write(b"\n".join(b"%d" % number for number in range(6)) + end)
    expected = [str(number) for number in range(6)][max(0, 6 - wanted) :] if wanted else []
    assert texts(reader.tail(wanted)) == expected


def test_tail_goes_back_over_rotations_and_joins_lines_cut_by_them(writer, reader):
    writer.write(b"1\n2\nthr")
    writer.rotate()
    writer.write(b"ee\n4\n")
    writer.rotate()
    assert texts(reader.tail(3)) == ["2", "three", "4"]
    writer.write(b"5\n")
    assert texts(reader.tail(10)) == ["1", "2", "three", "4", "5"]
    assert texts(reader.tail(2)) == ["4", "5"]
    assert texts(reader.tail(3)) == ["three", "4", "5"]


def test_tail_of_many_lines_over_many_blocks(writer, reader):
    lines = [f"{number} " + "x" * (number % 120) for number in range(5000)]
    writer.write("".join(line + "\n" for line in lines).encode())
    for wanted in (1, 999, 1000, 4999, 5000, 6000):
        assert texts(reader.tail(wanted)) == lines[-wanted:]


def test_lines_carry_the_time_of_their_first_byte(writer, reader):
    writer.write(b"one\ntw", 10)
    writer.write(b"o\nthree\n", 20.5)
    assert [(line.text, line.time) for line in reader.tail(9)] == [
        ("one", 10),
        ("two", 10),
        ("three", 20.5),
    ]


def test_bytes_without_a_record_count_to_the_chunk_before(writer, reader):
    writer.write(b"one\n", 10)
    writer.write(b"gap\n")
    writer.write(b"three\n", 30)
    assert [line.time for line in reader.tail(9)] == [10, 10, 30]


def test_an_index_that_begins_late_or_is_torn_or_is_missing_gives_what_it_can(writer, reader):
    writer.write(b"gap\n")
    writer.write(b"two\n", 20)
    with writer.index.open("ab") as file:
        file.write(b"torn")
    assert [line.time for line in reader.tail(9)] == [20, 20]
    writer.index.unlink()
    assert [(line.text, line.time) for line in reader.tail(9)] == [("gap", None), ("two", None)]


def test_since_begins_with_the_first_line_of_a_later_chunk(writer, reader):
    for number in range(100):
        writer.write(b"%d\n" % number, number)
        if number in (30, 60):
            writer.rotate()
    assert texts(reader.since(97)) == ["97", "98", "99"]
    assert texts(reader.since(96.5)) == ["97", "98", "99"]
    assert texts(reader.since(29))[:3] == ["29", "30", "31"]
    assert len(list(reader.since(0))) == 100
    assert list(reader.since(99.5)) == []


@pytest.mark.parametrize("rotated", [False, True])
@pytest.mark.parametrize("before", [3, 40])
def test_what_a_clock_that_ran_ahead_has_stamped_is_not_since(writer, reader, before, rotated):
    now = time.time()
    for number in range(before):
        writer.write(b"ahead %d\n" % number, now + 86_400 + number)
    if rotated:
        writer.rotate()
    for number in range(20):
        writer.write(b"%d\n" % number, now - 20 + number)
    assert texts(reader.since(now - 20)) == [str(x) for x in range(20)]
    assert texts(reader.since(now - 5)) == ["15", "16", "17", "18", "19"]
    assert len(list(reader.since(0))) == 20


def test_since_does_not_begin_within_a_line(writer, reader):
    writer.write(b"one\ntw", 10)
    writer.write(b"o\nthree\n", 20)
    assert texts(reader.since(15)) == ["three"]


def test_since_goes_to_the_next_file_where_no_line_begins_in_this_one(writer, reader):
    writer.write(b"one\ntw", 10)
    writer.write(b"o", 20)
    writer.rotate()
    writer.write(b"!\nthree\n", 30)
    assert "three" in texts(reader.since(15))
    assert "one" not in texts(reader.since(15))


def test_a_range_in_time_and_the_last_of_it(writer, reader):
    for number in range(20):
        writer.write(b"%d\n" % number, number)
    assert texts(reader.lines(since=5, until=8)) == ["5", "6", "7"]
    assert texts(reader.lines(until=8, last=2)) == ["6", "7"]
    assert texts(reader.lines(since=18, last=10)) == ["18", "19"]
    assert texts(reader.lines(since=3, last=2)) == ["18", "19"]


def test_the_index_is_searched_over_many_blocks(tmp_path):
    path = tmp_path / "index"
    path.write_bytes(b"".join(struct.pack("<QQ", 10 * n, n * 10**9) for n in range(50_000)))
    fd = os.open(path, os.O_RDONLY)
    try:
        index = TimeIndex(fd)
        assert index.last_time == 49_999
        for number in (0, 1, 4095, 4096, 4097, 25_000, 49_999, 12, 40_000, 3):
            assert index.time_at(10 * number) == number
            assert index.time_at(10 * number + 9) == number
            assert index.offset_since(number) == 10 * number
        assert index.offset_since(50_000) is None
        for offset in range(0, 500_000, 7):
            assert index.time_at(offset) == offset // 10
    finally:
        os.close(fd)


def test_a_huge_line_comes_in_pieces_and_costs_no_memory(writer, reader):
    size = 40 * LINE_BYTES
    writer.write(b"before\n" + b"x" * size + b"\nafter\n", 5)
    tracemalloc.start()
    lengths = [len(line.text) for line in reader.since(0)]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert lengths == [6, *[LINE_BYTES] * 40, 5]
    assert sum(lengths) == size + 11
    assert peak < 16 * LINE_BYTES
    last = reader.tail(2)
    assert last[1].text == "after"
    assert last[0].text.strip("x") == ""


def test_tail_of_a_log_without_newlines_reads_only_its_end(writer, reader, monkeypatch):
    writer.write(b"x" * (40 * LINE_BYTES))
    taken = 0
    original = log_segments.Segment.read

    def counting(self, offset, length=log_segments.BLOCK):
        nonlocal taken
        taken += length
        return original(self, offset, length)

    monkeypatch.setattr(log_segments.Segment, "read", counting)
    assert sum(len(line.text) for line in reader.tail(2)) == 2 * LINE_BYTES
    assert taken <= 6 * LINE_BYTES


@pytest.mark.parametrize(
    ("raw", "safe"),
    [
        (b"plain", "plain"),
        ("grün 日本".encode(), "grün 日本"),
        (b"tab\tkept", "tab\tkept"),
        (b"cr at end\r", "cr at end"),
        (b"\xff\xfe", "\\xff\\xfe"),
        (b"\x00\x07", "\\x00\\x07"),
        (b"over\rwritten", "over\\x0dwritten"),
        (b"\x1b[31mred\x1b[0m", "\x1b[31mred\x1b[0m"),
        (b"\x1b]0;title\x07", "\\x1b]0;title\\x07"),
        (b"\x1b[2J", "\\x1b[2J"),
        (b"\xc2\x9b31m", "\\x9b31m"),
    ],
)
def test_text_is_safe_for_a_terminal(raw, safe):
    assert safe_text(raw) == safe
    safe_text(raw).encode("utf-8")


def test_reading_leaves_no_file_open(writer, reader):
    for number in range(5):
        writer.write(b"%d\n" % number, number)
        writer.rotate()
    before = descriptors()
    reader.tail(2)
    list(reader.since(0))
    lines = reader.lines()
    next(lines)
    lines.close()
    assert not descriptors() - before


def test_what_cannot_be_read_is_a_state_error(tmp_path, reader):
    (tmp_path / "a.log").symlink_to("a.log")
    with pytest.raises(StateError, match="cannot read"):
        reader.tail(1)


class Follower:
    """Runs `follow` and waits for lines with a deadline."""

    def __init__(self, reader: LogReader, **options) -> None:
        self._lines: Any = reader.follow(**options)
        self.seen: list = []

    async def until(self, count: int) -> list[str]:
        async with asyncio.timeout(25):
            while len(self.seen) < count:
                self.seen.append(await anext(self._lines))
        return texts(self.seen)

    async def close(self) -> None:
        await self._lines.aclose()


def following(scenario):
    async def run():
        async with asyncio.timeout(50):
            return await scenario()

    before = descriptors()
    result = asyncio.run(run())
    assert not descriptors() - before
    return result


def test_follow_begins_with_the_last_lines_and_goes_on(writer, reader):
    async def scenario():
        writer.write(b"1\n2\n3\n", 1)
        follower = Follower(reader, last=2)
        assert await follower.until(2) == ["2", "3"]
        pending = asyncio.create_task(follower.until(4))
        await asyncio.sleep(0.05)
        writer.write(b"4\n5\n", 2)
        assert await pending == ["2", "3", "4", "5"]
        assert [line.time for line in follower.seen] == [1, 1, 2, 2]
        await follower.close()

    following(scenario)


@pytest.mark.parametrize("rotations", [0, 1, 3])
def test_follow_looks_for_its_beginning_in_a_thread_whatever_happens_meanwhile(
    writer, reader, rotations
):
    async def ask(work):
        found = await asyncio.to_thread(work)
        for number in range(rotations):
            writer.rotate()
            writer.write(b"new %d\n" % number, 2)
        return found

    async def scenario():
        writer.write(b"1\n2\n3\n", 1)
        follower = Follower(reader, last=2, ask=ask)
        first = ["2", "3"]
        news = [f"new {number}" for number in range(rotations)]
        assert await follower.until(len(first + news)) == [*first, *news]
        await follower.close()

    following(scenario)


def test_follow_waits_for_the_end_of_a_line(writer, reader):
    async def scenario():
        writer.write(b"begun", 1)
        follower = Follower(reader)
        pending = asyncio.create_task(follower.until(1))
        await asyncio.sleep(0.05)
        writer.write(b" and done\nnext", 2)
        assert await pending == ["begun and done"]
        await follower.close()

    following(scenario)


def test_follow_waits_for_a_log_that_is_not_there_yet(writer, reader):
    async def scenario():
        follower = Follower(reader)
        pending = asyncio.create_task(follower.until(1))
        await asyncio.sleep(0.05)
        writer.write(b"hello\n", 1)
        assert await pending == ["hello"]
        await follower.close()

    following(scenario)


def test_follow_since_shows_nothing_old(writer, reader):
    async def scenario():
        writer.write(b"old\n", 1)
        writer.rotate()
        writer.write(b"older\n", 2)
        follower = Follower(reader, since=100, last=None)
        pending = asyncio.create_task(follower.until(1))
        await asyncio.sleep(0.05)
        writer.write(b"new\n", 101)
        assert await pending == ["new"]
        await follower.close()

    following(scenario)


def test_follow_goes_over_rotations_without_losing_or_doubling(writer, reader):
    async def scenario():
        follower = Follower(reader)
        pending = asyncio.create_task(follower.until(300))
        for number in range(300):
            writer.write(b"%d\n" % number, number)
            if number % 10 == 9:
                writer.rotate(files=5)
            if number % 25 == 0:  # sometimes several rotations come before the reader looks
                await asyncio.sleep(0.03)
        assert await pending == [str(number) for number in range(300)]
        assert [line.time for line in follower.seen] == list(range(300))
        await follower.close()

    following(scenario)


def test_follow_reads_the_held_file_even_if_it_was_rotated_out_of_existence(writer, reader):
    async def scenario():
        writer.write(b"1\n", 1)
        follower = Follower(reader)
        assert await follower.until(1) == ["1"]
        writer.write(b"2\n", 2)
        writer.rotate(files=1)
        writer.write(b"3\n", 3)
        writer.rotate(files=1)
        writer.write(b"4\n", 4)
        assert await follower.until(4) == ["1", "2", "3", "4"]
        await follower.close()

    following(scenario)


def test_follow_goes_on_after_the_log_was_emptied_in_place(writer, reader):
    async def scenario():
        writer.write(b"a longer first line\n", 1)
        follower = Follower(reader)
        assert await follower.until(1) == ["a longer first line"]
        os.truncate(writer.path, 0)
        os.truncate(writer.index, 0)
        writer.write(b"new\n", 2)
        assert await follower.until(2) == ["a longer first line", "new"]
        await follower.close()

    following(scenario)


def test_many_who_follow_share_one_inotify_instance(tmp_path):
    def instances():
        found = 0
        for entry in Path("/proc/self/fd").iterdir():
            with suppress(OSError):
                found += "inotify" in str(entry.readlink())
        return found

    before = instances()

    async def scenario():
        writers = [Writer(tmp_path, f"u{n}") for n in range(5)]
        followers = [Follower(LogReader(tmp_path, f"u{n % 5}.service")) for n in range(40)]
        for writer in writers:
            writer.write(b"1\n", 1)
        for follower in followers:
            assert await follower.until(1) == ["1"]
        assert instances() == before + 1
        for follower in followers[::2]:
            await follower.close()
        for writer in writers:
            writer.rotate()
            writer.write(b"2\n", 2)
        for follower in followers[1::2]:
            assert await follower.until(2) == ["1", "2"]
            await follower.close()

    following(scenario)
    assert instances() == before


def test_follow_looks_by_itself_where_inotify_has_run_out(writer, reader, monkeypatch, caplog):
    monkeypatch.setattr(inotify, "FALLBACK_SECONDS", 0.02)
    monkeypatch.setattr(inotify, "_NONBLOCK_CLOEXEC", -1)  # EINVAL

    async def scenario():
        follower = Follower(reader)
        pending = asyncio.create_task(follower.until(2))
        await asyncio.sleep(0.05)
        writer.write(b"1\n", 1)
        writer.rotate()
        writer.write(b"2\n", 2)
        assert await pending == ["1", "2"]
        await follower.close()

    following(scenario)
    assert "looking once a second" in caplog.text


@pytest.mark.parametrize("removed", [False, True])
def test_a_follower_that_waits_uses_no_processor(writer, reader, removed):
    async def scenario():
        writer.write(b"0\n", 1)
        writer.rotate()
        writer.write(b"1\n", 2)
        follower = Follower(reader, last=1)
        await follower.until(1)
        if removed:  # what is left is older than what was read
            os.utime(f"{writer.path}.1", (1, 1))
            writer.path.unlink()
        pending = asyncio.create_task(follower.until(2))
        await asyncio.sleep(0.05)
        before = os.times()
        await asyncio.sleep(0.3)
        after = os.times()
        assert after.user + after.system - before.user - before.system < 0.1
        writer.write(b"2\n", 3)
        assert await pending == ["1", "2"]
        await follower.close()

    following(scenario)


def test_following_in_a_directory_that_is_missing_is_a_state_error(tmp_path):
    async def scenario():
        with pytest.raises(StateError, match="no log directory"):
            await anext(LogReader(tmp_path / "missing", "a.service").follow())

    following(scenario)


def test_the_last_lines_before_an_instant_over_rotations(writer, reader):
    for number in range(40):
        writer.write(b"%d\n" % number, 1000.0 + number)
        if number % 10 == 9:
            writer.rotate(files=5)
    assert texts(reader.lines(until=1003.0)) == ["0", "1", "2"]
    for until in (1025.0, 1030.0, 1031.5):
        before = [str(number) for number in range(40) if 1000 + number < until]
        assert texts(reader.lines(last=3, until=until)) == before[-3:]
        assert texts(reader.newest(15, None, until)[0]) == before[-15:]
        assert texts(reader.newest(15, 1020.0, until)[0]) == before[20:][-15:]
    assert texts(reader.newest(2, None, 1000.0)[0]) == []
    assert texts(reader.newest(2, None, 5000.0)[0]) == ["38", "39"]


def test_a_line_that_began_before_an_instant_is_whole(writer, reader):
    writer.write(b"one\ntw", 1000.0)
    writer.write(b"o\nthree\n", 1001.0)
    assert texts(reader.lines(last=1, until=1001.0)) == ["two"]
    assert texts(reader.lines(last=5, until=1001.0)) == ["one", "two"]


@pytest.fixture
def pair(tmp_path):
    """Two logs of four lines that take turns."""
    writers = {name: Writer(tmp_path, name) for name in "ab"}
    for number in range(4):
        writers["a"].write(b"a%d\n" % number, 1000.0 + number)
        writers["b"].write(b"b%d\n" % number, 1000.5 + number)
    return {name: LogReader(tmp_path, f"{name}.service") for name in "ab"}


def told(found):
    return [line.text for _, line in found]


def test_logs_are_merged_by_time(pair):
    found, cut = newest_of(pair, None, None, None)
    assert (told(found), cut) == (["a0", "b0", "a1", "b1", "a2", "b2", "a3", "b3"], False)
    assert [unit for unit, _ in found] == list("abababab")
    assert told(newest_of(pair, 3, None, None)[0]) == ["b2", "a3", "b3"]
    assert told(newest_of(pair, 0, None, None)[0]) == []
    assert told(newest_of(pair, 2, 1001.0, 1003.0)[0]) == ["a2", "b2"]


def test_a_clock_that_is_set_back_turns_no_lines_around(pair, tmp_path):
    Writer(tmp_path, "a").write(b"a4\n", 1001.2)
    assert told(newest_of(pair, None, None, None)[0])[-3:] == ["a3", "a4", "b3"]


def test_merged_logs_are_bounded_in_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(log_merge, "MOST_CHARACTERS", 1000)
    readers = {}
    for name in "abc":
        Writer(tmp_path, name).write(b"x" * 99 + b"\n" + (b"y" * 99 + b"\n") * 9, 1000.0)
        readers[name] = LogReader(tmp_path, f"{name}.service")
    found, cut = newest_of(readers, None, None, None)
    assert (len(found), cut) == (10, True)
    found, cut = newest_of(readers, 5, None, None)
    assert (len(found), cut) == (5, False)


def test_no_older_line_is_shown_where_a_newer_one_had_no_room(tmp_path, monkeypatch):
    monkeypatch.setattr(log_merge, "MOST_CHARACTERS", 1000)
    readers = {name: LogReader(tmp_path, f"{name}.service") for name in "ab"}
    Writer(tmp_path, "a").write(b"x" * 600 + b"\n", 1001.0)
    Writer(tmp_path, "a").write(b"y" * 600 + b"\n", 1002.0)
    Writer(tmp_path, "b").write(b"small and old\n", 1000.0)
    Writer(tmp_path, "b").write(b"small and new\n", 1003.0)
    found, cut = newest_of(readers, None, None, None)
    assert (told(found), cut) == (["y" * 600, "small and new"], True)


def test_several_logs_are_followed_as_one(pair, tmp_path):
    async def follow():
        lines = log_merge.follow_all(pair, 3, None, asyncio.to_thread)
        seen = []
        async with asyncio.timeout(30):
            for _ in range(3):
                seen.append((await anext(lines))[1].text)
            for name in "ba":
                Writer(tmp_path, name).write(f"{name} now\n".encode(), 2000.0)
                seen.append((await anext(lines))[1].text)
        await lines.aclose()
        return seen

    before = descriptors()
    assert asyncio.run(follow()) == ["b2", "a3", "b3", "b now", "a now"]
    assert not descriptors() - before
