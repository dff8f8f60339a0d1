"""What Debian's service units use, by counts: every directive is known, and every common value is read."""

from __future__ import annotations

import json
from pathlib import Path

from gitproc.units.directive import Specifiers, Support
from gitproc.units.directives import TABLE
from gitproc.units.specifiers import Host, expand
from tests.units.trees import texts, tree

DATA = json.loads((Path(__file__).parents[1] / "data/debian.json").read_text(encoding="utf-8"))
RESTRICTING = {"Service.PAMName", "Service.AppArmorProfile", "Service.SELinuxContext"}
"""What is an error unless the host's configuration lets it go unenforced."""


def test_no_directive_is_unknown():
    assert [key for key, _ in DATA["directives"] if key not in TABLE] == []


def test_none_is_refused_outright():
    assert [key for key, _ in DATA["directives"] if TABLE[key].support is Support.REFUSED] == []


def test_little_needs_leave_to_go_unenforced():
    found = {key: count for key, count in DATA["directives"]
             if TABLE[key].support is Support.RESTRICTS}  # fmt: skip
    assert found.keys() <= RESTRICTING
    assert sum(found.values()) < DATA["services"] * 0.03  # each unit counted once for each of them


def test_all_common_values_are_read():
    refused = set()
    for key, values in DATA["values"].items():
        row = TABLE[key]
        for text, _ in values:
            given = text
            if row.specifiers is not Specifiers.NONE:
                given = expand(text, "a@b.service", Host(), how=Specifiers.ESCAPED)
            try:
                row.parse(given)
            except ValueError:
                refused.add((key, text))
    assert refused == set()


def test_a_unit_with_every_value_of_its_kind_is_accepted():
    for key, values in DATA["values"].items():
        section, _, name = key.partition(".")
        for text, _ in values:
            if key in ("Service.Type", "Service.Restart"):
                continue
            lines = f"[{section}]\n{name}={text}\n[Service]\nExecStart=/bin/sleep 1\n"
            found = texts(tree({"a@.service": lines}, "*"), "error")
            assert found == [], text
