"""What may befall a machine: each blow strikes, lets life go on for a while, and leaves the host as it was.

Each is a function of a running `Soak`; `weights.py` has them all. Flags that a blow sets say what may be lost
in its round; what no flag names must hold.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.e2e.harness import alive, until

if TYPE_CHECKING:
    from tests.faults.soak import Soak


def manager_killed(soak: Soak) -> None:
    """kill -9, perhaps again while the next one comes back."""
    for _ in range(soak.dice.choice([1, 1, 1, 2, 3])):
        pid = soak.machine.kill_manager(wait=False)
        soak.count("manager killed")
        if soak.dice.random() < 0.5:
            soak.meanwhile(2)
    adopted(soak, pid)


def adopted(soak: Soak, old: int) -> None:
    """Wait for the manager after `old`, and measure from its start to its first answer."""
    until(lambda: soak.machine.manager != old, "there is another manager")
    began = time.monotonic()
    soak.machine.ready()
    soak.adopted(began)


def manager_steps_aside(soak: Soak) -> None:
    """SIGTERM to the manager alone."""
    pid = soak.machine.manager
    os.kill(pid, signal.SIGTERM)
    soak.meanwhile(2)
    adopted(soak, pid)


def manager_stands_still(soak: Soak) -> None:
    """SIGSTOP, life goes on without it, SIGCONT or SIGKILL."""
    pid = soak.machine.manager
    os.kill(pid, signal.SIGSTOP)
    soak.meanwhile(4)
    os.kill(pid, soak.dice.choice([signal.SIGCONT, signal.SIGKILL]))
    soak.machine.ready()


def logger_killed(soak: Soak) -> None:
    """kill -9 of the process that moves the lines."""
    for _ in range(soak.dice.choice([1, 2])):
        pid = soak.machine.logger
        os.kill(pid, signal.SIGKILL)
        soak.count("logger killed")
        soak.meanwhile(1)
        until(lambda old=pid: soak.machine.logger != old, "there is another")


def both_killed(soak: Soak) -> None:
    """Manager and logger at once."""
    manager, logger = soak.machine.manager, soak.machine.logger
    for pid in soak.dice.sample([manager, logger], 2):
        os.kill(pid, signal.SIGKILL)
    soak.count("manager killed")
    soak.count("logger killed")
    soak.meanwhile(2)
    adopted(soak, manager)
    until(lambda: soak.machine.logger != logger, "there is another logger")


def shim_killed(soak: Soak) -> None:
    """kill -9 of the parent of all; services run on, a newly started daemon adopts them."""
    machine, dice = soak.machine, soak.dice
    assert machine.shim is not None
    soak.exits_unseen = soak.unreachable = True
    manager = machine.manager
    soak.orphans.append(machine.logger)
    if how := dice.choice(["", "", "still", "dead"]):
        os.kill(manager, signal.SIGSTOP if how == "still" else signal.SIGKILL)
    before = soak.books.running()
    machine.shim.kill()
    machine.shim.wait()
    soak.count("shim killed")
    after = soak.books.running()
    for name, pids in before.items():
        gone = set(pids) - set(after.get(name, ()))
        assert not gone or soak.allowed[name], f"{name} {pids} ended with the shim"
    until(lambda: not alive(manager), "the orphaned manager ends")
    for name in soak.allowed:  # what was being made and was in no record yet is made anew
        soak.allowed[name] += 1
    soak.ends(dice.choice([0, 0, 1, 3]))
    began = time.monotonic()
    machine.start()
    soak.adopted(began)


def shim_replaced(soak: Soak) -> None:
    """The shim executes its program anew, in place."""
    pid = soak.machine.manager
    with suppress(OSError):  # hung up on: the manager is replaced too
        soak.machine.rpc("daemon-reexec")
    soak.count("shim re-executed")
    soak.meanwhile(2)
    adopted(soak, pid)


def daemon_restarted(soak: Soak) -> None:
    """SIGTERM to all, and a start."""
    soak.wait_for_verbs()
    soak.allow_all()
    soak.unreachable = True
    soak.machine.stop()
    assert not soak.books.running()
    soak.count("daemon restarted")
    soak.machine.start()


@contextmanager
def full(mount: Path, size: str) -> Iterator[None]:
    """A tmpfs has no room left."""
    until(
        lambda: _remount(mount, str(max(_used(mount), 4096))), f"{mount} is as large as its content"
    )
    try:
        yield
    finally:
        assert _remount(mount, size)


def _used(mount: Path) -> int:
    blocks = os.statvfs(mount)
    return (blocks.f_blocks - blocks.f_bfree) * blocks.f_frsize


def _remount(mount: Path, size: str) -> bool:
    """Refused if the content has grown meanwhile."""
    words = ["mount", "-o", f"remount,size={size}", str(mount)]
    return subprocess.run(words, check=False, capture_output=True).returncode == 0


def state_disk_full(soak: Soak) -> None:
    """No room for the journal."""
    soak.state_full = True
    with full(soak.machine.state, soak.STATE_SIZE):
        soak.meanwhile(5)
    soak.count("state disk full")

    def judged() -> dict[str, Any] | None:
        commit: dict[str, Any] = soak.machine.rpc("status")["commit"]
        return commit if not commit["deploying"] else None

    # What cannot be recorded is not started: a commit of that time fails, and is held back.
    if until(judged, "the last commit is judged")["failed"]:
        soak.allow_all(3)
        soak.count("commits tried again")
        soak.machine.rpc("apply")


def log_disk_full(soak: Soak) -> None:
    """No room for what services write: it may be lost, no more."""
    soak.lines_lost = soak.events_lost = True
    with full(soak.machine.logs, soak.LOG_SIZE):
        soak.meanwhile(5)
    soak.count("log disk full")


def state_cut(soak: Soak) -> None:
    """Journal or checkpoint end somewhere: what was recorded last is forgotten, what runs must be sorted out."""
    machine, dice = soak.machine, soak.dice
    soak.forgotten = soak.exits_unseen = soak.events_lost = True
    soak.allow_all(2)
    os.kill(machine.manager, signal.SIGSTOP)
    files = sorted([*machine.state.glob("journal.*"), *machine.state.glob("state.json")])
    for file in dice.sample(files, dice.randint(1, len(files))):
        size = file.stat().st_size
        at = dice.choice([dice.randrange(size + 1), max(0, size - dice.randrange(400))])
        os.truncate(file, at)
    soak.count("state cut")
    manager_killed(soak)


def state_taken(soak: Soak) -> None:
    """All files of the state directory are removed: the manager writes them anew, and nothing is forgotten."""
    state = soak.machine.state
    for path in [*state.iterdir()]:
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)  # it may be writing them by now
        else:
            path.unlink(missing_ok=True)
    soak.count("state taken")
    soak.meanwhile(3)
    files = ("lock", "state.json", "journal.*", "definitions/kept", "hooks/*")
    until(lambda: all(any(state.glob(x)) for x in files), "all is there again")
    manager_killed(soak)


def noise(soak: Soak) -> None:
    """Nonsense and floods on every socket, while life goes on."""
    dice, run = soak.dice, soak.machine.root / "run/gitproc"
    open_lines = []
    for _ in range(60):
        kind = dice.choice(["rpc", "rpc", "shim", "notify", "notify"])
        nonsense = dice.randbytes(dice.choice([0, 1, 16, 300, 5000, 60000]))
        with suppress(OSError):
            if kind == "notify":
                with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
                    line.settimeout(0.2)
                    words = dice.choice(
                        [nonsense, b"READY=1\nMAINPID=1", b"STOPPING=1", b"=\n==\n"]
                    )
                    for _ in range(dice.choice([1, 50])):
                        line.sendto(words, str(run / "notify"))
                continue
            stream = socket.SOCK_STREAM if kind == "rpc" else socket.SOCK_SEQPACKET
            line = socket.socket(socket.AF_UNIX, stream)
            line.settimeout(0.2)
            open_lines.append(line)
            line.connect(str(soak.machine.socket if kind == "rpc" else run / "shim.sock"))
            line.sendall(nonsense)
            if dice.random() < 0.5:
                line.sendall(
                    dice.choice([b"\n" * 1000, b"[" * 100_000 + b"\n", b'{"jsonrpc":"2.0"}\n'])
                )
        if dice.random() < 0.1:
            soak.meanwhile(1)
    for line in open_lines:
        line.close()
    soak.count("noise")


def clock_moved(soak: Soak) -> None:
    """The wall clock jumps, and back; only where the whole machine is ours (GITPROC_FAULTS_CLOCK=1)."""
    step = soak.dice.choice([-86400.0, -3.0, 5.0, 86400.0])
    time.clock_settime(time.CLOCK_REALTIME, time.time() + step)
    try:
        soak.meanwhile(4)
    finally:
        time.clock_settime(time.CLOCK_REALTIME, time.time() - step)
    soak.count("clock moved")
