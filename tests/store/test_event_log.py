"""Events reach the file and the subscribers, and neither can hold up the manager."""

import asyncio
import json
import logging
import signal

import pytest

from gitproc.store import event_log
from gitproc.store.event_log import EventLog


@pytest.fixture
def log(tmp_path):
    made = EventLog(tmp_path)
    yield made
    made.close()


def messages(events) -> list[str]:
    return [event["message"] for event in events]


def test_an_event_is_one_line_of_json(log):
    log.append("unit.started", "a.service", "up\nand running", {"pid": 7}, "root", time=12.5)
    log.flush()
    (line,) = log.path.read_bytes().splitlines()
    assert json.loads(line) == {
        "time": 12.5,
        "kind": "unit.started",
        "unit": "a.service",
        "message": "up\nand running",
        "data": {"pid": 7},
        "who": "root",
    }


def test_the_last_events_come_oldest_first(log):
    for number in range(10):
        log.append("k", message=str(number))
    log.flush()
    assert messages(log.read(3)) == ["7", "8", "9"]
    assert messages(log.read(None)) == [str(number) for number in range(10)]
    assert log.read(0) == []


def test_who_reads_and_then_subscribes_misses_nothing_and_hears_nothing_twice(log):
    for number in range(3):
        log.append("k", message=str(number), time=number)
    log.flush()
    past = log.read(2)
    assert log.behind(past) == []
    log.append("k", message="2", time=2.5)
    log.append("k", message="3", time=3)  # not flushed
    assert messages(log.behind(past)) == ["2", "3"]
    assert messages(log.behind([], since=2)) == ["2", "2", "3"]
    assert messages(log.behind([])) == ["0", "1", "2", "2", "3"]


def test_filters(log):
    log.append("unit.started", "a.service", "1", time=1)
    log.append("unit.failed", "a.service", "2", time=2)
    log.append("unit.started", "b.service", "3", time=3)
    log.append("units", "", "4", time=4)
    log.flush()
    assert messages(log.read(units=["a.service"])) == ["1", "2"]
    assert messages(log.read(units=["a.service", "b.service"], lines=2)) == ["2", "3"]
    assert messages(log.read(kind="unit")) == ["1", "2", "3"]
    assert messages(log.read(kind="unit.started")) == ["1", "3"]
    assert messages(log.read(since=2)) == ["2", "3", "4"]


def test_reading_goes_back_over_rotated_files(tmp_path):
    log = EventLog(tmp_path, max_bytes=1000, files=2)
    for number in range(100):
        log.append("k", message=f"{number}")
        log.flush()
    log.close()
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["events.log", "events.log.1", "events.log.2"]
    assert all(path.stat().st_size <= 1000 for path in tmp_path.iterdir())
    found = [int(text) for text in messages(log.read(None))]
    assert found == list(range(found[0], 100))
    assert len(found) > 20


def test_long_files_are_read_in_blocks(log):
    for number in range(3000):
        log.append("k", message=f"{number} " + "x" * (number % 97))
    log.flush()
    assert log.path.stat().st_size > 3 * event_log._BLOCK
    found = [int(text.split()[0]) for text in messages(log.read(None))]
    assert found == list(range(3000))


def test_a_torn_line_spoils_only_itself(tmp_path):
    (tmp_path / "events.log").write_bytes(b'{"time":1,"kind":"k","mess')
    log = EventLog(tmp_path)
    log.append("k", message="after")
    log.flush()
    log.close()
    assert messages(log.read()) == ["after"]


def test_what_a_crash_kept_from_the_log_is_written_once(log):
    told = [log.append("unit.started", "a.service", str(n), time=float(n)) for n in range(3)]
    log.flush()
    lost = EventLog(log.path.parent)  # of a manager that was killed before it wrote
    told.append(lost.append("unit.main-exited", "a.service", "3", {"status": 1}, time=3.0))
    for _ in range(2):
        log.complete([json.loads(line) for line in told])
    assert messages(log.read()) == ["0", "1", "2", "3"]
    log.complete([])


def test_no_file_is_no_events(log):
    assert log.read() == []


def test_a_full_disk_costs_events_and_is_told_once(log, caplog):
    import resource

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        for _ in range(3):
            log.append("k", message="lost")
            log.flush()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert log.dropped == 3
    assert len([record for record in caplog.records if record.levelno == logging.ERROR]) == 1
    log.append("k", message="kept")
    log.flush()
    assert messages(log.read()) == ["kept"]


def test_subscribers_get_what_comes_and_end_when_closed(log):
    async def follow():
        with log.subscribe() as subscription:
            log.append("k", message="1")
            log.append("k", message="2")
            seen = []
            async for event in subscription:
                seen.append(event["message"])
                if len(seen) == 2:
                    log.append("k", message="3")
                if len(seen) == 3:
                    subscription.close()
            return seen

    assert asyncio.run(asyncio.wait_for(follow(), 10)) == ["1", "2", "3"]
    log.append("k", message="nobody listens")


def test_a_waiting_subscriber_ends_with_the_log(log):
    async def follow():
        subscription = log.subscribe()

        async def consume():
            return [event async for event in subscription]

        task = asyncio.create_task(consume())
        await asyncio.sleep(0)
        log.close()
        return await task

    assert asyncio.run(asyncio.wait_for(follow(), 10)) == []


def test_a_slow_subscriber_loses_events_and_is_told_how_many(log):
    async def follow():
        subscription = log.subscribe(limit=2)
        for number in range(5):
            log.append("k", message=str(number))
        seen = []
        async for event in subscription:
            seen.append((event["kind"], event["data"].get("count")))
            if len(seen) == 2:
                log.append("k", message="5")
            if event["kind"] == "events.lost":
                subscription.close()
        return seen

    seen = asyncio.run(asyncio.wait_for(follow(), 10))
    assert seen[:3] == [("k", None), ("k", None), ("events.lost", 3)]


def test_the_log_of_others_is_not_readable_by_the_world(log):
    log.append("k")
    log.flush()
    assert log.path.stat().st_mode & 0o007 == 0
