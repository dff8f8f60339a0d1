"""The outcomes of systemd's own parsers, case by case, to hold ours against (tests/data/facts)."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest

_FOLDER = Path(__file__).parent.parent / "data" / "facts"

Case = dict[str, Any]


@cache
def table(name: str) -> Any:
    """Everything under "cases" of one file."""
    return json.loads((_FOLDER / f"{name}.json").read_text(encoding="utf-8"))["cases"]


def cases(name: str, *sections: str, key: str = "in", differ: tuple[Any, ...] = ()) -> Any:
    """Parametrise a test with the cases of these sections, but those whose `key` is in `differ`.

    What is listed in `differ` must be there, so that a list of differences cannot go stale.
    """
    found: list[Case] = []
    for section in sections:
        found.extend(table(name)[section])
    return parametrise(found, key=key, differ=differ)


def parametrise(found: list[Case], *, key: str = "in", differ: tuple[Any, ...] = ()) -> Any:
    """As cases, for cases at hand."""
    missing = [item for item in differ if item not in [case[key] for case in found]]
    assert not missing, f"listed as different, but no case: {missing}"
    kept = [case for case in found if case[key] not in differ]
    assert kept
    return pytest.mark.parametrize("case", kept, ids=[_name(case.get(key)) for case in kept])


def _name(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return ascii(text)[1:41] or "empty"
