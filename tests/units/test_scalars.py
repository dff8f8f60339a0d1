"""Numbers, booleans, modes, percentages and CPU sets, against systemd's outcomes."""

from __future__ import annotations

import pytest

from gitproc.units.scalars import (
    choice,
    parse_boolean,
    parse_cpu_set,
    parse_int,
    parse_mode,
    parse_nice,
    parse_oom_score_adjust,
    parse_ratio,
    parse_unsigned,
)
from gitproc.units.service_types import Restart
from tests.units.facts import Case, cases, table

# Sections of numbers.json that no setting here needs: pid, errno, fd, range. The setting_* sections
# show systemd keeping the old value when a new one does not parse; here that is an error.


def check(parse, case: Case, expected: object) -> None:
    if "error" in case:
        with pytest.raises(ValueError, match=r"."):
            parse(case["in"])
    else:
        assert parse(case["in"]) == expected


def check_setting(parse, case: Case, old: object) -> None:
    if case["out"] == old and case["in"] not in ("0", "0G"):
        with pytest.raises(ValueError, match=r"."):
            parse(case["in"])
    else:
        assert parse(case["in"]) == case["out"]


@cases("numbers", "boolean")
def test_boolean(case):
    check(parse_boolean, case, case.get("out"))


@cases("numbers", "nice")
def test_nice(case):
    check(parse_nice, case, case.get("out"))


@cases("numbers", "mode_octal")
def test_mode(case):
    check(parse_mode, case, int(case.get("out", "0"), 8))


@cases("numbers", "setting_mode")
def test_mode_setting(case):
    check_setting(parse_mode, case | {"out": int(case["out"], 8)}, 0)


@cases("numbers", "setting_int")
def test_int_setting(case):
    check_setting(parse_int, case, -1)


@cases("numbers", "setting_unsigned")
def test_unsigned_setting(case):
    check_setting(parse_unsigned, case, 0)


@pytest.mark.parametrize(
    ("section", "parts", "bounded"),
    [
        ("percent", 100, True),
        ("percent_unbounded", 100, False),
        ("permille", 1_000, True),
        ("permille_unbounded", 1_000, False),
        ("permyriad", 10_000, True),
        ("permyriad_unbounded", 10_000, False),
    ],
)
def test_percentages(section, parts, bounded):
    for case in table("numbers")[section]:
        check(lambda text: parse_ratio(text, parts, bounded=bounded), case, case.get("out"))


# Ours: a range that runs backwards is an error; systemd warns and takes no CPU from it.
@cases("numbers", "cpu_set", differ=("3-0",))
def test_cpu_set(case):
    if "error" in case:
        with pytest.raises(ValueError, match=r"."):
            parse_cpu_set(case["in"])
        return
    cpus = parse_cpu_set(case["in"])
    assert len(cpus) == case["count"]
    if "mask" in case:
        assert sum(1 << cpu for cpu in cpus) == int(case["mask"].replace(",", ""), 16)


def test_a_backward_cpu_range_is_an_error():
    with pytest.raises(ValueError, match="backwards"):
        parse_cpu_set("3-0")


def test_whole_numbers_in_other_bases():
    assert [parse_int(text) for text in ("0x10", "010", "0o10", "0b10", "-0x1")] == [
        16,
        8,
        8,
        2,
        -1,
    ]


@pytest.mark.parametrize("text", ["", "+", "1_000", "٣", " 1", "1.0", "08x"])
def test_what_is_no_whole_number(text):
    with pytest.raises(ValueError, match="not a whole number"):
        parse_int(text)


def test_unsigned_refuses_a_minus_sign_and_keeps_its_bounds():
    with pytest.raises(ValueError, match="negative"):
        parse_unsigned("-0")
    with pytest.raises(ValueError, match=r"out of range \(1 to 10\)"):
        parse_unsigned("11", 1, 10)


def test_oom_score_adjust():
    assert parse_oom_score_adjust("-1000") == -1000
    with pytest.raises(ValueError, match="out of range"):
        parse_oom_score_adjust("1001")


def test_a_choice_lists_the_words_it_knows():
    assert choice(Restart)("on-failure") is Restart.ON_FAILURE
    with pytest.raises(ValueError, match="'sometimes' is not one of no, always, on-success"):
        choice(Restart)("sometimes")
