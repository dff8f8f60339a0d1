"""A process of a service's user that exchanges a folder and a link, again and again, while root works there.

The user owns `theirs`, which the paths of the unit under test go through; root owns `outside`, where the links
lead, and in which nothing may ever happen.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

NOBODY = 65534
ROUNDS = 150
SECONDS = 1.0
SECRET = "PASSWORD=hunter2"
#: Arguments: where links lead, and folders. Whatever of their entries is missing is made anew.
_ATTACK = """
import ctypes, os, socket, sys
outside, *folders = sys.argv[1:]
os.setgroups([]); os.setgid(65534); os.setuid(65534)
print("ready", flush=True)
libc, parent = ctypes.CDLL(None), os.getppid()
def exchange(a, b):
    return libc.renameat2(-100, a.encode(), -100, b.encode(), 2)
def again(make, *args):
    try: make(*args)
    except OSError: pass
def node():
    sock = socket.socket(socket.AF_UNIX)
    sock.bind("node"); sock.listen(); sock.setblocking(False)
    kept.append(sock); del kept[:-3]
def accept(sock):
    while True: sock.accept()[0].close()
kept = []
while os.getppid() == parent:
    for folder in folders * 100:
        try: os.chdir(folder)
        except OSError: continue
        if exchange("a", "b"):
            again(os.mkdir, "a"); again(os.symlink, outside, "b")
        if exchange("file", "link"):
            again(lambda: os.close(os.open("file", os.O_CREAT | os.O_WRONLY, 0o644)))
            again(os.symlink, outside + "/secret", "link")
        if exchange("node", "to-node"):
            again(node); again(os.symlink, outside + "/node", "to-node")
        for sock in kept: again(accept, sock)
"""


class Place:
    """`theirs` and `outside`, side by side, and what holds of the latter."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.theirs, self.outside = base / "theirs", base / "outside"
        self.theirs.mkdir()
        os.chown(self.theirs, NOBODY, NOBODY)
        (self.outside / "x").mkdir(parents=True)
        (self.outside / "x" / "y").write_text("deep\n")
        for name, text in (("secret", SECRET), ("pid", "1\n"), ("log", "logged\n")):
            (self.outside / name).write_text(text)
            (self.outside / name).chmod(0o600)
        (self.outside / "ln").symlink_to("secret")
        os.mkfifo(self.outside / "fifo", 0o600)
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(self.outside / "node"))
        self.listener.listen()
        self.listener.setblocking(False)
        self._before = self._fingerprint()

    def _fingerprint(self) -> list[tuple[object, ...]]:
        """Everything in `outside` that somebody could have touched."""
        found: list[tuple[object, ...]] = []
        for path in sorted((self.outside, *self.outside.rglob("*"))):
            info = path.lstat()
            content = path.read_bytes() if stat.S_ISREG(info.st_mode) else b""
            found.append((
                str(path), info.st_ino, info.st_mode, info.st_uid, info.st_gid, info.st_mtime_ns,
                info.st_ctime_ns, hashlib.sha256(content).hexdigest(),
            ))  # fmt: skip
        return found

    def untouched(self) -> None:
        """Fail if anything outside is not as it was, or somebody was connected to what listens there."""
        assert self._fingerprint() == self._before
        with suppress(BlockingIOError):
            self.listener.accept()
            raise AssertionError("root was led to a socket outside")

    def close(self) -> None:
        self.listener.close()


@contextmanager
def place() -> Iterator[Place]:
    """A place that every user can walk through (pytest's own folders are private)."""
    base = Path(tempfile.mkdtemp(prefix="gitproc-hostile-"))
    base.chmod(0o755)
    found = Place(base)
    try:
        yield found
    finally:
        found.close()
        shutil.rmtree(base)


@contextmanager
def attacked(there: Place, *folders: str) -> Iterator[None]:
    """The attack goes on meanwhile, in `theirs` or in other folders."""
    targets = folders or (str(there.theirs),)
    command = [sys.executable, "-I", "-S", "-c", _ATTACK, str(there.outside), *targets]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as attack:
        assert attack.stdout is not None
        try:
            assert attack.stdout.readline() == "ready\n"
            yield
        finally:
            assert attack.poll() is None, "the attack went on all the time"
            attack.kill()


def under_attack(there: Place, act: Callable[[], object]) -> int:
    """Do something many times under attack; how often it did not fail with an OSError."""
    went_well = rounds = 0
    with attacked(there):
        until = time.monotonic() + SECONDS
        while rounds < ROUNDS or time.monotonic() < until:
            rounds += 1
            with suppress(OSError):
                act()
                went_well += 1
    there.untouched()
    return went_well
