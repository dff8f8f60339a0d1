"""Exit statuses and sets of them, against systemd's outcomes."""

from __future__ import annotations

import pytest

from gitproc.units.exit_status import (
    EXIT_STATUS_NAMES,
    StatusSet,
    named_status,
    parse_exit_status,
    parse_status_set,
)
from tests.units.facts import cases


@cases("misc", "exit_status")
def test_statuses_as_systemd_names_them(case):
    if case["out"].startswith("error"):
        with pytest.raises(ValueError, match="out of range"):
            parse_exit_status(case["in"])
    else:
        assert parse_exit_status(case["in"]) == int(case["out"])


def test_every_name_reads_back_with_and_without_its_prefix():
    for status, name in EXIT_STATUS_NAMES.items():
        assert {parse_exit_status(text) for text in (name, f"EX_{name}", f"EXIT_{name}")} == {
            status
        }


def test_a_set_takes_numbers_names_and_signals():
    assert parse_status_set("1 TEMPFAIL EX_CONFIG SIGKILL HUP 255") == StatusSet(
        frozenset({1, 75, 78, 255}), frozenset({9, 1})
    )
    assert not parse_status_set("")


def test_a_status_is_shown_with_its_name():
    shown = [named_status(status) for status in (0, 1, 2, 78, 203, 223)]
    assert shown == ["0/SUCCESS", "1/FAILURE", "2", "78", "203/EXEC", "223"]


def test_sets_join():
    joined = parse_status_set("1 TERM") | parse_status_set("2")
    assert joined == parse_status_set("1 2 TERM")
    assert joined
    assert parse_status_set("TERM")


@pytest.mark.parametrize("text", ["256", "-1", "SIGNOTHING", "tempfail", "EX_", "1 2 x"])
def test_an_unknown_status_is_an_error(text):
    with pytest.raises(ValueError, match=r"exit status|out of range"):
        parse_status_set(text)
