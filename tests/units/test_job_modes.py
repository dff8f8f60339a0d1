"""OnFailureJobMode= and OnSuccessJobMode=: what means the same without a queue of jobs is silent, the rest is said."""

from __future__ import annotations

import pytest

from tests.units.trees import SERVICE, texts, tree


@pytest.mark.parametrize("kind", ["OnFailure", "OnSuccess"])
@pytest.mark.parametrize("mode", ["fail", "replace", "replace-irreversibly"])
def test_modes_that_are_what_is_done(kind, mode):
    assert texts(tree({"a.service": f"[Unit]\n{kind}JobMode={mode}\n{SERVICE}"})) == []


@pytest.mark.parametrize("line", [
    "OnFailureJobMode=isolate", "OnFailureJobMode=flush", "OnFailureJobMode=ignore-dependencies",
    "OnSuccessJobMode=ignore-requirements", "OnFailureIsolate=yes",
])  # fmt: skip
def test_modes_that_are_not_done_are_said(line):
    [said] = texts(tree({"a.service": f"[Unit]\n{line}\n{SERVICE}"}))
    assert said.startswith(f"a.service:2: warning: {line.partition('=')[0]}: not enforced")


def test_what_is_no_mode_is_an_error():
    [said] = texts(tree({"a.service": f"[Unit]\nOnFailureJobMode=quickly\n{SERVICE}"}))
    assert "error: OnFailureJobMode: 'quickly' is not one of fail, replace" in said
    assert texts(tree({"a.service": f"[Unit]\nOnFailureIsolate=no\n{SERVICE}"})) == []
