"""What a push may do, by the table."""

from __future__ import annotations

import pytest

from gitproc.daemon.push_rules import Update, deployed, exposure, judge, mass_removal
from tests.units.trees import tree

A, B, C = "a" * 40, "b" * 40, "c" * 40
MAIN = "refs/heads/main"


def said(*updates, options=(), head=A):
    return [x.message for x in judge(updates, options, "main", head)]


@pytest.mark.parametrize(
    ("update", "head"),
    [
        (Update(MAIN, A, B), A),
        (Update(MAIN, "", B), None),
        (Update("refs/heads/maintenance", B, C, forward=False), A),
        (Update("refs/heads/other", B, ""), A),
        (Update("refs/tags/v1", "", B), A),
        (Update("refs/notes/other", "", B), A),
    ],
)
def test_what_passes(update, head):
    assert said(update, head=head) == []


@pytest.mark.parametrize(
    ("update", "head", "words"),
    [
        (Update(MAIN, A, B), C, "main is at cccccccccccc now, somebody else was faster"),
        (Update(MAIN, "", B), C, "main is at cccccccccccc now"),
        (Update(MAIN, A, B), None, "main is gone now"),
        (Update(MAIN, A, B, forward=False), A, "`-o force` to rewind"),
        (Update(MAIN, A, ""), A, "is not deleted"),
        (Update("refs/notes/gitproc", "", B), A, "by the daemon alone"),
    ],
)
def test_what_does_not(update, head, words):
    [found] = said(update, head=head)
    assert words in found


def test_force_means_rewinding_and_deleting_and_nothing_else():
    assert said(Update(MAIN, A, B, forward=False), options=["force"]) == []
    assert said(Update(MAIN, A, ""), options=["force"]) == []
    assert len(said(Update(MAIN, C, B, forward=False), options=["force"])) == 1
    assert len(said(Update("refs/notes/gitproc", A, ""), options=["force"])) == 1


def test_all_that_is_wrong_is_said():
    notes = Update("refs/notes/gitproc", "", B)
    rewind = Update(MAIN, A, B, forward=False)
    assert len(said(notes, rewind, options=["what", "plna"])) == 4
    assert "did you mean plan?" in said(rewind, options=["plna"])[0]
    assert said(Update("refs/heads/other", "", B), options=["what"]) == []


def test_the_deployed_branch_is_found():
    other, main = Update("refs/heads/other", "", B), Update(MAIN, A, B)
    assert deployed([other, main], "main") is main
    assert deployed([other], "main") is None


@pytest.mark.parametrize(
    ("ended", "running", "refused"),
    [(0, 0, False), (1, 1, False), (2, 2, True), (2, 3, False), (5, 9, False), (6, 1000, True)],
)
def test_mass_removal(ended, running, refused):
    names = [f"{n}.service" for n in range(ended)]
    assert bool(mass_removal(names, running, [], 5)) is refused
    assert mass_removal(names, running, ["confirm-prune"], 5) == []


def test_what_may_be_started_is_weighed_whether_or_not_a_unit_names_it():
    """Templates, and instances that only drop-ins of theirs tell of."""
    closed, drop_in = "[Service]\nExecStart=/bin/true\nUser=daemon\n", "[Service]\nUser=root\n"
    files = {"t@.service": closed, "a.service": closed}
    before = tree(files, "*")
    for more, named in (
        ({}, []),
        ({"t@.service": closed + "User=root\n"}, ["t@.service"]),
        ({"t@x.service.d/y.conf": drop_in}, ["t@x.service"]),
        ({"a@x.service.d/y.conf": drop_in}, []),
        ({"service.d/y.conf": drop_in}, ["a.service", "t@.service"]),
    ):
        found = exposure(before, tree({**files, **more}, "*"), 9.4)
        assert [x.message.split()[0] for x in found] == named
