from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path

import pytest

from gitproc.errors import SourceError
from gitproc.source.place import locate
from gitproc.source.trust import Trust
from tests.source.conftest import Repo

NOBODY = 65534


def give(path: Path, uid: int) -> None:
    for one in [path, *path.rglob("*")]:
        os.chown(one, uid, uid, follow_symlinks=False)


class TestWritableByOthers:
    @pytest.mark.parametrize("part", ["", ".git", ".git/refs/heads", ".git/config", ".git/objects"])
    @pytest.mark.parametrize(("bits", "who"), [(0o020, "its group"), (0o002, "everybody")])
    def test_refused_with_the_command(self, repo, source, part, bits, who):
        repo.commit()
        git = source(repo)
        assert git.head()
        path = repo.path / part
        path.chmod(path.stat().st_mode | bits)
        with pytest.raises(SourceError) as caught:
            git.head()
        assert who in caught.value.message
        assert f"`chmod -R go-w {repo.path}`" in caught.value.message
        repo.git("-c", "core.fileMode=false", "status")
        path.chmod(path.stat().st_mode & ~bits)
        assert git.head()

    def test_the_whole_commit_path_is_refused(self, repo, source):
        sha = repo.commit()
        git = source(repo)
        repo.path.chmod(0o777)
        for call in (
            lambda: git.read(sha),
            lambda: git.resolve("main"),
            lambda: git.rollback("main", "root"),
            lambda: git.write_note(sha, "x", 0),
        ):
            with pytest.raises(SourceError, match="chmod"):
                call()

    def test_a_folder_above_that_everybody_can_write(self, tmp_path: Path, source):
        repo = Repo(tmp_path / "open" / "repo")
        repo.commit()
        git = source(repo)
        (tmp_path / "open").chmod(0o1777)
        assert git.head()
        (tmp_path / "open").chmod(0o777)
        with pytest.raises(SourceError, match=f"chmod o-w {tmp_path}/open"):
            git.head()

    @pytest.mark.root
    def test_a_part_of_another_owner(self, repo, source):
        repo.commit()
        git = source(repo)
        os.chown(repo.path / ".git/refs", NOBODY, NOBODY)
        with pytest.raises(SourceError, match=f"`chown -R root {repo.path}`"):
            git.head()

    @pytest.mark.root
    def test_a_repository_that_changes_hands(self, repo, source):
        repo.commit()
        git = source(repo)
        assert git.head()
        give(repo.path, NOBODY)
        with pytest.raises(SourceError, match="belongs to nobody"):
            git.head()


