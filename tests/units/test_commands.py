"""Command lines, against systemd's outcomes."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gitproc.units.commands import ExecCommand, parse_command, parse_commands
from tests.units.facts import parametrise, table


# "ignored_with_warning": a bad line behind `-` adds nothing in systemd. Here it is an error as any other:
# what the author meant to run would otherwise silently never run.
@parametrise(table("exec"))
def test_command_lines_as_systemd_reads_them(case):
    if "error" in case or case.get("ignored_with_warning"):
        with pytest.raises(ValueError, match=r"."):
            parse_commands(case["in"])
        return
    assert parse_commands(case["in"]) == tuple(
        ExecCommand(one["path"], tuple(one["argv"]), ignore_failure=one["ignore_failure"])
        for one in case["commands"]
    )


@pytest.mark.parametrize(
    ("prefix", "flags"),
    [
        ("", {}),
        ("-", {"ignore_failure"}),
        (":", {"no_expand"}),
        ("+", {"full_privileges"}),
        ("!", {"keep_user"}),
        ("!!", {"ambient"}),
        ("-:+", {"ignore_failure", "no_expand", "full_privileges"}),
        ("!-!:", {"ignore_failure", "no_expand", "ambient"}),
    ],
)
def test_prefixes_in_any_order(prefix, flags):
    expected = ExecCommand("/bin/x", ("/bin/x", "-y"), **dict.fromkeys(flags, True))
    assert parse_commands(f"{prefix}/bin/x -y") == (expected,)


def test_at_gives_argv0():
    command = parse_command("-@/bin/busybox ls -l")
    assert (command.path, command.argv) == ("/bin/busybox", ("ls", "-l"))
    assert command.ignore_failure


@pytest.mark.parametrize("prefix", ["--", "@@", "::", "++", "+!", "!+", "!!!", "+-!"])
def test_prefixes_that_do_not_go_together(prefix):
    with pytest.raises(ValueError, match="prefix"):
        parse_commands(f"{prefix}/bin/x arg")


def test_a_bare_name_is_kept_for_the_search_path():
    assert parse_command("sleep 5") == ExecCommand("sleep", ("sleep", "5"))


def test_semicolons():
    assert [one.argv for one in parse_commands("; a 1 ; b ';' ;c ; d;")] == [
        ("a", "1"),
        ("b", ";", ";c"),
        ("d;",),
    ]
    assert [one.argv for one in parse_commands("a;\tb \\; \\;")] == [("a;", "b", ";", ";")]
    assert parse_commands(" ; ;; ")[0].path == ";;"


def test_shell_syntax_is_plain_text():
    assert parse_command("echo a > b | c && d").argv == ("echo", "a", ">", "b", "|", "c", "&&", "d")


def test_no_command():
    assert parse_commands("") == ()
    assert parse_commands("  ") == ()
    with pytest.raises(ValueError, match="one command is needed, 2 are given"):
        parse_command("a ; b")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("/bin/x 'open", "the command line: a quote (') is opened and not closed"),
        ("$HOME/bin/x", "may not come from a variable"),
        ("${PROGRAM}", "may not come from a variable"),
        ("bin/x", "neither an absolute path nor a bare program name"),
        ("/bin/", "is a directory"),
        ("..", "is a directory"),
        ("-@", "the program is missing"),
        ("''", "the program is missing"),
        ("/" + "x" * 300, "too long"),
    ],
)
def test_the_message_says_what_is_wrong(text, message):
    with pytest.raises(ValueError) as caught:
        parse_commands(text)
    assert message in str(caught.value)


@settings(deadline=None)
@given(st.text(alphabet="ab/-@:+!; \\'\"$", max_size=16))
def test_any_text_gives_commands_or_a_value_error(text):
    try:
        commands = parse_commands(text)
    except ValueError:
        return
    for command in commands:
        assert command.argv
        assert command.path
