"""What is assigned and where: one object for equal lines, and a `Setting` for whoever asks."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gitproc.units.assignments import Assignments, Setting
from gitproc.units.diagnostics import Location
from gitproc.units.parser import parse

ROWS = [
    Setting("Unit.After", "b.service", "a.service", 2),
    Setting("Service.Restart", "no", "a.service", 4),
]
ELSEWHERE = Setting("Service.Restart", "", "a.service.d/x.conf", 2)


def test_what_goes_in_comes_out():
    for rows in ([], ROWS, [*ROWS, ELSEWHERE]):
        made = Assignments.of(rows)
        assert [*made] == rows
        assert [*reversed(made)] == rows[::-1]
        assert len(made) == len(rows)
        assert [made.where(index) for index in range(len(rows))] == [row.where for row in rows]
        assert Assignments.of(made) is made


def test_equal_is_what_says_the_same_in_the_same_places():
    made = Assignments.of([*ROWS, ELSEWHERE])
    assert made == Assignments.of([*ROWS, ELSEWHERE])
    assert hash(made) == hash(Assignments.of([*ROWS, ELSEWHERE]))
    for other in ([*ROWS], [ELSEWHERE, *ROWS], [*ROWS, ELSEWHERE._replace(line=3)],
                  [*ROWS, ELSEWHERE._replace(file="y")], [*ROWS, ELSEWHERE._replace(text="x")]):  # fmt: skip
        assert made != Assignments.of(other)
    assert Assignments((), (), "a") == Assignments((), (), "b")


def test_a_parsed_file_equals_its_settings_one_by_one():
    text = b"[Unit]\nAfter=b.service\n[Service]\nRestart=no\n"
    parsed = parse(text, "a.service").settings
    assert parsed == Assignments.of(ROWS)
    assert parsed.where(1) == Location("a.service", 4)


def test_equal_lines_of_a_section_are_one_object_in_all_files():
    one, other = (
        parse(f"[Service]\nUser=x{n}\nRestart=no\n".encode(), f"{n}.service").settings.assigned
        for n in range(2)
    )
    assert one[1] is other[1] == ("Service.Restart", "no")
    assert one[0] != other[0]


def test_a_line_that_was_met_in_one_section_is_read_anew_in_another():
    for _ in range(2):
        parsed = parse(b"[A]\nX=1\n[B]\nX=1\nX=1 \\\n  2\n[broken\nX=1\n[A]\nX=1\n", "f")
        assert [(row.key, row.text, row.line) for row in parsed.settings] == [
            ("A.X", "1", 2), ("B.X", "1", 4), ("B.X", "1    2", 5), ("A.X", "1", 10),
        ]  # fmt: skip
        assert [problem.location.line for problem in parsed.diagnostics] == [7, 8]


def test_more_lines_than_are_remembered_are_read_all_the_same():
    text = "[S]\n" + "".join(f"A=x{n}\n" for n in range(2000))
    for _ in range(2):
        assert [row.text for row in parse(text.encode(), "f").settings] == [
            f"x{n}" for n in range(2000)
        ]


def test_they_are_frozen_and_thawed():
    for rows in ([], ROWS, [*ROWS, ELSEWHERE]):
        made = Assignments.of(rows)
        back = Assignments.thaw(json.loads(json.dumps(made.freeze())))
        assert back == made
        assert [*back] == rows
    wrongs: list[Any] = [
        [["Unit.After", "b", "f"]],
        [[1, "b", "f", 2]],
        [["k", "t", "f", 1], ["k"]],
    ]
    for wrong in wrongs:
        with pytest.raises((TypeError, ValueError)):
            Assignments.thaw(wrong)
