"""Environment variables in their three notations, against systemd's outcomes."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gitproc.units.commands import ExecCommand
from gitproc.units.environment import (
    expand_argv,
    is_valid_assignment,
    is_valid_name,
    is_valid_value,
    parse_assignments,
    parse_environment_file,
    parse_variable_names,
)
from tests.units.facts import cases, table

# "expand" is another notation (braceless `$X` inside words, `${X:-y}`), of environment.d files only.


def environment(assignments: list[str]) -> dict[str, str]:
    return dict(item.split("=", 1) for item in assignments)


def expand(words: list[str], env: dict[str, str], **flags: bool) -> list[str]:
    return expand_argv(ExecCommand("/bin/x", ("/bin/x", *words), **flags), env)[1:]


@cases("environment", "file", key="text")
def test_environment_files(case):
    if "error" in case:
        with pytest.raises(ValueError, match="UTF-8"):
            parse_environment_file(case["text"])
    else:
        found = parse_environment_file(case["text"])
        assert [f"{name}={value}" for name, value in found] == case["out"]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a=1 # no comment", "1 # no comment"),
        ("a='x'y\"z\"", 'xy"z"'),
        ("a='x' \"y\"  'z'", "xyz"),
        ('a="\\$HOME \\x \\" \\\\ \\`"', '$HOME \\x " \\ `'),
        ('a="two\\\nlines"', "twolines"),
        ('a="open', "open"),
        ('a="open\\', "open"),
        ("a='open", "open"),
        ("a=\\'x\\'", "'x'"),
        ("a=x\r\nb=y", "x"),
        ("  a \t=   x   ", "x"),
        ("a==", "="),
        ("a=x\\\r\ny", "x"),
        ("a=\\ ", " "),
        ("export a=1\na=2", "2"),
    ],
)
def test_values_of_a_file(text, value):
    found = dict(parse_environment_file(text))
    assert found["a"] == value


def test_names_no_variable_can_have_are_passed_over():
    assert parse_environment_file("export a=1\n1b=2\nc.d=3\n=4\ne=5") == [("e", "5")]


@cases("environment", "name_valid")
def test_names(case):
    assert is_valid_name(case["in"]) is case["valid"]


@cases("environment", "value_valid")
def test_values(case):
    assert is_valid_value(case["in"]) is case["valid"]


@cases("environment", "assignment_valid")
def test_assignments(case):
    assert is_valid_assignment(case["in"]) is case["valid"]


@cases("environment", "clean")
def test_cleaning_a_list(case):
    assert environment([item for item in case["in"] if is_valid_assignment(item)]) == environment(
        case["out"]
    )


# systemd drops what is no name with a warning; here the setting is refused.
@cases("environment", "pass_environment_setting")
def test_lists_of_names(case):
    if case["in"] == "A B":
        assert list(parse_variable_names(case["in"])) == case["out"]
    else:
        with pytest.raises(ValueError, match="name of a variable"):
            parse_variable_names(case["in"])


def test_the_environment_setting():
    assert parse_assignments("") == ()
    assert parse_assignments(r"""A=1 "B=two words" 'C=x=y' D=\x41\n "E=$HOME #" F=""") == (
        "A=1",
        "B=two words",
        "C=x=y",
        "D=A\n",
        "E=$HOME #",
        "F=",
    )


@pytest.mark.parametrize(
    "text", ["A", "A=1 B", '"A=1', "A=1 2B=3", "=x", r"A=\q", r"A=\xff", "A=1 # note"]
)
def test_what_is_no_assignment_is_an_error(text):
    with pytest.raises(ValueError, match=r"assignment"):
        parse_assignments(text)


@cases("environment", "argv", key="word")
def test_a_word_of_a_command_line(case):
    assert expand([case["word"]], environment(case["env"])) == case["out"]


@cases("environment", "argv_lines", key="words")
def test_a_command_line(case):
    assert expand(case["words"], environment(case["env"])) == case["out"]


def test_the_colon_prefix_keeps_variables_as_they_are():
    assert expand(["$A", "${A}", "$$"], {"A": "x"}, no_expand=True) == ["$A", "${A}", "$$"]


def test_a_variable_alone_is_split_with_its_quotes_honoured():
    env = {"ARGS": "-a 'b c' \"d\" 'e", "EMPTY": "", "N": "x${M}$$"}
    assert expand(["$ARGS"], env) == ["-a", "b c", "d", "e"]
    assert expand(["$EMPTY", "${EMPTY}", "$UNSET", "${UNSET}", "$"], env) == ["", ""]
    assert expand(["${N}", "$N"], env) == ["x${M}$$", "x${M}$$"]


def test_a_command_never_ends_up_without_argv0():
    assert expand_argv(ExecCommand("/bin/x", ("$NAME",)), {}) == ["/bin/x"]


def test_the_notations_that_are_not_for_command_lines_are_known():
    assert all(
        case.get("braceless") or case.get("extended") for case in table("environment")["expand"]
    )


@settings(deadline=None)
@given(st.text(alphabet="aB1=# ;\\'\"$\n\r\t\ufffe", max_size=24))
def test_any_text_is_a_file_or_a_value_error(text):
    try:
        found = parse_environment_file(text)
    except ValueError:
        assert "\ufffe" in text
    else:
        assert all(is_valid_name(name) for name, _ in found)
