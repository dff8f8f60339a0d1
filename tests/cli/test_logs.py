"""`gitproc logs` with journalctl's words: several units, patterns, levels, forms."""

from __future__ import annotations

import json

import pytest

from tests.api.example_manager import LONG_AGO
from tests.cli.command import Command


@pytest.fixture
def logs(root, tmp_path):
    """What `gitproc logs` says, as text."""
    command = Command(tmp_path)

    def run(*words):
        done = command("--root", root, "logs", *words)
        assert done.returncode == 0, done.stderr
        return done.stdout.decode("utf-8", "surrogateescape")

    return run


ERROR = "an Error\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["web", "-g", "line 19[89]"], "line 198\nline 199\n"),
        (["web", "-g", "LINE 199"], ""),  # it has capitals: case matters
        (["web", "-g", "LINE 199", "--case-sensitive=no"], "line 199\n"),
        (["web", "--grep", "an error"], ERROR),
        (["web", "--grep", "an error", "--case-sensitive"], ""),
        (["web", "-g", "^line 1", "-n", "2"], "line 198\nline 199\n"),
        (["web", "-g", "^line 1", "-n", "2", "-r"], "line 199\nline 198\n"),
        (["web", "-p", "err"], ERROR),
        (["web", "-p", "3..warning"], ERROR),
        (["web", "-p", "2"], ""),
        (["web", "-p", "6", "-g", "line 77"], "line 77\n"),
        (["-u", "web", "-g", "line 77", "-xe", "--no-hostname", "-o", "cat"], "line 77\n"),
        (["web", "-g", "line 77", "--utc", "-o", "short-unix"], f"{LONG_AGO:.6f} web: line 77\n"),
    ],
)
def test_what_is_shown(logs, words, said):
    assert logs(*words) == said


def test_several_units_are_told_apart(logs):
    out = logs("web", "db", "-g", "line 199", "-o", "short")
    assert [line.partition(" ")[2].split()[-3:] for line in out.splitlines()] == [
        ["web:", "line", "199"], ["db:", "line", "199"],
    ]  # fmt: skip
    assert logs("*", "-n", "1", "-g", "line 199").endswith(" multi-user.target: line 199\n")
    assert len(logs("-n", "all").splitlines()) > len(logs("web", "-n", "all").splitlines()) > 200
    assert len(logs("-e", "web", "db").splitlines()) > 400


@pytest.mark.parametrize(
    ("form", "stamp"),
    [
        ("short", "May 07 10:00:00"),
        ("short-iso", "2024-05-07T10:00:00+00:00"),
        ("short-precise", "May 07 10:00:00.250000"),
        ("short-iso-precise", "2024-05-07T10:00:00.250000+00:00"),
        ("short-full", "Tue 2024-05-07 10:00:00 UTC"),
        ("short-unix", "1715076000.250000"),
    ],
)
def test_when_a_line_came(form, stamp):
    from gitproc.api.text_logs import log_line
    from gitproc.api.text_style import Style

    line = {"unit": "web.service", "text": "hello", "time": 1715076000.25}
    assert log_line(line, form, Style(), utc=True) == f"{stamp} web: hello"
    assert log_line({**line, "time": None}, form, Style()) == "- web: hello"


@pytest.mark.parametrize(
    ("priority", "shown"),
    [
        (0, "\x1b[1;31mhello\x1b[0m"),
        (3, "\x1b[1;31mhello\x1b[0m"),
        (4, "\x1b[1;33mhello\x1b[0m"),
        (5, "\x1b[1mhello\x1b[0m"),
        (6, "hello"),
        (7, "\x1b[2mhello\x1b[0m"),
        (None, "hello"),
    ],
)
def test_a_terminal_shows_the_level_of_a_line_in_colour(priority, shown):
    from gitproc.api.text_logs import log_line
    from gitproc.api.text_style import Style

    line = {"unit": "web.service", "text": "hello", "priority": priority}
    assert log_line(line, "cat", Style(80, color=True)) == shown
    assert log_line(line, "cat", Style()) == "hello"


def test_lines_as_the_journal_has_them(logs):
    entries = [json.loads(line) for line in logs("web", "-p", "err", "-o", "json").splitlines()]
    assert entries == [
        {
            "__REALTIME_TIMESTAMP": str(round(LONG_AGO * 1e6)),
            "_TRANSPORT": "stdout",
            "_SYSTEMD_UNIT": "web.service",
            "PRIORITY": "3",
            "SYSLOG_IDENTIFIER": "web",
            "MESSAGE": "an Error",
        }
    ]
    whole = json.loads(logs("web", "-p", "err", "--json"))
    assert [line["text"] for line in whole["lines"]] == ["an Error"]
