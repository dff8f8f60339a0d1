from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

import pytest

from gitproc.errors import RefusedError, SourceError
from gitproc.source.rollback import UNDER_WAY, Rollback
from tests.source.conftest import Repo


@pytest.fixture
def history(repo):
    repo.write("a.service", "one\n")
    repo.write("gone.service", "was here\n")
    repo.write("untouched.conf", "same\n")
    first = repo.commit("first good state")
    repo.write("a.service", "two\n")
    repo.git("rm", "-q", "gone.service")
    repo.write("new/b.service", "later\n")
    second = repo.commit("second")
    return first, second


class TestWithWorkTree:
    def test_files_index_and_branch_follow(self, repo, source, history):
        first, second = history
        git = source(repo)
        new = git.rollback(first[:10], "ada (uid 1000)", {"Reason": "it\nbroke"})
        assert git.head() == new
        assert repo.git("rev-parse", f"{new}^") == second
        assert repo.git("rev-parse", f"{new}^{{tree}}") == repo.git(
            "rev-parse", f"{first}^{{tree}}"
        )
        assert (repo.path / "a.service").read_text() == "one\n"
        assert (repo.path / "gone.service").read_text() == "was here\n"
        assert not (repo.path / "new").exists()
        assert repo.git("status", "--porcelain") == ""
        assert repo.git("show", "-s", "--format=%an|%cn|%s", new) == (
            'ada (uid 1000)|gitproc|Roll back to "first good state"'
        )
        assert repo.git("show", "-s", "--format=%(trailers)", new).splitlines() == [
            f"Rollback-To: {first}",
            "Requested-By: ada (uid 1000)",
            "Reason: it broke",
        ]

    def test_one_that_was_cut_off_before_the_branch_moved_is_finished(self, repo, source, history):
        first, second = history
        repo.git("read-tree", "-m", "-u", second, first)
        repo.write("a.service", "being edited\n")
        git = source(repo)
        with pytest.raises(RefusedError) as caught:
            git.rollback(first, "root")
        assert [d["file"] for d in caught.value.data["diagnostics"]] == ["a.service"]
        repo.write("a.service", "one\n")
        new = git.rollback(first, "root")
        assert git.head() == new
        assert repo.git("status", "--porcelain") == ""
        assert repo.git("for-each-ref", UNDER_WAY) == ""
        assert sorted(x.name for x in repo.path.iterdir() if x.name != ".git") == [
            "a.service",
            "gone.service",
            "untouched.conf",
        ]

    @pytest.mark.parametrize("files", ["written", "not written"])
    def test_what_one_has_left_that_was_cut_off_is_taken_back(self, repo, source, history, files):
        first, second = history
        new = repo.git("commit-tree", f"{first}^{{tree}}", "-p", second, "-m", "Roll back")
        repo.git("update-ref", UNDER_WAY, new)
        if files == "written":
            repo.git("read-tree", "-m", "-u", second, new)
        git = source(repo)
        lock = repo.write(".git/index.lock", "")
        with pytest.raises(SourceError, match="another git process"):
            git.undo_rollback()
        lock.unlink()
        assert git.undo_rollback() == (new if files == "written" else "")
        assert repo.git("status", "--porcelain") == ""
        assert (git.head(), repo.git("for-each-ref", UNDER_WAY)) == (second, "")
        assert (repo.path / "a.service").read_text() == "two\n"
        assert git.undo_rollback() == ""

    def test_what_was_changed_or_committed_since_one_was_cut_off_stays(self, repo, source, history):
        first, second = history
        new = repo.git("commit-tree", f"{first}^{{tree}}", "-p", second, "-m", "Roll back")
        repo.git("update-ref", UNDER_WAY, new)
        repo.git("read-tree", "-m", "-u", second, new)
        repo.write("a.service", "being edited\n")
        git = source(repo)
        assert git.undo_rollback() == ""
        assert (repo.path / "a.service").read_text() == "being edited\n"
        repo.git("update-ref", UNDER_WAY, new)
        ours = repo.commit("all of that")
        assert git.undo_rollback() == ""
        assert (git.head(), repo.git("status", "--porcelain")) == (ours, "")
        assert repo.git("for-each-ref", UNDER_WAY) == ""

    def test_of_two_at_once_the_second_touches_nothing(self, repo, source, history):
        first, second = history
        git = source(repo)
        with ThreadPoolExecutor(1) as pool:
            with git._rolling:  # the first is being made
                other = pool.submit(git.rollback, first, "root", expected=second)
                wait([other], timeout=0.5)  # if it did more by now than wait, that shows below
                Rollback(git._command, "main").write(second, first, "good", "root", {})
            with pytest.raises(SourceError, match="moved"):
                other.result(30)
        assert repo.git("status", "--porcelain") == ""
        assert (repo.path / "a.service").read_text() == "one\n"

    def test_uncommitted_work_refuses(self, repo, source, history):
        first, second = history
        repo.write("a.service", "being edited\n")
        repo.write("gone.service", "untracked, in the way\n")
        git = source(repo)
        with pytest.raises(RefusedError) as caught:
            git.rollback(first, "root")
        assert [(d["file"], d["message"]) for d in caught.value.data["diagnostics"]] == [
            ("a.service", "has uncommitted changes"),
            ("gone.service", "not in git and in the way"),
        ]
        assert git.head() == second
        assert (repo.path / "a.service").read_text() == "being edited\n"
        assert (repo.path / "gone.service").read_text() == "untracked, in the way\n"

    def test_staged_work_refuses(self, repo, source, history):
        repo.write("a.service", "staged\n")
        repo.git("add", "a.service")
        with pytest.raises(RefusedError, match=r"a\.service"):
            source(repo).rollback(history[0], "root")

    def test_ignored_file_in_the_way_refuses(self, repo, source, history):
        (repo.path / ".git/info").mkdir(exist_ok=True)
        (repo.path / ".git/info/exclude").write_text("gone.service\n")
        repo.write("gone.service", "ignored, still somebody's\n")
        with pytest.raises(RefusedError, match=r"gone\.service"):
            source(repo).rollback(history[0], "root")

    def test_work_elsewhere_is_kept(self, repo, source, history):
        repo.write("untouched.conf", "edited\n")
        repo.write("notes.txt", "untracked\n")
        source(repo).rollback(history[0], "root")
        assert (repo.path / "untouched.conf").read_text() == "edited\n"
        assert (repo.path / "notes.txt").read_text() == "untracked\n"
        assert (repo.path / "a.service").read_text() == "one\n"

    def test_other_branch_checked_out(self, repo, source, history):
        repo.git("checkout", "-q", "-b", "topic")
        git = source(repo)
        new = git.rollback(history[0], "root")
        assert git.head() == new
        assert (repo.path / "a.service").read_text() == "two\n"
        assert repo.git("status", "--porcelain") == ""

    def test_branch_that_moves_meanwhile(self, repo, source, history, monkeypatch):
        git = source(repo)
        run = git._command.run

        def race(*args, **kwargs):
            if args[0] == "update-ref":
                rival = repo.git("commit-tree", "HEAD^{tree}", "-p", "HEAD", "-m", "rival")
                repo.git("update-ref", "refs/heads/main", rival)
            return run(*args, **kwargs)

        monkeypatch.setattr(git._command, "run", race)
        with pytest.raises(SourceError, match="moved"):
            git.rollback(history[0], "root")
        assert repo.git("log", "-1", "--format=%s") == "rival"
        assert (repo.path / "a.service").read_text() == "two\n"
        assert repo.git("status", "--porcelain") == ""


