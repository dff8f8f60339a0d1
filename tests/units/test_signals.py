"""Names of signals, against systemd's outcomes."""

from __future__ import annotations

import signal

import pytest

from gitproc.units.signals import parse_signal, signal_name
from tests.units.facts import cases


@cases("misc", "signal")
def test_signals_as_systemd_names_them(case):
    if case["out"].startswith("error"):
        with pytest.raises(ValueError, match="signal"):
            parse_signal(case["in"])
    else:
        assert parse_signal(case["in"]) == getattr(signal, case["out"])


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("SIGTERM", 15), ("TERM", 15), ("15", 15), ("SIGRTMIN+3", signal.SIGRTMIN + 3),
        ("RTMAX-1", signal.SIGRTMAX - 1), ("RTMAX", signal.SIGRTMAX), ("IO", signal.SIGIO),
    ],
)  # fmt: skip
def test_with_and_without_sig_and_by_number(text, number):
    assert parse_signal(text) == number


@pytest.mark.parametrize(
    "text", ["0", "65", "-1", "SIGSIGTERM", "term", "RTMIN-1", "RTMIN+31", "²"]
)
def test_what_is_no_signal(text):
    with pytest.raises(ValueError, match="signal"):
        parse_signal(text)


def test_a_name_in_small_letters_is_told_the_right_one():
    with pytest.raises(ValueError, match=r"\(SIGTERM\?\)"):
        parse_signal("term")


def test_every_signal_has_a_name_that_reads_back():
    for number in signal.valid_signals():
        name = signal_name(number)
        assert not name.startswith("SIG")
        assert parse_signal(name) == number
    assert signal_name(15) == "TERM"
    assert signal_name(signal.SIGRTMIN + 3) == "RTMIN+3"
