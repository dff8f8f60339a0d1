"""Resource limits, against systemd's outcomes."""

from __future__ import annotations

import pytest

from gitproc.units.limits import Limit, parse_limit
from tests.units.facts import cases


def number(value: int | str) -> int:
    return -1 if value == "infinity" else int(value)


@cases("numbers", "rlimit")
def test_limits_as_systemd_reads_them(case):
    if "error" in case:
        with pytest.raises(ValueError, match=r"."):
            parse_limit(case["limit"], case["in"])
    else:
        expected = Limit(number(case["soft"]), number(case["hard"]))
        assert parse_limit(case["limit"], case["in"]) == expected


def test_sizes_seconds_and_counts():
    assert parse_limit("MEMLOCK", "64K:infinity") == Limit(65536, -1)
    assert parse_limit("CPU", "1500ms") == Limit(2, 2)
    assert parse_limit("LimitRTTIME", "infinity") == Limit(-1, -1)
    assert parse_limit("CORE", "0") == Limit(0, 0)


@pytest.mark.parametrize("text", ["5:4", "infinity:4", "1K", ":", "5:", ":5", "-1"])
def test_what_is_no_limit(text):
    with pytest.raises(ValueError, match=r"."):
        parse_limit("NOFILE", text)


@pytest.mark.parametrize("text", ["41", "+20", "-21", "+-1", "--1"])
def test_what_is_no_niceness(text):
    with pytest.raises(ValueError, match=r"."):
        parse_limit("NICE", text)
