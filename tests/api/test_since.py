"""Instants as people type them (systemd.time(7))."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import pytest

from gitproc.api.since import parse_since
from gitproc.errors import UsageError

NOW = datetime(2024, 5, 31, 12, 0, tzinfo=UTC).timestamp()  # a Friday


@pytest.fixture(params=["UTC", "America/New_York"])
def zone(request, monkeypatch):
    """The machine's local time."""
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield request.param
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("now", "2024-05-31 12:00:00"),
        ("-2 hours", "2024-05-31 10:00:00"),
        ("2 hours ago", "2024-05-31 10:00:00"),
        ("+1h 30min", "2024-05-31 13:30:00"),
        ("3h left", "2024-05-31 15:00:00"),
        ("2024-05-30 14:30 UTC", "2024-05-30 14:30:00"),
        ("2024-05-30T14:30Z", "2024-05-30 14:30:00"),
        ("2024-05-30T14:30:15+02:00", "2024-05-30 12:30:15"),
        ("2024-05-30 14:30 -0130", "2024-05-30 16:00:00"),
        ("Thu 2024-05-30 14:30 Europe/Berlin", "2024-05-30 12:30:00"),
        ("Thursday, 2024-05-30 UTC", "2024-05-30 00:00:00"),
        ("24-05-30 UTC", "2024-05-30 00:00:00"),
        ("70-01-02 UTC", "1970-01-02 00:00:00"),
        ("11:30 UTC", "2024-05-31 11:30:00"),
        ("@86400", "1970-01-02 00:00:00"),
    ],
)
def test_the_same_everywhere(zone, text, moment):
    found = datetime.fromtimestamp(parse_since(text, NOW), UTC)
    assert found.strftime("%Y-%m-%d %H:%M:%S") == moment


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("today", "2024-05-31 00:00:00"),
        ("Yesterday", "2024-05-30 00:00:00"),
        ("tomorrow", "2024-06-01 00:00:00"),
        ("2024-05-30", "2024-05-30 00:00:00"),
        ("2024-05-30 1:05", "2024-05-30 01:05:00"),
        ("07:30", "2024-05-31 07:30:00"),
        ("07:30:15", "2024-05-31 07:30:15"),
    ],
)
def test_in_local_time(zone, text, moment):
    found = time.localtime(parse_since(text, NOW))
    assert time.strftime("%Y-%m-%d %H:%M:%S", found) == moment
    named = time.strftime("%a %Y-%m-%d %H:%M:%S %Z", found)  # as `events` and `status` print it
    assert parse_since(named, NOW) == time.mktime(found)


def test_fractions_and_the_start_of_the_machine():
    assert parse_since("2024-05-31 12:00:00.25 UTC") == NOW + 0.25
    assert parse_since("boot") == pytest.approx(
        time.time() - time.clock_gettime(time.CLOCK_BOOTTIME), abs=5
    )


@pytest.mark.parametrize(
    "text",
    [
        "Mon 2024-05-31", "2024-02-30", "25:00", "12:60", "2024-05-31 12:00 Nowhere/Land", "UTC",
        "12:00 ../../etc/passwd", "12:00 Europe/../../etc/passwd", "friday", "0001-01-01", "+", "left", "boot 3",
        "2024-05-31 12:00 +9999", "@1e999", "x" * 4000, "9" * 4000, "infinity",
    ],
)  # fmt: skip
def test_what_is_no_instant(text):
    with pytest.raises(UsageError, match="cannot read the time"):
        parse_since(text, NOW)
