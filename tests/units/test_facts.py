"""That no fact is left out unawares: every section of every table is held against ours, or named here."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.units.facts import table

TESTS = Path(__file__).parents[1]
NOT_OURS = {
    "misc": {
        "instance_specifier_recursive": "an instance with a specifier in it is no valid name here",
    },
    "numbers": {
        "pid": "no setting holds a process id",
        "range": "no setting holds a range of ports or processes",
        "fd": "no setting holds a descriptor's number",
    },
    "unit-names": {
        "is_hashed": "names of mounts too long for a name, of which there are none",
        "change_suffix": "nothing turns a service's name into a socket's by rule",
        "build": "names are split and instantiated, never built of three parts",
        "same_prefix": "nothing asks it",
        "prefix_is_valid": "a prefix is never looked at without its suffix",
        "subslice_chain": "no slice is made below another",
    },
}


def used(name: str) -> str:
    """All that tests say of one table."""
    found = []
    for path in sorted(TESTS.rglob("test_*.py")):
        text = path.read_text(encoding="utf-8")
        if path.name != "test_facts.py" and re.search(rf"(?:cases|table)\(\s*\"{name}\"", text):
            found.append(text)
    return "\n".join(found)


@pytest.mark.parametrize("name", sorted(path.stem for path in TESTS.glob("data/facts/*.json")))
def test_every_section_is_used_or_has_its_reason(name):
    sections = table(name)
    text = used(name)
    if isinstance(sections, list):
        assert text
        return
    excused = {*NOT_OURS.get(name, ())}
    assert excused <= set(sections)
    unused = {section for section in sections if f'"{section}"' not in text}
    assert unused <= excused, "neither used nor excused"
    assert not excused - unused, "excused, and used"
