"""Escaping text and paths for unit names, against systemd-escape's outcomes."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gitproc.units.escaping import escape, path_escape, path_unescape, unescape
from gitproc.units.names import instantiate, is_valid_instance, split_name
from tests.units.facts import cases, parametrise, table

# The long name: systemd shortens it with a keyed hash, for mounts that GitProc does not have.
MOUNTS = [case for case in table("unit-names")["from_path"] if "_7736" not in str(case["out"])]


@cases("unit-names", "escape")
def test_escape(case):
    assert escape(case["in"]) == case["out"]
    assert unescape(case["out"]) == case["in"]


# Ours: \x00 is refused; systemd-escape ends its C string there.
@cases("unit-names", "unescape_cli", differ=("\\x00",))
def test_unescape(case):
    if case.get("error"):
        with pytest.raises(ValueError, match="backslash"):
            unescape(case["in"])
    else:
        assert unescape(case["in"]) == case["out"]


def test_nul_is_refused():
    with pytest.raises(ValueError, match="backslash"):
        unescape("\\x00")


# Ours: `..` above the root is the root, as in systemd 257's own paths; 252, the table's source, refused it.
@cases("unit-names", "path_escape", differ=("/../.././../.././",))
def test_path_escape(case):
    if case.get("error"):
        with pytest.raises(ValueError, match=r"contains|too long"):
            path_escape(case["in"])
    else:
        assert path_escape(case["in"]) == case["out"]


@parametrise(MOUNTS, key="path")
def test_mounts(case):
    if case["out"] is None:
        with pytest.raises(ValueError, match="contains"):
            path_escape(case["path"])
    else:
        assert path_escape(case["path"]) + case["suffix"] == case["out"]


@cases("unit-names", "path_unescape")
def test_path_unescape(case):
    if case["out"] is None:
        with pytest.raises(ValueError, match="path"):
            path_unescape(case["in"])
    else:
        assert path_unescape(case["in"]) == case["out"]


@cases("unit-names", "to_path", key="unit")
def test_paths_of_mounts(case):
    if case["path"] is None:
        with pytest.raises(ValueError, match=r"path|unit name"):
            path_unescape(split_name(case["unit"])[0])
    else:
        assert path_unescape(split_name(case["unit"])[0]) == case["path"]


@cases("unit-names", "template_instance")
def test_instances_of_any_text(case):
    if case.get("error"):
        with pytest.raises(ValueError, match="instance"):
            instantiate(case["template"], escape(case["in"]))
    else:
        make = path_escape if case["path"] else escape
        assert instantiate(case["template"], make(case["in"])) == case["out"]


@settings(deadline=None)
@given(st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1))
def test_every_text_comes_back_from_an_instance_name(text):
    escaped = escape(text)
    assert is_valid_instance(escaped)
    assert unescape(escaped) == text


@settings(deadline=None)
@given(st.text(alphabet="ab-\\x20f/.é ", min_size=1))
def test_every_path_comes_back(path):
    try:
        escaped = path_escape("/" + path)
    except ValueError:
        assert ".." in path
    else:
        assert path_escape(path_unescape(escaped)) == escaped
