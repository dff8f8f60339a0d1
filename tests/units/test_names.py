"""Names of units, against systemd's outcomes."""

from __future__ import annotations

import re

import pytest

from gitproc.units.names import (
    instantiate,
    is_instance,
    is_template,
    is_valid_instance,
    is_valid_name,
    is_valid_slice,
    mangle,
    parent_slice,
    path_escape,
    split_name,
    template_of,
)
from tests.units.facts import cases, table

# Not here: is_hashed and the long name of from_path (names of over-long mounts, which GitProc has none
# of), change_suffix, build, same_prefix, subslice_chain, prefix_is_valid (no operation of GitProc).


def kinds(name: str) -> set[str]:
    if not is_valid_name(name):
        return set()
    kind = "template" if is_template(name) else "instance" if is_instance(name) else "plain"
    return {kind, "any"}


@cases("unit-names", "is_valid", key="name")
def test_what_is_a_name(case):
    assert bool(kinds(case["name"]) & set(case["kinds"])) is case["valid"]


def test_names_that_debian_ships():
    assert [
        name for name in table("unit-names")["debian_names_valid"] if not is_valid_name(name)
    ] == []


def test_a_name_has_at_most_255_characters():
    assert is_valid_name("x" * 247 + ".service")
    assert not is_valid_name("x" * 248 + ".service")


@cases("unit-names", "replace_instance")
def test_instances_of_templates(case):
    if case["out"] is None:
        with pytest.raises(ValueError, match=r"not a (template|valid unit name)"):
            instantiate(case["in"], case["instance"])
    else:
        assert instantiate(case["in"], case["instance"]) == case["out"]


def test_an_instance_is_checked():
    assert instantiate("a@old.service", "new") == "a@new.service"
    for bad in ("", "a/b", "a b", "x" * 255):
        with pytest.raises(ValueError, match=r"instance name|too long"):
            instantiate("a@.service", bad)


@cases("unit-names", "instance_is_valid")
def test_what_is_an_instance(case):
    assert is_valid_instance(case["in"]) is case["valid"]


@cases("unit-names", "template_of")
def test_the_template_of_an_instance(case):
    assert template_of(case["in"]) == case["out"]


@cases("unit-names", "to_prefix")
def test_the_prefix(case):
    if case["out"] is None:
        with pytest.raises(ValueError, match="not a valid unit name"):
            split_name(case["in"])
    else:
        assert split_name(case["in"])[0] == case["out"]


@cases("unit-names", "to_instance")
def test_the_instance(case):
    if case["kind"] == "error":
        with pytest.raises(ValueError, match="not a valid unit name"):
            split_name(case["in"])
    else:
        assert split_name(case["in"])[1] == case["instance"]


def test_the_parts_of_a_name():
    assert split_name("a-b@c@d.service") == ("a-b", "c@d", ".service")
    assert split_name("a@.timer") == ("a", "", ".timer")
    assert split_name("a.b.target") == ("a.b", None, ".target")


@cases("unit-names", "slice_is_valid")
def test_what_is_a_slice(case):
    assert is_valid_slice(case["in"]) is case["valid"]


@cases("unit-names", "parent_slice")
def test_the_slice_above(case):
    if case["error"]:
        with pytest.raises(ValueError, match="not a valid slice"):
            parent_slice(case["in"])
    else:
        assert parent_slice(case["in"]) == case["out"]


def test_a_slice_of_one_part_lies_in_the_root():
    assert parent_slice("foo.slice") == "-.slice"


@cases("unit-names", "mangle", "mangle_with_suffix_service", "mangle_cli")
def test_what_an_operator_means(case):
    if case.get("error") or case["out"] is None:
        with pytest.raises(ValueError, match="name"):
            mangle(case["in"], globs=case.get("globs", False))
    else:
        assert mangle(case["in"], globs=case.get("globs", False)) == case["out"]


def test_mangling_takes_another_suffix():
    assert mangle("foo", ".timer") == "foo.timer"


@cases("unit-names", "from_path_instance", key="path")
def test_instances_of_paths(case):
    make = f"{case['prefix']}@{path_escape(case['path'])}{case['suffix']}"
    assert (make if is_valid_name(make) else None) == case["out"]


def test_only_ascii_makes_a_name():
    assert not is_valid_name("é.service")
    assert not is_valid_name("a.service\n")
    assert re.fullmatch(r"[ -~]+", mangle("é"))
