"""A real repository to test against, driven by plain git."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gitproc.source.git_integration import GitIntegration
from tests.e2e.harness import IDENTITY


class Repo:
    """A repository and, for a bare one, the clone that is pushed from."""

    def __init__(self, path: Path, bare: bool = False, form: str = "sha1") -> None:
        self.path = path
        self.bare = bare
        self.tick = 1_700_000_000
        path.mkdir(parents=True, exist_ok=True)
        extra = ["--bare"] if bare else []
        self.git("init", "-q", "-b", "main", f"--object-format={form}", *extra)
        for folder in [path, *path.rglob("*")]:
            folder.chmod(folder.stat().st_mode & ~0o022)

    def git(self, *args: str, stdin: bytes | None = None, cwd: Path | None = None) -> str:
        stamp = f"{self.tick} +0000"
        done = subprocess.run(
            ["git", *args],
            cwd=cwd or self.path,
            env={**IDENTITY, "GIT_AUTHOR_DATE": stamp, "GIT_COMMITTER_DATE": stamp},
            input=stdin if stdin is not None else b"",
            capture_output=True,
            check=False,
            umask=0o022,
        )
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode().strip()

    def commit(self, message: str = "change", **unused: str) -> str:
        """Commit the files of the work tree."""
        self.tick += 1
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", message)
        return self.git("rev-parse", "HEAD")

    def write(self, name: str, text: str = "[Service]\nExecStart=/bin/true\n") -> Path:
        file = self.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file

    def plant(self, entries: list[tuple[str, str, bytes]], branch: str = "main") -> str:
        """A commit of one tree written by hand: (mode, id, raw name) in any order, any name."""
        sha = self.git("commit-tree", self.tree(entries), "-m", "planted")
        self.git("update-ref", f"refs/heads/{branch}", sha)
        return sha

    def tree(self, entries: list[tuple[str, str, bytes]]) -> str:
        """One tree written by hand."""
        body = b"".join(
            mode.encode() + b" " + name + b"\0" + bytes.fromhex(oid) for mode, oid, name in entries
        )
        return self.git("hash-object", "-t", "tree", "-w", "--literally", "--stdin", stdin=body)

    def blob(self, data: bytes) -> str:
        return self.git("hash-object", "-w", "--stdin", stdin=data)


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    return Repo(tmp_path / "repo")


@pytest.fixture
def source() -> Iterator[Callable[..., GitIntegration]]:
    """Opens repositories; closes them at the end."""
    opened: list[GitIntegration] = []

    def open_(repo: Repo | Path, branch: str = "main") -> GitIntegration:
        path = repo.path if isinstance(repo, Repo) else repo
        opened.append(GitIntegration(path, branch))
        return opened[-1]

    yield open_
    for one in opened:
        one.close()


@pytest.fixture
def open_place() -> Iterator[Path]:
    """A folder every user can enter, which pytest's own is not."""
    path = Path(tempfile.mkdtemp(prefix="gitproc-test-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)
