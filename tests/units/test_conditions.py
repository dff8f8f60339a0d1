"""Condition*= and Assert*=: how they are read, what starts them over, and the order of versions."""

from __future__ import annotations

import pytest

from gitproc.units.conditions import (
    KINDS,
    conditions_of,
    parse_condition,
    split_assignment,
    split_comparison,
    split_pressure,
)
from gitproc.units.versions import compare_versions
from tests.units.facts import cases
from tests.units.trees import SERVICE, texts, tree


def written(body: str) -> list[str]:
    units = tree({"a.service": f"[Unit]\n{body}\n{SERVICE}"})
    assert not texts(units)
    return [str(one) for one in conditions_of(units.units["a.service"].values)]


@pytest.mark.parametrize(
    ("text", "trigger", "negate", "parameter"),
    [
        ("/x", False, False, "/x"),
        ("!/x", False, True, "/x"),
        ("|/x", True, False, "/x"),
        ("| ! /x//y/", True, True, "/x/y"),
    ],
)
def test_marks(text, trigger, negate, parameter):
    (one,) = parse_condition("Condition", "PathExists", text)
    assert (one.trigger, one.negate, one.parameter) == (trigger, negate, parameter)


@pytest.mark.parametrize(
    "line",
    [
        "ConditionPathExists=relative",
        "ConditionPathExists=/a/../b",
        "ConditionPathExists=!",
        "ConditionHost=|",
        "AssertFirstBoot=perhaps",
        "ConditionCPUs=many",
        "ConditionMemory=>=lots",
        "ConditionOSRelease=ID",
        "ConditionCPUPressure=10%/3min",
        "ConditionMemoryPressure=lots",
    ],
)
def test_what_can_never_be_tested_is_an_error_with_its_place(line):
    (found,) = texts(tree({"a.service": f"[Unit]\n{line}\n{SERVICE}"}))
    assert found.startswith(f"a.service:2: error: {line.partition('=')[0]}: ")


def test_every_kind_comes_as_condition_and_as_assertion():
    values = {"FirstBoot": "yes", "ACPower": "no", "Memory": "1G", "CPUs": "2", "OSRelease": "ID=x"}
    pressure = {f"{x}Pressure": "10%" for x in ("CPU", "Memory", "IO")}
    for kind in KINDS:
        value = (values | pressure).get(kind, "/x")
        for prefix in ("Condition", "Assert"):
            assert written(f"{prefix}{kind}={value}") == [f"{prefix}{kind}={value}"]


def test_an_empty_one_starts_all_conditions_over_and_leaves_assertions_alone():
    body = "ConditionPathExists=/a\nConditionHost=b\nAssertPathExists=/c\nConditionUser=\n"
    assert written(body) == ["AssertPathExists=/c"]
    assert written(body + "ConditionHost=d") == ["ConditionHost=d", "AssertPathExists=/c"]


def test_specifiers_are_put_in():
    assert written("ConditionPathExists=!/run/%p.off") == ["ConditionPathExists=!/run/a.off"]


def test_mounts_are_required_path_by_path():
    body = "RequiresMountsFor=/srv/%p /var//lib\nRequiresMountsFor=\n"
    assert written(body) == ["RequiresMountsFor=/srv/a", "RequiresMountsFor=/var/lib"]


def test_a_unit_without_conditions_has_none():
    assert written("After=b.service") == []


def test_parts_of_parameters():
    assert split_comparison(">= 5") == (">=", "5")
    assert split_comparison("5", ">=") == (">=", "5")
    assert split_assignment('VERSION_ID>="12"') == ("VERSION_ID", ">=", "12")
    assert split_assignment("ID$=deb*") == ("ID", "$=", "deb*")
    assert split_pressure("user.slice:5%/10s") == ("user.slice", 0.05, 10.0)
    assert split_pressure("20%") == ("", 0.2, 300.0)


ORDER = {"a older than b": -1, "equal": 0, "a newer than b": 1}


@cases("misc", "version_order", key="a")
def test_the_order_of_versions(case):
    assert compare_versions(case["a"], case["b"]) == ORDER[case["order"]]
    assert compare_versions(case["b"], case["a"]) == -ORDER[case["order"]]
