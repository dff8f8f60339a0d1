"""Calendar expressions: systemd's own outcomes, and searches that end."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gitproc.units.calendar import parse_calendar
from gitproc.units.elapse import next_elapse
from gitproc.units.zones import is_zone_name
from tests.units.facts import Case, cases, parametrise, table

BASE = int(datetime(2024, 2, 28, 22, 58, 30, tzinfo=UTC).timestamp()) * 1_000_000


def zone_of(name: str | None) -> tzinfo:
    try:
        return ZoneInfo(name) if name else UTC
    except (KeyError, ValueError):
        return UTC  # as the C library does


def after(text: str, usec: int, local: str | None = "") -> int | None:
    spec = parse_calendar(text)
    return next_elapse(spec, usec, zone_of(spec.zone or local))


@cases("calendar", "normalise")
def test_normal_form(case: Case):
    text = str(parse_calendar(case["in"]))
    assert text == case["out"]
    assert str(parse_calendar(text)) == text


@pytest.mark.parametrize(
    "text", [c["in"] if isinstance(c, dict) else c for c in table("calendar")["invalid"]]
)
def test_what_systemd_refuses_is_refused(text: str):
    with pytest.raises(ValueError):
        parse_calendar(text)


@cases("calendar", "next_elapse")
def test_next_elapse(case: Case):
    assert after(case["in"], case["after_usec"], case["tz"]) == case["next_usec"]


@parametrise([c for c in table("calendar")["iterate"] if "error" not in c])
def test_iterations(case: Case):
    assert str(parse_calendar(case["in"])) == case["out"]
    at: int | None = BASE
    found = []
    for _ in case["next"]:
        assert at is not None
        at = after(case["in"], at)
        if at is not None:
            found.append(f"{datetime.fromtimestamp(at / 1e6, UTC):%Y-%m-%d %H:%M:%S}")
    assert found == case["next"]
    if len(case["next"]) < 5:
        assert after(case["in"], at or BASE) is None


@pytest.mark.parametrize("text", [c["in"] for c in table("calendar")["iterate"] if "error" in c])
def test_wrong_examples_are_refused(text: str):
    with pytest.raises(ValueError):
        parse_calendar(text)


def usec(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp() * 1_000_000)


@pytest.mark.parametrize(
    ("text", "zone", "begin", "end"),
    [
        # Berlin: 02:00-03:00 of 2024-03-31 is left out, of 2024-10-27 comes twice.
        ("*-*-* 02:30", "Europe/Berlin", "2024-03-30T03:00+01:00", "2024-04-01T02:30+02:00"),
        ("*:00", "Europe/Berlin", "2024-03-31T01:00+01:00", "2024-03-31T03:00+02:00"),
        ("*-*-* 02:30", "Europe/Berlin", "2024-10-26T03:00+02:00", "2024-10-27T02:30+02:00"),
        ("*-*-* 02:30", "Europe/Berlin", "2024-10-27T02:30+02:00", "2024-10-28T02:30+01:00"),
        ("*-*-* 02:30", "Europe/Berlin", "2024-10-27T02:10+01:00", "2024-10-27T02:30+01:00"),
        ("*:*:*", "Europe/Berlin", "2024-10-27T02:59:59+02:00", "2024-10-27T03:00:00+01:00"),
        # Samoa had no 30th of December 2011; Lord Howe shifts by half an hour.
        ("*-*-30 12:00", "Pacific/Apia", "2011-12-29T00:00-10:00", "2012-01-30T12:00+14:00"),
        ("*:00", "Australia/Lord_Howe", "2024-10-06T01:00+10:30", "2024-10-06T03:00+11:00"),
        ("*:0/15", "Australia/Lord_Howe", "2024-10-06T01:45+10:30", "2024-10-06T02:30+11:00"),
    ],
)  # fmt: skip
def test_changes_of_the_clocks(text: str, zone: str, begin: str, end: str):
    found = after(text, usec(begin), zone)
    assert found == usec(end)


@pytest.mark.parametrize(
    "text",
    [
        "*-02-31",
        "2024-02-30",
        "*-02-30 *:*:0/0.000001",
        "Mon 2023-01-01",
        "1999-*-*",
        "Sun 2199-12-31",
    ],
)
def test_what_never_elapses_is_found_out_soon(text: str):
    begin = time.process_time()
    assert after(text, usec("2024-03-01T00:00+00:00"), "Europe/Berlin") is None
    assert time.process_time() - begin < 1


def test_the_last_instant():
    assert after("2199-12-31 23:59:59", BASE) == usec("2199-12-31T23:59:59+00:00")
    assert after("*:*:*", usec("2199-12-31T23:59:59+00:00")) is None
    assert after("*:*:*", 2**63) is None
    assert after("1970-01-01 00:00:01", -5) == 1_000_000


def test_zone_names():
    assert is_zone_name("Europe/Berlin")
    assert is_zone_name("America/Argentina/Buenos_Aires")
    assert not is_zone_name("Tue")
    assert not is_zone_name("../../etc/passwd")
    assert not is_zone_name("Europe/../Berlin")
    assert parse_calendar("daily Europe/Berlin").zone == "Europe/Berlin"
    assert parse_calendar("daily utc").zone == "UTC"


@given(st.text(alphabet="*0123456789-~:,./ MonTueSatdailyUTC@+", max_size=60))
def test_any_text_is_parsed_or_refused(text: str):
    try:
        spec = parse_calendar(text)
    except ValueError as error:
        assert str(error)
        return
    assert parse_calendar(str(spec)) == spec


def _chain(low: int, high: int) -> st.SearchStrategy[str]:
    number = st.integers(low, high).map(str)
    step = st.integers(1, max(1, (high - low) // 2)).map(str)
    one = st.one_of(
        number,
        st.tuples(number, step).map("/".join),
        st.tuples(number, number).map("..".join),
    )
    return st.one_of(st.just("*"), st.lists(one, min_size=1, max_size=3).map(",".join))


@settings(max_examples=150)
@given(
    st.sampled_from(["", "Mon ", "Sat,Sun ", "Tue..Fri "]),
    st.tuples(_chain(1970, 2199), _chain(1, 12), _chain(1, 31)),
    st.tuples(_chain(0, 23), _chain(0, 59), _chain(0, 59)),
    st.integers(0, 7 * 10**15),
    st.sampled_from(["UTC", "Europe/Berlin", "America/St_Johns", "Pacific/Apia"]),
)
def test_an_elapse_is_later_fits_and_is_found_soon(days, date, clock, begin, zone):
    try:
        spec = parse_calendar(f"{days}{'-'.join(date)} {':'.join(clock)}")
    except ValueError:
        return
    began = time.process_time()
    found = next_elapse(spec, begin, ZoneInfo(zone))
    assert time.process_time() - began < 1
    if found is not None:
        assert found > begin
        # From just before it, it is found again: nothing lies between.
        assert next_elapse(spec, found - 1, ZoneInfo(zone)) == found


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("00:00:60", "60 is not possible as a second"),
        ("3:10:50..10", "50..10"),
        ("0:0:0/61.5", "00/61.500000 is not possible as a second"),
        ("24:00", "24 is not possible as an hour"),
        ("*-13-01", "13 is not possible as a month"),
    ],
)
def test_what_is_wrong_is_said_in_the_words_of_the_expression(text, problem):
    with pytest.raises(ValueError, match=re.escape(problem)):
        parse_calendar(text)
