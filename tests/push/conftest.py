"""Machines that people push to: the real daemon, `gitproc init`'s hooks, and clones."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from tests.e2e.harness import CONFIG, DEADLINE, IDENTITY, Machine, Outcome, made


class Clone:
    """Somebody's clone of the repository."""

    def __init__(self, path: Path, url: str, **environment: str) -> None:
        self.path = path
        self.environment = {**IDENTITY, **environment}
        path.mkdir()
        self.git("init", "-q", "-b", "main")
        self.git("remote", "add", "origin", url)

    def git(self, *args: str) -> str:
        done = self.run(*args)
        assert done.status == 0, done.err
        return done.out.strip()

    def run(self, *args: str) -> Outcome:
        """Run git; what the other side says is in `err`, without git's padding."""
        done = subprocess.run(
            ["git", *args],
            cwd=self.path,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=2 * DEADLINE,
            check=False,
        )
        lines = (line.rstrip() for line in done.stderr.splitlines())
        return Outcome(done.returncode, done.stdout, "\n".join(lines))

    def commit(self, files: Mapping[str, str | bytes | None], message: str = "change") -> str:
        """Commit changed files (None: gone); the commit's id."""
        for name, content in files.items():
            file = self.path / name
            if content is None:
                file.unlink()
                continue
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content if isinstance(content, bytes) else content.encode())
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", message)
        return self.git("rev-parse", "HEAD")

    def push(self, *args: str) -> Outcome:
        """Push main, or what `args` say, with options of push before them."""
        refs = [x for x in args if not x.startswith("-")]
        options = [x for x in args if x.startswith("-")]
        return self.run("push", *options, "origin", *(refs or ["main"]))

    def popen(self, *args: str) -> subprocess.Popen[str]:
        """A push that runs; its standard error is a pipe."""
        return subprocess.Popen(
            ["git", "push", "--progress", "origin", *(args or ["main"])],
            cwd=self.path,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )


class Server(Machine):
    """A machine with the hooks, and the clones made of it."""

    def __init__(self, *, config: str = "", group: str = "", bare: bool = False) -> None:
        if group:
            config = f'group = "{group}"\n{config}'
        super().__init__(bare=bare, config=CONFIG + config)
        self._clones = 0
        assert self.gitproc("init").status == 0

    def clone(self, url: str = "", **environment: str) -> Clone:
        """A new clone without commits."""
        self._clones += 1
        path = self.root / f"clone-{self._clones}"
        return Clone(path, url or str(self.repository.path), **environment)

    def has(self, oid: str) -> bool:
        """Whether the repository has an object."""
        done = subprocess.run(
            ["git", "cat-file", "-e", oid], cwd=self.repository.path, env=IDENTITY,
            capture_output=True, check=False,
        )  # fmt: skip
        return done.returncode == 0

    def head(self) -> str | None:
        """What the daemon has in force."""
        applied = self.status()["commit"]["applied"]
        return str(applied["sha"]) if applied else None


@pytest.fixture
def servers() -> Iterator[Callable[..., Server]]:
    """Makes servers as told; starts them unless told otherwise."""
    yield from made(Server)


@pytest.fixture
def server(servers) -> Server:
    """A server with a bare repository whose daemon runs."""
    return servers(bare=True)


@pytest.fixture
def clone(server) -> Clone:
    """A clone of the server's repository."""
    return server.clone()
