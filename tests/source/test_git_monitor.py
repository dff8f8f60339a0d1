from __future__ import annotations

import ctypes
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gitproc.errors import SourceError
from gitproc.source.git_monitor import GitMonitor
from tests.source.conftest import Repo


class Watched:
    """A monitor and what it has told."""

    def __init__(self, path: Path, branch: str = "main") -> None:
        self.told = threading.Event()
        self.count = 0
        self.monitor = GitMonitor(path, branch, self.tell)
        self.monitor.start()

    def tell(self) -> None:
        self.count += 1
        self.told.set()

    def after(self, action) -> bool:
        """Whether a hint comes within the deadline once `action` is done."""
        self.told.clear()
        action()
        return self.told.wait(20)


@pytest.fixture
def watch() -> Iterator:
    made: list[Watched] = []

    def make(repo: Repo, branch: str = "main") -> Watched:
        made.append(Watched(repo.path, branch))
        return made[-1]

    yield make
    for one in made:
        one.monitor.stop()


class TestHints:
    def test_commit_update_ref_delete(self, repo, watch):
        first = repo.commit()
        seen = watch(repo)
        assert seen.monitor.inotify_works
        assert seen.monitor.reason == ""
        assert seen.after(repo.commit)
        assert seen.after(lambda: repo.git("update-ref", "refs/heads/main", first))
        assert seen.after(lambda: repo.git("update-ref", "-d", "refs/heads/main"))
        assert seen.after(lambda: repo.git("update-ref", "refs/heads/main", first))

    def test_push_into_bare(self, tmp_path: Path, watch):
        remote, work = Repo(tmp_path / "remote", bare=True), Repo(tmp_path / "work")
        work.commit()
        seen = watch(remote)
        assert seen.after(lambda: work.git("push", "-q", f"file://{remote.path}", "main"))

    def test_pack_refs_and_what_comes_after(self, repo, watch):
        repo.commit()
        seen = watch(repo)
        assert seen.after(lambda: repo.git("gc", "-q", "--prune=now"))
        assert seen.after(repo.commit)

    def test_branch_folder_that_appears_later_and_again(self, repo, watch):
        sha = repo.commit()
        seen = watch(repo, "host/web/1")
        for _ in range(2):
            assert seen.after(lambda: repo.git("update-ref", "refs/heads/host/web/1", sha))
            settle(seen)
            new = repo.git("commit-tree", f"{sha}^{{tree}}", "-p", sha, "-m", "next")
            assert seen.after(lambda new=new: repo.git("update-ref", "refs/heads/host/web/1", new))
            settle(seen)
            assert seen.after(lambda: repo.git("update-ref", "-d", "refs/heads/host/web/1"))
            settle(seen)

    def test_head_moves(self, repo, watch):
        repo.commit()
        seen = watch(repo)
        assert seen.after(lambda: repo.git("symbolic-ref", "HEAD", "refs/heads/other"))

    def test_only_what_concerns_the_branch(self, repo, watch):
        sha = repo.commit()
        seen = watch(repo)
        repo.git("update-ref", "refs/heads/other", sha)
        repo.git("update-ref", "refs/notes/gitproc", sha)
        repo.git("tag", "v1")
        repo.write("new.service")
        repo.git("add", "-A")
        repo.git("cat-file", "-p", "main")
        repo.git("log")
        assert seen.after(repo.commit)  # in order: what came before has been seen by now
        before = seen.count
        repo.git("log")
        repo.git("update-ref", "refs/heads/other", "-d")
        assert seen.after(repo.commit)
        assert before <= 4
        assert seen.count - before <= 4

    def test_after_stop_nothing(self, repo, watch):
        repo.commit()
        threads = {*threading.enumerate()}
        seen = watch(repo)
        seen.monitor.stop()
        assert {*threading.enumerate()} <= threads
        assert not seen.monitor.inotify_works
        repo.commit()
        assert seen.count == 0
        seen.monitor.start()
        assert seen.after(repo.commit)

    def test_removed_repository(self, tmp_path: Path, watch):
        repo = Repo(tmp_path / "r", bare=True)
        seen = watch(repo)
        assert seen.after(lambda: subprocess.run(["rm", "-rf", str(repo.path)], check=True))
        deadline = time.monotonic() + 20
        while seen.monitor.inotify_works and time.monotonic() < deadline:
            time.sleep(0.01)
        assert not seen.monitor.inotify_works
        assert "removed" in seen.monitor.reason

    def test_no_repository(self, tmp_path: Path):
        with pytest.raises(SourceError):
            GitMonitor(tmp_path, "main", lambda: None)


class TestCost:
    def test_idle_wakes_nobody(self, repo, watch):
        repo.commit()
        ours = set(tasks())
        seen = watch(repo)
        settle(seen)
        mine = set(tasks()) - ours
        assert mine
        deadline = time.monotonic() + 30  # on a busy host it may take a while to come to rest
        before: dict[str, int] = {}
        while (now := {task: switches(task) for task in mine}) != before:
            assert time.monotonic() < deadline
            before = now
            time.sleep(1.5)  # longer than any polling interval watchdog has had

    @pytest.mark.root
    def test_no_inotify_left(self, repo, tmp_path: Path):
        """In a user namespace with no inotify instances allowed: said, and nothing raised."""
        repo.commit()
        program = textwrap.dedent(f"""
            from pathlib import Path
            Path("/proc/sys/user/max_inotify_instances").write_text("0")
            from gitproc.source.git_monitor import GitMonitor
            monitor = GitMonitor(Path({str(repo.path)!r}), "main", lambda: None)
            monitor.start()
            print(monitor.inotify_works, monitor.reason)
            monitor.stop()
        """)
        done = subprocess.run(
            ["unshare", "--user", "--map-root-user", sys.executable, "-c", program],
            capture_output=True,
            text=True,
            timeout=50,
            check=False,
            cwd=Path(__file__).parents[2],
        )
        if "unshare" in done.stderr or "max_inotify_instances" in done.stderr:
            pytest.skip("no user namespaces here")
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith("False no inotify instance is left: raise sysctl")


def settle(seen: Watched) -> None:
    """Wait until no hint has come for a while."""
    while True:
        before = seen.count
        time.sleep(0.1)
        if seen.count == before:
            return


def tasks() -> list[str]:
    return [path.name for path in Path("/proc/self/task").iterdir()]


def switches(task: str) -> int:
    for line in Path(f"/proc/self/task/{task}/status").read_text().splitlines():
        if line.startswith("voluntary_ctxt_switches"):
            return int(line.split()[1])
    raise AssertionError(ctypes.get_errno())
