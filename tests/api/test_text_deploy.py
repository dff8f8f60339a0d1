"""What a pusher reads: the steps that say something, and nothing that could steer a terminal."""

from __future__ import annotations

import pytest

from gitproc.api.text_deploy import deploy_lines, undo_line
from gitproc.api.text_style import Style


def lines(kind, message="", unit="", color=False):
    return deploy_lines({"kind": kind, "unit": unit, "message": message}, Style(color=color))


@pytest.mark.parametrize(
    ("kind", "unit", "message", "shown"),
    [
        ("commit.plan", "a.service", "start: new", ["  a.service: start: new"]),
        ("commit.applied", "", "applied 1a2b", ["applied 1a2b"]),
        ("unit.started", "a.service", "Started A", ["    a.service: Started A"]),
        ("unit.whatever", "a.service", "noise", []),
        ("commit.refused", "", "refused 1a2b:\na.service:1: error", ["refused 1a2b:", "  a.service:1: error"]),
        ("deploy.timeout", "", "", ["deploy.timeout"]),
    ],
)  # fmt: skip
def test_lines(kind, unit, message, shown):
    assert lines(kind, message, unit) == shown


def test_a_commits_words_steer_no_terminal():
    [line] = lines("commit.applied", "applied \x1b]0;owned\x07")
    assert "\x1b" not in line
    [line] = lines("unit.failed", "\x1b[2J", "a.service")
    assert "\x1b" not in line
    assert "\x1b[1;31m" in lines("unit.failed", "x", "a.service", color=True)[0]


def test_the_way_back_is_told_where_there_is_one():
    assert undo_line({"undo": ""}, "gitproc") == []
    [line] = undo_line({"undo": "1" * 40}, "gitproc --root /r")
    assert line == f"to undo it: gitproc --root /r rollback {'1' * 12}"
