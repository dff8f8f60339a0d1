"""Time spans, against systemd's outcomes."""

from __future__ import annotations

import contextlib
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gitproc.units.timespan import (
    format_span,
    parse_microseconds,
    parse_nanoseconds,
    parse_span,
    parse_span_or_infinity,
    parse_timeout,
)
from tests.units.facts import Case, cases

# In "setting_bad_value_keeps_old(0)" systemd warns about a bad value and keeps the old one; here every
# bad value is an error of the commit, so those cases are checked as errors.


def seconds(case: Case) -> float:
    return math.inf if case["usec"] == "infinity" else case["usec"] / 1_000_000


def check(parse, case: Case) -> None:
    if case.get("error"):
        with pytest.raises(ValueError, match="time"):
            parse(case["in"])
    else:
        assert parse(case["in"]) == seconds(case)


@cases("timespan", "parse_sec", "real_and_more")
def test_a_span_means_what_it_means_to_systemd(case):
    check(parse_span, case)


@cases("timespan", "parse_sec_fix_0")
def test_zero_is_no_timeout(case):
    check(parse_timeout, case)


@cases("timespan", "parse_sec_def_infinity")
def test_empty_is_no_timeout(case):
    check(parse_span_or_infinity, case)


@cases("timespan", "parse_time")
def test_a_bare_number_counts_in_the_default_unit(case):
    check(lambda text: parse_span(text, case["default_unit_usec"] / 1_000_000), case)


@cases("timespan", "parse_nsec")
def test_nanoseconds(case):
    if case.get("error"):
        with pytest.raises(ValueError, match="time"):
            parse_nanoseconds(case["in"])
    else:
        expected = None if case["nsec"] == "infinity" else case["nsec"]
        assert parse_nanoseconds(case["in"]) == expected


@cases("timespan", "setting_bad_value_keeps_old(0)")
def test_a_bad_setting_is_an_error(case):
    check(parse_span, case | {"error": case["usec"] == 0})


@cases("timespan", "real_and_more")
def test_a_span_prints_as_systemd_prints_it(case):
    if not case.get("error"):
        assert format_span(seconds(case)) == case["human"]


def test_below_a_minute_a_fraction_is_printed_down_to_the_accuracy():
    assert format_span(1.5) == "1.500000s"
    assert format_span(1.5, 0.001) == "1.500s"
    assert format_span(5.25, 1) == "5s"
    assert format_span(61.5, 1) == "1min 1s"
    assert format_span(0.0025) == "2.500ms"
    assert format_span(-1) == "0"


def test_a_span_too_short_for_the_accuracy_is_still_printed():
    assert format_span(0.25, 1) == "250ms"


def test_a_nanosecond_is_no_unit_of_other_settings():
    with pytest.raises(ValueError, match="too fine"):
        parse_span("100ns")


@settings(deadline=None)
@given(st.integers(min_value=0, max_value=2**50))
def test_what_is_printed_reads_back(micros):
    assert parse_microseconds(format_span(micros / 1_000_000)) == micros


@settings(deadline=None)
@given(st.text(alphabet="0123456789.+- smhdinfty\N{GREEK SMALL LETTER MU}", max_size=12))
def test_any_text_gives_a_span_or_a_value_error(text):
    with contextlib.suppress(ValueError):
        assert parse_span(text) >= 0
