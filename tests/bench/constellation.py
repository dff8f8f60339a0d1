"""A daemon of one's own over a repository of tiny units: started, pushed to, watched from outside, ended."""

import contextlib
import os
import re
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from gitproc.api.client import Client
from tests.bench.floor import DEADLINE, Stamps
from tests.shim.client import children_of

PROJECT = Path(__file__).parents[2]
ENVIRONMENT = {"PATH": os.environ["PATH"], "GIT_CONFIG_GLOBAL": "/dev/null"}


def unit_text(program: Path, stamps: Path, name: str, *lines: str, enabled: bool = True) -> str:
    install = "[Install]\nWantedBy=multi-user.target\n" if enabled else ""
    extra = "".join(f"{line}\n" for line in lines)
    return (
        f"[Unit]\nDescription=Tiny service {name}\n\n"
        f"[Service]\nExecStart={program} {name} {stamps}\nRestart=always\nRestartSec=0\n"
        f"{extra}\n{install}"
    )


class Repository:
    """The services' repository, written by `git fast-import`; the branch moves by rename(2), as git does it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir(parents=True)
        self._git("init", "--quiet", "--bare", "--initial-branch=main")
        self._ref = path / "refs/heads/main"

    def _git(self, *words: str, data: bytes | None = None) -> str:
        done = subprocess.run(
            ["git", "-C", self.path, *words], input=data, capture_output=True, check=True,
            env=ENVIRONMENT,
        )  # fmt: skip
        return done.stdout.decode().strip()

    def commit(self, files: dict[str, str], parent: str = "") -> str:
        """A commit of these files (over `parent`'s) that no branch names yet."""
        parts = [b"commit refs/heads/next\ncommitter bench <bench@localhost> 1700000000 +0000\n"]
        parts.append(b"data 5\nbench\n")
        if parent:
            parts.append(f"from {parent}\n".encode())
        for path, text in files.items():
            data = text.encode()
            parts.append(b"M 100644 inline %s\ndata %d\n%s\n" % (path.encode(), len(data), data))
        self._git("fast-import", "--quiet", "--force", data=b"".join(parts))
        return self._git("rev-parse", "refs/heads/next")

    def move(self, sha: str) -> float:
        """Let the branch name `sha`; the instant it did."""
        lock = self._ref.with_name("main.lock")
        lock.write_text(sha + "\n")
        begun = time.monotonic()
        lock.rename(self._ref)
        return begun


class Constellation:
    """One daemon with its root, ended (with all it started) when the `with` is left."""

    def __init__(self, folder: Path, program: Path, stamps: Stamps) -> None:
        self.root = folder / "root"
        self.program = program
        self.stamps = stamps
        self.names: list[str] = []
        self.sha = ""
        self.repository = Repository(self.root / "etc/gitproc/services")
        self.shim = 0
        self.services_gone: float = 0.0

    def files(self, count: int, *lines: str, enabled: bool = True) -> dict[str, str]:
        """`count` units in folders of a hundred."""
        names = [f"u{number:05d}" for number in range(count)]
        return {
            f"d{number // 100:03d}/{name}.service": self.text(name, *lines, enabled=enabled)
            for number, name in enumerate(names)
        }

    def text(self, name: str, *lines: str, enabled: bool = True) -> str:
        return unit_text(self.program, self.stamps.path, name, *lines, enabled=enabled)

    def __enter__(self):
        log = self.root / "output"
        log.parent.mkdir(exist_ok=True)
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-c", _DAEMON, "daemon", "--root", self.root],
                stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                env={**os.environ, "PYTHONPATH": str(PROJECT)},
            )  # fmt: skip
        self.shim = self._process.pid
        self.wait_ready()
        return self

    def __exit__(self, *_):
        self.stop()

    def wait_ready(self) -> float:
        """Until the manager answers; the instant."""
        deadline = time.monotonic() + DEADLINE
        while True:
            try:
                with Client(str(self.root / "run/gitproc.sock")) as client:
                    client.call("ping")
                return time.monotonic()
            except Exception:
                assert time.monotonic() < deadline, (self.root / "output").read_text()
                assert self._process.poll() is None, (self.root / "output").read_text()
                time.sleep(0.002)

    def call(self, method: str, **params: Any) -> Any:
        with Client(str(self.root / "run/gitproc.sock"), DEADLINE) as client:
            return client.call(method, params)

    def start(self, count: int, *lines: str) -> float:
        """Push `count` units; seconds from the push to the exec of the last one that was not up."""
        return self.push(self.files(count, *lines))

    def push(self, files: dict[str, str]) -> float:
        """Push these units, in place of what was there; see `start`."""
        self.names = [path.partition("/")[2].removesuffix(".service") for path in files]
        begun = self.move(self.repository.commit(files))
        return self.stamps.wait(set(self.names) - self.stamps.pids.keys()) - begun

    def move(self, sha: str) -> float:
        """Let the branch name `sha`; the instant it did."""
        self.sha = sha
        return self.repository.move(sha)

    def settle(self) -> None:
        """Until the last push has its verdict and nothing is under way."""
        folder = self.root / "var/log/gitproc"
        verdict = re.compile(rb'"kind":"commit\.(good|failed|refused)".*' + self.sha.encode())
        deadline = time.monotonic() + DEADLINE
        while not (found := verdict.search(_all_of(folder, "events.log"))):
            assert time.monotonic() < deadline, f"no verdict on {self.sha}"
            time.sleep(0.2)
        assert found[1] == b"good", found[0]
        time.sleep(0.3)

    def processes(self) -> dict[str, int]:
        """Ours, by role."""
        found = {"shim": self.shim}
        for pid in children_of(self.shim):
            line = _command_line(pid)
            if b"gitproc-logger" in line:
                found["logger"] = pid
            elif b"gitprocd" in line:
                found["manager"] = pid
                found.update(("git", child) for child in children_of(pid))
        return found

    def kill_manager(self) -> tuple[float, float]:
        """Kill -9 it; the instants its successor has been exec'd and answers."""
        known = {*children_of(self.shim)}
        os.kill(self.processes()["manager"], signal.SIGKILL)
        deadline = time.monotonic() + DEADLINE
        while True:
            assert time.monotonic() < deadline, (self.root / "output").read_text()
            fresh = {*children_of(self.shim)} - known
            if any(b"gitprocd" in _command_line(pid) for pid in fresh):
                return time.monotonic(), self.wait_ready()
            time.sleep(0.001)

    def cpu_seconds(self) -> dict[str, float]:
        """CPU that each of ours has used so far."""
        return {role: _cpu(pid) for role, pid in self.processes().items()}

    def descriptors(self) -> dict[str, int]:
        return {
            role: len([*Path(f"/proc/{pid}/fd").iterdir()])
            for role, pid in self.processes().items()
        }

    def stop(self) -> float:
        """SIGTERM; seconds until the last service has ended. Returns when all of ours have, too."""
        if self._process.poll() is not None:
            return 0.0
        poll = select.epoll()
        fds = []
        for pid in self.stamps.pids.values():
            try:
                fds.append(os.pidfd_open(pid))
            except ProcessLookupError:
                continue
            poll.register(fds[-1], select.EPOLLIN)
        begun = last = time.monotonic()
        self._process.send_signal(signal.SIGTERM)
        left = len(fds)
        while left and time.monotonic() < begun + DEADLINE:
            for fd, _ in poll.poll(1.0):
                poll.unregister(fd)
                left -= 1
                last = time.monotonic()
        poll.close()
        for fd in fds:
            os.close(fd)
        self._process.wait(DEADLINE)
        assert left == 0, f"{left} services outlived the daemon"
        return last - begun


_DAEMON = "import sys; from gitproc.cli.main import main; sys.exit(main(sys.argv[1:]))"


def _command_line(pid: int) -> bytes:
    """As the kernel has it; empty for a process that is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""


def _all_of(folder: Path, name: str) -> bytes:
    """A log with what has been rotated away, newest first; nothing of one that is not there (yet)."""
    parts = []
    for path in sorted(folder.glob(f"{name}*")):
        with contextlib.suppress(FileNotFoundError):
            parts.append(path.read_bytes())
    return b"\n".join(parts)


def _cpu(pid: int) -> float:
    """Seconds on a CPU, of all threads."""
    return sum(
        int((task / "schedstat").read_text().split()[0]) / 1e9
        for task in Path(f"/proc/{pid}/task").iterdir()
    )
