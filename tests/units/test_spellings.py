"""Every other spelling of a directive means what it stands for."""

from __future__ import annotations

import pytest

from gitproc.units.directives import SECTIONS, TABLE
from gitproc.units.spellings import STANDS_FOR
from tests.units.trees import tree

TRIED = ("7", "yes", "reboot", "/x", "/dev/null 1M", "no", "b.service", "5s", "none", "nobody", "A=1", "mixed",
         "SIGINT", "/bin/true", "http://127.0.0.1/", "127.0.0.1:1")  # fmt: skip
KIND = {"Service": "service", "Socket": "socket", "Slice": "slice", "Unit": "service"}
REST = {
    "service": "[Service]\nExecStart=/bin/a\n",
    "socket": "[Socket]\nListenStream=7\n",
    "slice": "",
}


def sample(key: str) -> str:
    """A text that the directive takes and that is not its default."""
    row = TABLE[key]
    for text in TRIED:
        try:
            if row.parse(text) != row.default:
                return text
        except ValueError:
            continue
    raise AssertionError(f"no sample fits {key}")


@pytest.mark.parametrize("key", STANDS_FOR)
def test_a_spelling_sets_what_it_stands_for(key):
    section, _, name = key.partition(".")
    kind = KIND[section]
    text = sample(STANDS_FOR[key][0])
    units = tree(
        {
            f"a.{kind}": f"[{section}]\n{name}={text}\n{REST[kind]}",
            "a.service" if kind != "service" else "b.service": "[Service]\nExecStart=/bin/a\n",
        },
        "*",
    )
    values = units.units[f"a.{kind}"].values
    for target in STANDS_FOR[key]:
        if target.partition(".")[0] in {*SECTIONS[kind], "Service"}:
            found = values[target]
            wanted = TABLE[target].parse(text)
            assert wanted == found or (isinstance(found, tuple) and wanted[0] in found), target
