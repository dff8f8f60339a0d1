"""Repositories, and commits in them, that somebody has prepared."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from gitproc.errors import SourceError
from gitproc.source.git_integration import GitIntegration
from gitproc.source.place import locate
from gitproc.source.trust import Trust
from tests.e2e.harness import IDENTITY, service

NOBODY = 65534


def _git(path: Path, *args: str, stdin: bytes = b"") -> str:
    done = subprocess.run(
        ["git", *args], cwd=path, env=IDENTITY, input=stdin, capture_output=True, check=True
    )
    return done.stdout.decode().strip()


@pytest.fixture
def repository(tmp_path):
    path = tmp_path / "above" / "services"
    path.mkdir(parents=True)
    for folder in (path.parent, path):
        folder.chmod(0o755)
    _git(path, "init", "-q", "-b", "main")
    for folder in (path, *path.rglob("*")):
        if folder.is_dir():
            folder.chmod(0o755)
    return path


def _crafted(path: Path, lines: str) -> str:
    """Put a commit whose header is written by hand onto the branch; its id."""
    (path / "web.service").write_text(service())
    _git(path, "add", "-A")
    tree = _git(path, "write-tree")
    raw = f"tree {tree}\n{lines}\n\nsubject\n".encode()
    sha = _git(path, "hash-object", "-t", "commit", "-w", "--literally", "--stdin", stdin=raw)
    (path / ".git/refs/heads/main").write_text(f"{sha}\n")
    return sha


@pytest.mark.parametrize(
    "lines",
    [
        "author A <a@b>\ncommitter A <a@b>",
        "author A <a@b> x +0000\ncommitter A <a@b> x +0000",
        f"author A <a@b> 1 +0000\ncommitter A <a@b> {'9' * 400} +0000",
        "author \x1f\x1f\x1f <\x1f> 1 +0000\ncommitter A <a@b> 1 +0000",
        "author A",
        "",
    ],
)
def test_history_survives_a_crafted_commit(repository, lines):
    sha = _crafted(repository, lines)
    git = GitIntegration(repository)
    try:
        [shown] = git.log()
        assert shown.sha == sha
        assert 0 <= shown.time < 1e12
        assert 0 <= git.commit_info(sha).time < 1e12
        found = git.last_change(["web.service"], sha)
        assert found is not None and found.sha == sha
    finally:
        git.close()


def test_a_crafted_author_is_not_taken_for_something_else(repository):
    _crafted(repository, "author E\x1fvil <e@x> 1 +0000\ncommitter A <a@b> 1 +0000")
    git = GitIntegration(repository)
    try:
        assert git.log()[0].subject == "subject"
    finally:
        git.close()


def test_a_commit_in_a_strange_encoding_adds_none_to_the_history(repository):
    """In UTF-7 an author can hold a NUL: git would recode it, and the record would end there."""
    _crafted(
        repository,
        "author A+AAA-b+AAo-c <e@x> 1 +0000\ncommitter A <a@b> 1 +0000\nencoding UTF-7",
    )
    git = GitIntegration(repository)
    try:
        assert [x.subject for x in git.log()] == ["subject"]
    finally:
        git.close()


@pytest.mark.root
def test_a_folder_above_that_somebody_else_owns_is_refused(repository):
    """Its owner could put a repository of their own in the place of this one."""
    trust = Trust(locate(repository))
    trust.check()
    os.chown(repository.parent, NOBODY, NOBODY)
    with pytest.raises(SourceError, match="replace"):
        trust.check()
    os.chown(repository.parent, 0, 0)
    repository.parent.chmod(0o775)
    os.chown(repository.parent, 0, NOBODY)
    with pytest.raises(SourceError, match="replace"):
        trust.check()


@pytest.mark.root
def test_a_folder_above_that_the_owner_has_is_fine(repository):
    for path in (repository, *repository.rglob("*")):
        os.chown(path, NOBODY, NOBODY)
    os.chown(repository.parent, NOBODY, NOBODY)
    Trust(locate(repository)).check()
