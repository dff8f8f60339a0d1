"""Sizes, amounts and quotas, against systemd's outcomes."""

from __future__ import annotations

import pytest

from gitproc.units.sizes import (
    Amount,
    parse_amount,
    parse_cpu_quota,
    parse_positive_amount,
    parse_size,
    parse_tasks,
)
from tests.units.facts import cases


def check(case, base: int) -> None:
    if "error" in case:
        with pytest.raises(ValueError, match="size"):
            parse_size(case["in"], base)
    else:
        assert parse_size(case["in"], base) == case["out"]


@cases("numbers", "size_1024")
def test_bytes(case):
    check(case, 1024)


@cases("numbers", "size_1000")
def test_bandwidths(case):
    check(case, 1000)


# systemd keeps the old value (0) where a new one does not parse; here that is an error.
@cases("numbers", "setting_iec_size", "setting_iec_uint64")
def test_size_settings(case):
    check(case if case["out"] or case["in"] == "0G" else {"in": case["in"], "error": True}, 1024)


@cases("numbers", "setting_si_uint64")
def test_bandwidth_settings(case):
    check(case if case["out"] or case["in"] == "0G" else {"in": case["in"], "error": True}, 1000)


# An empty MemoryMin= or MemoryLow= is 0 and not infinity; a reset takes the directive's default,
# which is not this parser's business.
@cases("numbers", "memory_limit")
def test_memory_limits(case):
    if case["in"] or case["out"] == "infinity":
        expected = Amount() if case["out"] == "infinity" else Amount(case["out"])
        assert parse_amount(case["in"]) == expected


def test_an_amount_is_bytes_a_fraction_or_no_limit():
    assert parse_amount("1.5G") == Amount(absolute=1_610_612_736)
    assert parse_amount("33.25%") == Amount(fraction=0.3325)
    assert parse_amount("infinity").infinite
    assert not parse_amount("0").infinite
    assert parse_amount("50%").of(1001) == 500
    assert parse_amount("10").of(1001) == 10
    assert parse_amount("infinity").of(1001) is None


@pytest.mark.parametrize(
    "text", ["101%", "-5%", "half", "10 %", "5 5", "1KM", "1Kib", "9999999999T"]
)
def test_what_is_no_amount(text):
    with pytest.raises(ValueError, match=r"."):
        parse_amount(text)


@pytest.mark.parametrize("parse", [parse_positive_amount, parse_tasks])
@pytest.mark.parametrize("text", ["0", "0%"])
def test_a_limit_of_nothing_is_a_mistake(parse, text):
    with pytest.raises(ValueError, match="leave nothing"):
        parse(text)


def test_tasks():
    assert parse_tasks("4096") == Amount(4096)
    assert parse_tasks("10%") == Amount(fraction=0.1)
    assert parse_tasks("infinity") == Amount()
    with pytest.raises(ValueError, match="whole number"):
        parse_tasks("4K")


def test_cpu_quota():
    assert parse_cpu_quota("") is None
    assert parse_cpu_quota("150%") == 1.5
    assert parse_cpu_quota("0.5%") == 0.005
    for text in ("0%", "1.5", "-1%"):
        with pytest.raises(ValueError, match=r"quota|percentage"):
            parse_cpu_quota(text)
