"""The syntax of unit files, against systemd's outcomes and its manual."""

from __future__ import annotations

import time

import pytest

from gitproc.units.parser import LONG_LINE, parse
from tests.units.facts import table


def assignments(text: str | bytes) -> list[tuple[str, str, int]]:
    data = text.encode() if isinstance(text, str) else text
    parsed = parse(data, "a.service")
    assert not parsed.diagnostics, [str(problem) for problem in parsed.diagnostics]
    return [(one.key, one.text, one.line) for one in parsed.settings]


def problems(data: bytes) -> list[str]:
    return [str(problem) for problem in parse(data, "a.service").diagnostics]


@pytest.mark.parametrize("case", table("syntax")["file"])
def test_the_last_value_of_a_key_is_systemds(case):
    text = case.get("text")
    if text is None:
        piece, times = case["repeat"]
        text = case["text_head"] + piece * times + case["text_tail"]
    parsed = parse(text.encode(), "a.service")
    values = [s.text for s in parsed.settings if s.key == f"Section.{case['key']}"]
    if "error" in case:
        assert parsed.diagnostics
        assert not values
        return
    if "out_repeat" in case:
        piece, times = case["out_repeat"]
        expected = piece * times + case["out_tail"]
    else:
        expected = case["out"]
    assert values[-1] == expected
    assert not parsed.diagnostics


def test_every_assignment_is_kept_in_order_with_its_first_line():
    assert assignments(
        "[Service]\nA=1\n\n# note\nA =\t2\n; note\nA=3\\\n  4\nA=\n[Unit]\nB=x\n"
    ) == [
        ("Service.A", "1", 2),
        ("Service.A", "2", 5),
        ("Service.A", "3   4", 7),
        ("Service.A", "", 9),
        ("Unit.B", "x", 11),
    ]


def test_comments_between_continuation_lines_are_left_out():
    text = "[S]\nA=1 \\\n# one\\\n  ; two\n  2 \\\n#three\n3\nB=4\n"
    assert assignments(text) == [("S.A", "1    2  3", 2), ("S.B", "4", 8)]


def test_there_are_no_comments_behind_a_value():
    assert assignments("[S]\nA=no # x\nB=;\n") == [("S.A", "no # x", 2), ("S.B", ";", 3)]


@pytest.mark.parametrize("count", range(6))
def test_only_an_odd_number_of_backslashes_continues(count):
    parsed = parse(b"[S]\nA=x" + b"\\" * count + b"\nB=y\n", "a").settings
    assert len(parsed) == (1 if count % 2 else 2)


def test_line_ends_of_other_systems_and_a_byte_order_mark():
    assert assignments(b"\xef\xbb\xbf[S]\r\nA=1\\\r\n2\r\nB=3\r\n") == [
        ("S.A", "1 2", 2),
        ("S.B", "3", 4),
    ]


def test_a_value_may_hold_anything_but_line_ends():
    assert assignments("[S]\nA==[x]=\u00e4 'y\nB=[\n") == [
        ("S.A", "=[x]=\u00e4 'y", 2),
        ("S.B", "[", 3),
    ]


@pytest.mark.parametrize(
    ("data", "line", "word"),
    [
        (b"A=1\n", 1, "outside"),
        (b"[S]\nnonsense\n", 2, "'='"),
        (b"[S]\n=1\n", 2, "name"),
        (b"\n[S\nA=1\n", 2, "header"),
        (b"[]\n", 1, "header"),
        (b"[S]\nA=\xff\n", 2, "UTF-8"),
        (b"[S]\n# J\xf6rg\nA=1\\\n ; \xf6\nB\xf6=1\n", 5, "UTF-8"),
        (b"[S]\n\nA=\0\n", 3, "NUL"),
        (b"[S]\nA=1\n" + b"B=" + b"x" * LONG_LINE + b"\n", 3, "1 MiB"),
        (b"[S]\nB=" + b"x\\\n" * (LONG_LINE // 2 + 8) + b"\n", 2, "1 MiB"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(data, line, word):
    found = problems(data)
    assert found[0].startswith(f"a.service:{line}: error: ")
    assert word in found[0]


def test_one_error_does_not_hide_the_next():
    assert len(problems(b"x\n[S]\ny\nA=\xff\nz\n")) == 4


def test_parsing_takes_time_in_proportion():
    def cost(size: int) -> float:
        data = b"[S]\nA=1\\\n" + b"  word\\\n# note\n" * size
        began = time.process_time()
        parse(data, "a")
        return time.process_time() - began

    # Not from a size that fits a cache: five times the lines would take 25 times as long if each
    # were joined to the last.
    few, many = min(cost(20_000) for _ in range(5)), min(cost(100_000) for _ in range(3))
    assert many < few * 5 * 3
