from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

import pytest

from gitproc.errors import SourceError
from gitproc.source import command
from gitproc.source.git_integration import BranchState, GitIntegration
from tests.source.conftest import Repo


def pid_of(source: GitIntegration) -> int:
    batch = source._objects._batch
    assert batch is not None
    return batch.proc.pid  # type: ignore[attr-defined]


class TestHead:
    def test_unborn_then_born(self, repo, source):
        git = source(repo)
        assert git.head() is None
        assert git.branch_state() is BranchState.UNBORN
        sha = repo.commit()
        assert git.head() == sha
        assert git.branch_state() is BranchState.PRESENT

    def test_follows_commit_update_ref_and_rewind(self, repo, source):
        git = source(repo)
        first = repo.commit("one")
        assert git.head() == first
        second = repo.commit("two")
        assert git.head() == second
        repo.git("update-ref", "refs/heads/main", first)
        assert git.head() == first

    def test_deleted_is_not_unborn(self, repo, source):
        repo.commit()
        git = source(repo)
        assert git.head()
        repo.git("update-ref", "-d", "refs/heads/main")
        assert git.head() is None
        assert git.branch_state() is BranchState.MISSING

    def test_missing_where_only_others_exist(self, repo, source):
        repo.commit()
        assert source(repo, "production").branch_state() is BranchState.MISSING

    def test_packed_and_collected_under_the_running_process(self, repo, source):
        git = source(repo)
        repo.write("a.service")
        first = repo.commit()
        git.read(first)
        pid = pid_of(git)
        repo.write("b.service")
        second = repo.commit()
        repo.git("pack-refs", "--all")
        repo.git("gc", "-q", "--prune=now")
        assert not (repo.path / ".git/refs/heads/main").exists()
        assert git.head() == second
        assert list(git.read(second, first).files) == ["b.service"]
        assert pid_of(git) == pid

    def test_branch_with_slashes(self, repo, source):
        repo.git("checkout", "-q", "-b", "host/web/1")
        sha = repo.commit()
        assert source(repo, "host/web/1").head() == sha

    @pytest.mark.parametrize("bare", [False, True])
    def test_push_over_file_transport(self, tmp_path: Path, source, bare):
        remote = Repo(tmp_path / "remote", bare=bare)
        if not bare:
            remote.git("config", "receive.denyCurrentBranch", "updateInstead")
        git = source(remote)
        assert git.head() is None
        work = Repo(tmp_path / "work")
        work.write("a.service")
        first = work.commit()
        work.git("push", "-q", f"file://{remote.path}", "main")
        assert git.head() == first
        work.git("commit", "-q", "--amend", "-m", "again")
        work.git("push", "-q", "--force", f"file://{remote.path}", "main")
        rewound = work.git("rev-parse", "main")
        assert git.head() == rewound
        assert not git.is_ancestor(first, rewound)
        assert list(git.read(rewound).files) == ["a.service"]

    def test_sha256(self, tmp_path: Path, source):
        repo = Repo(tmp_path / "r", form="sha256")
        repo.write("x/a.service")
        first = repo.commit("one")
        repo.write("x/b.service")
        second = repo.commit("two")
        git = source(repo)
        assert git.head() == second
        assert len(second) == 64
        assert sorted(git.read(first).files) == ["x/a.service"]
        assert sorted(git.read(second, first).files) == ["x/b.service"]
        git.write_note(second, "good", 0.0)
        assert git.read_notes() == {second: "good\n"}

    def test_killed_process_is_replaced(self, repo, source):
        sha = repo.commit()
        git = source(repo)
        git.head()
        before = pid_of(git)
        os.kill(before, signal.SIGKILL)
        assert git.head() == sha
        assert pid_of(git) != before

    def test_killed_between_answers(self, repo, source):
        stream = "".join(f"blob\nmark :{n}\ndata 4000\n{n:4000}\n" for n in range(1, 301))
        files = "".join(f"M 100644 :{n} u{n}.service\n" for n in range(1, 301))
        head = "commit refs/heads/main\ncommitter a <a@b> 1 +0000\ndata 1\nx\n"
        repo.git("fast-import", "--quiet", stdin=(stream + head + files).encode())
        git = source(repo)
        expected = {path: file.data for path, file in git.read(git.head()).files.items()}
        oids = [file.oid for file in git.read(git.head()).files.values()]
        found = []
        for number, answer in enumerate(git._objects.get_all(oids)):
            if number == 100:
                os.kill(pid_of(git), signal.SIGKILL)
            found.append(answer.data)
        assert found == list(expected.values())

    def test_leaving_early_does_not_confuse_the_next_question(self, repo, source):
        repo.write("a.service", "a")
        repo.write("b.service", "b")
        sha = repo.commit()
        git = source(repo)
        oids = [file.oid for file in git.read(sha).files.values()]
        for answer in git._objects.get_all([oids[0], oids[1], sha]):
            assert answer.data == b"a"
            break
        assert git.blob(oids[1]) == b"b"

    def test_not_another_branch_in_a_folder_of_the_same_name(self, repo, source):
        sha = repo.commit()
        repo.git("update-ref", "refs/heads/host/web", sha)
        assert source(repo, "host").branch_state() is BranchState.MISSING

    def test_repository_made_anew_at_the_same_path(self, tmp_path: Path, source):
        repo = Repo(tmp_path / "r")
        repo.write("a.service", "one")
        git = source(repo)
        git.read(repo.commit())
        shutil.rmtree(repo.path)
        with pytest.raises(SourceError, match="is gone"):
            git.head()
        again = Repo(tmp_path / "r")
        again.write("b.service", "two")
        sha = again.commit("other")
        assert git.head() == sha
        assert list(git.read(sha).files) == ["b.service"]

    def test_commit_that_is_lost_is_said(self, repo, source):
        sha = repo.commit()
        (repo.path / ".git/objects" / sha[:2] / sha[2:]).unlink()
        git = source(repo)
        with pytest.raises(SourceError, match=r"fsck|not in the"):
            git.branch_state()


