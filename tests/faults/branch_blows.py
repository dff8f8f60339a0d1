"""What may befall a branch, and who changes it: see `blows.py`."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tests.e2e.harness import IDENTITY, until
from tests.faults.blows import manager_killed

if TYPE_CHECKING:
    from tests.faults.soak import Soak


def push(clone: Path) -> subprocess.CompletedProcess[bytes]:
    """Push what a clone has, however that comes out."""
    return subprocess.run(
        ["git", "push", "-q", "origin", "HEAD:main"],
        cwd=clone,
        env=IDENTITY,
        capture_output=True,
        umask=0o022,
        timeout=60,
        check=False,
    )


def repository_away(soak: Soak) -> None:
    """Moved, and moved back."""
    path = soak.machine.repository.path
    aside = path.with_name("aside")
    with soak.no_commits():
        path.rename(aside)
        try:
            soak.meanwhile(3)
            if soak.dice.random() < 0.4:
                manager_killed(soak)
        finally:
            if path.exists():  # by a git that was running: it makes the folders of a reference
                shutil.rmtree(path)
            aside.rename(path)
    soak.count("repository away")


def objects_away(soak: Soak) -> None:
    """The object database is empty for a while."""
    objects = soak.machine.repository.path / ".git/objects"
    aside = objects.with_name("aside")
    with soak.no_commits():
        objects.rename(aside)
        objects.mkdir()
        try:
            soak.meanwhile(3)
            if soak.dice.random() < 0.4:
                manager_killed(soak)
        finally:
            shutil.rmtree(objects)
            aside.rename(objects)
    soak.count("objects away")


def commit_damaged(soak: Soak) -> None:
    """The object of a new commit is garbage at first."""
    repository = soak.machine.repository
    with soak.no_commits():
        pid = soak.machine.manager
        os.kill(pid, signal.SIGSTOP)
        sha = soak.commit_change()
        loose = repository.path / ".git/objects" / sha[:2] / sha[2:]
        data = loose.read_bytes()
        loose.chmod(0o644)
        loose.write_bytes(soak.dice.randbytes(len(data)))
        os.kill(pid, signal.SIGCONT)
        try:
            soak.meanwhile(3)
        finally:
            loose.write_bytes(data)
    soak.count("commit damaged")


def burst(soak: Soak) -> None:
    """Fifty commits as fast as git makes them."""
    for _ in range(50):
        soak.commit_change()


def rollback_cut_off(soak: Soak) -> None:
    """The manager is killed while it goes back to an earlier commit; asked again, it does."""
    machine = soak.machine
    with soak.no_commits():
        soak.mend()
        target, wanted = machine.git("rev-parse", "HEAD"), dict(soak.wanted)
        for _ in range(soak.dice.randint(1, 3)):
            soak.commit_change()
        asked = soak.aside(machine.ask, "rollback", sha=target)
        time.sleep(soak.dice.random() * 0.15)
        manager_killed(soak)
        asked.exception()
        for name in [x for x in wanted if wanted[x] != soak.wanted[x]]:
            soak.wanted[name] = wanted[name]
            soak.allowed[name] += 1
        answer = machine.ask("rollback", sha=target)
        same = not machine.git("diff", "--name-only", "HEAD", target)
        assert same, f"not back at {target}: {answer}"
        assert not (left := machine.git("status", "--porcelain")), f"the rollback left {left}"
    soak.count("rollback cut off")


def push_cut_off(soak: Soak) -> None:
    """The manager is killed around a push, which is accepted then or changes nothing, and can be made again."""
    machine, dice = soak.machine, soak.dice
    clone = machine.root / "clone"
    with soak.no_commits():
        soak.mend()
        old = machine.git("rev-parse", "HEAD")
        machine.git("clone", "-q", str(machine.repository.path), str(clone), cwd=machine.root)
        for name, text in soak.changes([dice.choice(sorted(soak.wanted))]).items():
            (clone / name).write_text(text)
        machine.git("commit", "-q", "-a", "-m", "pushed", cwd=clone)
        new = machine.git("rev-parse", "HEAD", cwd=clone)

        pushed = soak.aside(lambda: push(clone).returncode)
        time.sleep(dice.random() * 0.6)
        manager_killed(soak)
        status = pushed.result()
        assert machine.git("rev-parse", "HEAD") == (new if status == 0 else old), status
        until(lambda: status == 0 or push(clone).returncode == 0, "a push is accepted")
        assert machine.git("rev-parse", "HEAD") == new
        shutil.rmtree(clone)
    soak.count("push cut off")
