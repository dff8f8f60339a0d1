"""Paths in settings, against systemd's outcomes."""

from __future__ import annotations

import pytest

from gitproc.units.paths import (
    EnvFile,
    WorkDir,
    parse_env_files,
    parse_path,
    parse_paths,
    parse_work_dir,
    path_simplify,
)
from tests.units.facts import cases, parametrise, table

# No setting keeps a trailing slash, so the flag that does is not there; cases where it shows are left out.
SIMPLIFY = [
    case
    for case in table("misc")["path_simplify"]
    if not (case["flags"] and case["in"].endswith("/") and case["in"].strip("/"))
]


@parametrise(SIMPLIFY)
def test_simplifying(case):
    assert path_simplify(case["in"]) == case["out"]


@cases("numbers", "setting_path")
def test_a_path_setting(case):
    given = case["in"]
    text = (
        given
        if isinstance(given, str)
        else bytes.fromhex(given["hex"]).decode("utf-8", "surrogateescape")
    )
    if case["out"] is None:
        with pytest.raises(ValueError, match="UTF-8"):
            parse_path(text)
    else:
        assert parse_path(text) == case["out"]


@pytest.mark.parametrize(
    "text", ["", "a/b", "~/x", "./x", "/" + "x" * 256, "/x" * 2048, "/a\0b", "/a/../b", "/a/.."]
)
def test_what_is_no_path_of_a_setting(text):
    with pytest.raises(ValueError, match=r"path|UTF-8"):
        parse_path(text)


def test_several_paths():
    assert parse_paths("/a// '/b c' /d/./e") == ("/a", "/b c", "/d/e")
    with pytest.raises(ValueError, match="'b' is not an absolute path"):
        parse_paths("/a b")


def test_working_directory():
    assert parse_work_dir("/srv/app/") == WorkDir("/srv/app", False)
    assert parse_work_dir("-/srv") == WorkDir("/srv", True)
    assert parse_work_dir("~") == WorkDir("~", False)
    assert parse_work_dir("-~") == WorkDir("~", True)
    assert parse_work_dir("") is None
    with pytest.raises(ValueError, match="absolute"):
        parse_work_dir("srv")


@cases("environment", "environment_file_setting_lines", key="lines")
def test_environment_file_setting(case):
    files: tuple[EnvFile, ...] = ()
    refused = []
    for line in case["lines"]:
        try:
            found = parse_env_files(line)
        except ValueError:
            refused.append(line)
        else:
            files = files + found if found else ()
    assert [file.path for file in files] == case["out"]
    assert refused == [line for line in case["lines"] if line and line[0] != "/"]


def test_an_environment_file_may_be_optional():
    assert parse_env_files("-/etc/default/x") == (EnvFile("/etc/default/x", True),)
    assert parse_env_files("/etc/with space") == (EnvFile("/etc/with space", False),)