@pytest.mark.root
class TestAnotherOwner:
    """Root reads what uid 65534 owns; whatever that repository plants must not run, and never as root."""

    @pytest.fixture
    def planted(self, open_place: Path):
        repo = Repo(open_place / "repo")
        repo.write(".gitattributes", "*.service filter=evil diff=evil merge=evil\n")
        repo.write("a.service", "one\n")
        first = repo.commit("first")
        repo.write("a.service", "two\n")
        signature = (
            "gpgsig -----BEGIN PGP SIGNATURE-----\n \n -----END PGP SIGNATURE-----\n\nsecond"
        )
        unsigned = repo.git("cat-file", "commit", repo.commit("second"))
        signed = unsigned.replace("\nsecond", signature)
        second = repo.git("hash-object", "-t", "commit", "-w", "--stdin", stdin=signed.encode())
        repo.git("update-ref", "refs/heads/main", second)
        canary = open_place / "canary"
        canary.mkdir()
        canary.chmod(0o777)

        def trap(name: str) -> str:
            script = open_place / f"trap-{name}"
            script.write_text(f"#!/bin/sh\nid -u > {canary}/{name}\ncat\n")
            script.chmod(0o755)
            return str(script)

        hooks = repo.path / ".git/hooks"
        hooks.mkdir(exist_ok=True)
        for hook in (
            "post-checkout", "post-index-change", "reference-transaction", "post-commit",
            "pre-commit", "post-rewrite", "pre-auto-gc", "post-merge", "commit-msg",
        ):  # fmt: skip
            shutil.copy(trap(f"hook-{hook}"), hooks / hook)
        for key, value in {
            "core.fsmonitor": trap("fsmonitor"),
            "core.hooksPath": str(hooks),
            "core.sshCommand": trap("ssh"),
            "core.pager": trap("pager"),
            "core.editor": trap("editor"),
            "core.askPass": trap("askpass"),
            "core.alternateRefsCommand": trap("alternates"),
            "core.gitProxy": trap("proxy"),
            "diff.external": trap("external"),
            "diff.evil.textconv": trap("textconv"),
            "diff.evil.command": trap("diff"),
            "merge.evil.driver": trap("merge"),
            "filter.evil.clean": trap("clean"),
            "filter.evil.smudge": trap("smudge"),
            "filter.evil.required": "true",
            "gpg.program": trap("gpg"),
            "log.showSignature": "true",
            "commit.gpgSign": "true",
            "remote.origin.url": f"ext::{trap('ext')}",
            "remote.origin.promisor": "true",
            "remote.origin.partialCloneFilter": "blob:none",
            "protocol.ext.allow": "always",
            "extensions.partialClone": "origin",
            "core.repositoryFormatVersion": "1",
        }.items():
            repo.git("config", key, value)
        shutil.rmtree(canary)
        canary.mkdir()
        canary.chmod(0o777)
        give(repo.path, NOBODY)
        return repo, first, second, canary

    def test_the_traps_do_work(self, planted):
        repo, _, _, canary = planted
        with contextlib.suppress(AssertionError):
            repo.git("-c", f"safe.directory={repo.path}", "status")
        assert (canary / "fsmonitor").exists()

    def test_nothing_planted_runs(self, planted, source):
        repo, first, second, canary = planted
        git = source(repo)
        assert git.owner.uid == NOBODY
        assert git.head() == second
        assert git.read(second).files["a.service"].data == b"two\n"
        git.read(first, second)
        git.log(count=5)
        git.last_change(["a.service"], second)
        git.write_note(second, "good", 0)
        assert git.read_notes()
        with pytest.raises(SourceError):
            git.blob("1" * 40)  # absent: a partial clone would fetch it
        new = git.rollback(first, "root")
        assert git.head() == new
        assert (repo.path / "a.service").read_text() == "one\n"
        assert (repo.path / "a.service").stat().st_uid == NOBODY
        assert list(canary.iterdir()) == []

    def test_processes_and_files_are_the_owners(self, planted, source):
        repo, first, second, _ = planted
        git = source(repo)
        git.head()
        pid = git._objects._batch.proc.pid
        status = Path(f"/proc/{pid}/status").read_text()
        ids = {line.split(":")[0]: line.split()[1:] for line in status.splitlines()}
        assert ids["Uid"] == [str(NOBODY)] * 4
        assert ids["Gid"] == [str(NOBODY)] * 4
        assert ids["Groups"] == []
        git.write_note(second, "good", 0)
        git.rollback(first, "root")
        foreign = [p for p in repo.path.rglob("*") if p.lstat().st_uid != NOBODY]
        assert foreign == []


class TestEnvironment:
    def test_nothing_of_ours_gets_through(self, repo, source, monkeypatch, tmp_path):
        sha = repo.commit()
        monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
        monkeypatch.setenv("GIT_OBJECT_DIRECTORY", str(tmp_path / "objects"))
        monkeypatch.setenv("GIT_QUARANTINE_PATH", str(tmp_path / "quarantine"))
        monkeypatch.setenv("GIT_CONFIG_PARAMETERS", "'core.bare=true'")
        monkeypatch.setenv("SECRET", "x")
        git = source(repo)
        assert git.head() == sha
        assert git.log(count=1)[0].sha == sha
        environ = Path(f"/proc/{git._objects._batch.proc.pid}/environ").read_bytes()
        assert b"SECRET" not in environ
        assert b"QUARANTINE" not in environ

    def test_replace_refs_change_nothing(self, repo, source):
        repo.write("a.service", "one")
        first = repo.commit()
        repo.write("a.service", "two")
        second = repo.commit()
        repo.git("replace", second, first)
        git = source(repo)
        assert git.head() == second
        assert git.read(second).files["a.service"].data == b"two"
        assert [one.sha for one in git.log()] == [second, first]

    def test_environment_is_the_same_for_every_command(self, repo):
        trust = Trust(locate(repo.path))
        environment = trust.environment({"X": "y"})
        assert environment["GIT_DIR"] == str(repo.path / ".git")
        assert environment["X"] == "y"
        assert "X" not in trust.environment()