class TestPlaces:
    def test_what_is_not_a_repository(self, tmp_path: Path):
        with pytest.raises(SourceError, match="gitproc init"):
            GitIntegration(tmp_path / "nothing")
        file = tmp_path / "file"
        file.write_text("")
        with pytest.raises(SourceError, match="not a directory"):
            GitIntegration(file)
        with pytest.raises(SourceError, match="not a git repository"):
            GitIntegration(tmp_path)

    def test_a_repository_above_does_not_count(self, repo):
        (repo.path / "sub").mkdir()
        with pytest.raises(SourceError, match="not a git repository"):
            GitIntegration(repo.path / "sub")

    def test_linked_work_tree_is_named_for_what_it_is(self, repo, tmp_path: Path):
        repo.commit()
        repo.git("worktree", "add", "-q", "-b", "other", str(tmp_path / "linked"))
        with pytest.raises(SourceError, match="linked work tree"):
            GitIntegration(tmp_path / "linked")

    def test_the_git_directory_itself(self, repo, source):
        sha = repo.commit()
        git = source(repo.path / ".git")
        assert git.head() == sha
        assert git.place.work_tree == repo.path


class TestHistory:
    def test_info_and_log(self, repo, source):
        repo.write("a.service")
        first = repo.commit("first line\nstill subject\n\nbody")
        second = repo.commit("second")
        git = source(repo)
        info = git.commit_info(first)
        assert info.author == "Ada <ada@example.org>"
        assert info.subject == "first line still subject"
        assert info.time == 1_700_000_001
        assert [one.sha for one in git.log()] == [second, first]
        assert git.log(count=5)[1] == info
        assert [one.sha for one in git.log(paths=["a.service"])] == [first]

    def test_a_subject_as_long_as_somebody_likes_is_cut(self, repo, source):
        long = repo.git("commit-tree", repo.git("write-tree"), stdin=b"long " * 2_000_000)
        repo.git("update-ref", "refs/heads/main", long)
        git = source(repo)
        for info in (git.commit_info(long), *git.log()):
            assert info.subject.startswith("long long")
            assert len(info.subject) <= 500

    def test_what_git_prints_does_not_fill_the_memory(self, repo, source, monkeypatch):
        long = repo.git("commit-tree", repo.git("write-tree"), stdin=b"words " * 200_000)
        repo.git("update-ref", "refs/heads/main", long)
        git = source(repo)
        assert git.log()
        monkeypatch.setattr(command, "_MOST", 1 << 20)
        with pytest.raises(SourceError, match="git log prints more than 1 MiB"):
            git.log()
        assert git.head()

    def test_resolve(self, repo, source):
        sha = repo.commit()
        repo.git("tag", "-a", "v1", "-m", "tag")
        git = source(repo)
        for rev in (sha, sha[:8], "main", "v1", "HEAD"):
            assert git.resolve(rev) == sha
        for rev, text in {
            "nope": "no commit nope",
            "0" * 40: "no commit",
            "HEAD~7": "no commit",
            "--all": "not a revision",
            "": "not a revision",
            "\ud800": "not a revision",
            "HEAD^{tree}": "not a commit",
        }.items():
            with pytest.raises(SourceError, match=text):
                git.resolve(rev)

    def test_ambiguous_prefix(self, repo, source):
        stream = "".join(
            f"commit refs/heads/many\ncommitter a <a@b> {n} +0000\ndata 1\nx\n" for n in range(3000)
        )
        repo.git("fast-import", "--quiet", stdin=stream.encode())
        prefixes: set[str] = set()
        for sha in repo.git("rev-list", "many").split():
            if sha[:4] in prefixes:
                break
            prefixes.add(sha[:4])
        else:
            pytest.fail("no two of 3000 ids begin alike")
        with pytest.raises(SourceError, match="more than one"):
            source(repo).resolve(sha[:4])

    def test_last_change(self, repo, source):
        repo.write("a.service")
        repo.write("b.service")
        first = repo.commit("one")
        repo.write("b.service", "new")
        second = repo.commit("two")
        third = repo.commit("three")
        git = source(repo)
        assert git.last_change(["a.service"], second).sha == first
        assert git.last_change(["a.service"], third).sha == first
        assert git.last_change(["a.service", "b.service"], third).sha == second
        assert git.last_change(["never.service"], third) is None
        repo.write("a.service", "newer")
        fourth = repo.commit("four")
        assert git.last_change(["a.service"], fourth).sha == fourth
        assert git.last_change(["a.service"], first).sha == first

    def test_paths_are_no_patterns(self, repo, source):
        repo.write("*.service")
        first = repo.commit()
        repo.write("x.service")
        second = repo.commit()
        assert source(repo).last_change(["*.service"], second).sha == first


