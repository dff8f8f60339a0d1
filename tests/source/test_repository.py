from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from gitproc.errors import SourceError
from gitproc.source.git_integration import BranchState, GitIntegration
from gitproc.source.repository import prepare
from tests.source.conftest import Repo


def config(path: Path, key: str) -> str:
    return subprocess.run(
        ["git", "-C", str(path), "config", key], capture_output=True, text=True, check=False
    ).stdout.strip()


class TestMake:
    @pytest.mark.parametrize("bare", [False, True])
    def test_new_and_again(self, tmp_path: Path, bare, source):
        path = tmp_path / "etc/services"
        made = prepare(path, "main", bare)
        assert made.created
        assert "made the repository" in made.steps[0]
        git = source(path)
        assert git.branch_state() is BranchState.UNBORN
        assert (git.place.work_tree is None) is bare
        assert config(path, "receive.denyCurrentBranch") == ("" if bare else "updateInstead")
        again = prepare(path, "main", bare)
        assert (again.created, again.steps) == (False, ())

    @pytest.mark.parametrize("bare", [False, True])
    def test_a_push_works_and_updates_the_files(self, tmp_path: Path, bare, source):
        path = tmp_path / "services"
        prepare(path, "production", bare)
        work = Repo(tmp_path / "work")
        work.write("a.service")
        sha = work.commit()
        work.git("push", "-q", str(path), "main:production")
        assert source(path, "production").head() == sha
        assert (path / "a.service").exists() is not bare

    def test_whatever_the_umask(self, tmp_path: Path, source):
        old = os.umask(0)
        try:
            prepare(tmp_path / "r")
        finally:
            os.umask(old)
        assert source(tmp_path / "r").head() is None

    def test_files_that_lie_there_are_left(self, tmp_path: Path):
        (tmp_path / "a.service").write_text("[Service]\n")
        made = prepare(tmp_path)
        assert made.created
        assert "not committed" in made.steps[1]
        assert (tmp_path / "a.service").read_text() == "[Service]\n"

    def test_no_bare_one_among_files(self, tmp_path: Path):
        (tmp_path / "a.service").write_text("")
        with pytest.raises(SourceError, match=r"holds files \(a\.service\)"):
            prepare(tmp_path, bare=True)

    def test_not_over_a_file(self, tmp_path: Path):
        (tmp_path / "f").write_text("")
        with pytest.raises(SourceError, match="not a directory"):
            prepare(tmp_path / "f")

    def test_unknown_user(self, tmp_path: Path):
        with pytest.raises(SourceError, match="no user nobody-such"):
            prepare(tmp_path / "r", owner="nobody-such")

    @pytest.mark.root
    def test_for_another_owner(self, open_place: Path):
        path = open_place / "r"
        made = prepare(path, owner="nobody")
        assert made.owner.name == "nobody"
        assert {p.stat().st_uid for p in [path, *path.rglob("*")]} == {65534}


class TestAdopt:
    def test_existing_with_branch(self, repo):
        repo.commit()
        found = prepare(repo.path)
        assert not found.created
        assert found.steps == (
            "a push to the branch updates the work tree (receive.denyCurrentBranch=updateInstead)",
        )
        assert prepare(repo.path).steps == ()

    def test_a_decision_of_somebody_is_kept(self, repo):
        repo.git("config", "receive.denyCurrentBranch", "refuse")
        assert prepare(repo.path).steps == ()
        assert config(repo.path, "receive.denyCurrentBranch") == "refuse"

    def test_wrong_branch(self, repo):
        repo.commit()
        repo.git("branch", "-m", "main", "master")
        with pytest.raises(SourceError, match=r"no branch main; it has master"):
            prepare(repo.path)

    def test_unborn_branch_of_another_name(self, repo, tmp_path):
        repo.git("symbolic-ref", "HEAD", "refs/heads/master")
        assert prepare(repo.path).steps[0] == "made main the branch of the first commit"
        repo.commit()
        git = GitIntegration(repo.path)
        assert git.head()
        git.close()

    def test_other_owner_wanted(self, repo):
        with pytest.raises(SourceError, match="chown -R daemon"):
            prepare(repo.path, owner="daemon")

    def test_writable_by_others(self, repo):
        repo.path.chmod(0o777)
        with pytest.raises(SourceError, match="chmod -R go-w"):
            prepare(repo.path)
