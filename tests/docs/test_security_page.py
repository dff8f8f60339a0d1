"""The page on security names a test for each of its claims: they are all there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
PAGE = PROJECT / "docs/explanation/security.md"
NAMED = sorted(set(re.findall(r"`(tests/[^`]+)`", PAGE.read_text())))


@pytest.mark.parametrize("name", NAMED)
def test_a_test_that_is_named_is_there(name):
    path, _, function = name.partition("::")
    tests = ast.parse((PROJECT / path).read_text()).body
    names = {x.name for x in ast.walk(ast.Module(tests, [])) if isinstance(x, ast.FunctionDef)}
    assert any(x.startswith("test_") for x in names)
    assert not function or function in names


def test_every_claim_names_one():
    rows = [
        line
        for line in PAGE.read_text().splitlines()
        if line.startswith("| ") and "`tests/" in line
    ]
    assert len(rows) > 20
    assert len(NAMED) > 40