class TestNotes:
    def test_written_and_read(self, repo, source):
        git = source(repo)
        shas = [repo.commit(str(number)) for number in range(3)]
        for sha in shas:
            git.write_note(sha, f"about {sha}", 1_700_000_000.5)
        assert git.read_note(shas[1]) == f"about {shas[1]}\n"
        assert git.read_note("0" * 40) is None
        assert git.read_notes() == {sha: f"about {sha}\n" for sha in shas}
        git.write_note(shas[0], "changed", 0)
        assert repo.git("notes", "--ref=gitproc", "show", shas[0]) == "changed"
        assert repo.git("rev-list", "--count", "refs/notes/gitproc") == "4"

    def test_notes_of_gits_own_are_kept_and_found(self, repo, source):
        sha, other = repo.commit("a"), repo.commit("b")
        repo.git("notes", "--ref=gitproc", "add", "-m", "by hand", sha)
        git = source(repo)
        git.write_note(other, "ours", 0)
        assert git.read_note(sha) == "by hand\n"
        assert git.read_note(other) == "ours\n"

    def test_many_notes_are_found_in_folders(self, repo, source):
        base = repo.commit()
        tree = repo.git("rev-parse", base + "^{tree}")
        stream = (
            "".join(
                f"commit refs/heads/many\nmark :{n}\ncommitter a <a@b> {n} +0000\ndata 1\nx\n"
                for n in range(1, 400)
            )
            + "commit refs/notes/gitproc\ncommitter a <a@b> 1 +0000\ndata 1\nn\n"
            + "".join(f"N inline :{n}\ndata 1\nx\n" for n in range(1, 400))
        )
        repo.git("fast-import", "--quiet", stdin=stream.encode())
        assert tree
        git = source(repo)
        sha = git.resolve("many~200")
        assert git.read_note(sha) == "x"
        git.write_note(sha, "y", 0)
        assert git.read_note(sha) == "y\n"
        assert len(git.read_notes()) == 399

    def test_a_note_of_the_same_moment_is_not_lost(self, repo, source, monkeypatch):
        sha, other = repo.commit("a"), repo.commit("b")
        git = source(repo)
        git.write_note(sha, "first", 0)
        run = git._command.run
        raced: list[int] = []

        def race(*args, **kwargs):
            if args[0] == "fast-import" and not raced:
                raced.append(1)
                repo.git("notes", "--ref=gitproc", "add", "-m", "rival", other)
            return run(*args, **kwargs)

        monkeypatch.setattr(git._command, "run", race)
        git.write_note(sha, "second", 0)
        assert raced
        assert git.read_notes() == {sha: "second\n", other: "rival\n"}