class TestWithout:
    def test_bare(self, repo, source, history, tmp_path: Path):
        repo.git("clone", "-q", "--bare", str(repo.path), str(tmp_path / "bare"))
        git = source(tmp_path / "bare")
        new = git.rollback(history[0], "root")
        assert git.head() == new
        assert git.read(new).files["a.service"].data == b"one\n"

    def test_nothing_to_do(self, repo, source, history):
        with pytest.raises(SourceError, match="nothing to roll back"):
            source(repo).rollback("main", "root")

    def test_unknown(self, repo, source, history):
        with pytest.raises(SourceError, match="no commit nonsense"):
            source(repo).rollback("nonsense", "root")

    def test_twice_is_there_and_back(self, repo, source, history):
        git = source(repo)
        git.rollback(history[0], "root")
        again = git.rollback(history[1], "root")
        assert (repo.path / "a.service").read_text() == "two\n"
        assert repo.git("rev-list", "--count", again) == "4"

    def test_odd_names_of_people(self, repo, source, history):
        new = source(repo).rollback(history[0], "<evil>\nTrailer: x\n")
        assert repo.git("show", "-s", "--format=%an", new) == "evil Trailer: x"

    def test_sha256_bare(self, tmp_path: Path, source):
        repo = Repo(tmp_path / "r", form="sha256")
        repo.write("a.service", "1")
        first = repo.commit()
        repo.write("a.service", "2")
        repo.commit()
        source(repo).rollback(first, "root")
        assert (repo.path / "a.service").read_text() == "1"
