"""`list-timers` as text: systemctl's columns, whatever is known of a timer."""

from __future__ import annotations

import time

import pytest

from gitproc.api.text import Style, render
from gitproc.api.text_timers import left


def test_a_table_with_what_is_known():
    now = time.time()
    timers = [
        {"unit": "a.timer", "activates": "a.service", "next": now + 3661, "last": now - 90},
        {"unit": "b\x1b.timer", "activates": "", "next": None, "last": None},
    ]
    text = render("list-timers", {}, {"version": 1, "timers": timers}, Style()).out
    heads, first, second, _, count = text.splitlines()
    assert heads.split() == ["NEXT", "LEFT", "LAST", "PASSED", "UNIT", "ACTIVATES"]
    assert "1h 1min" in first or "1h 1s" in first
    assert "1min 30s ago" in first
    assert second.split() == ["-", "-", "-", "-", "b\\x1b.timer", "-"]
    assert count == "2 timers listed."
    assert render("list-timers", {}, {"timers": []}, Style()).out == "0 timers listed.\n"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-1, "now"), (0, "now"), (0.25, "250ms"), (59.9, "59s"), (3600, "1h"), (90061, "1d 1h")],
)
def test_what_is_left(seconds, text):
    assert left(seconds) == text
