"""What every row is measured with: the tiny service, its stamps, and the supervisor reduced to system calls."""

import os
import select
import shutil
import signal
import statistics
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path

import pytest

SOURCE = Path(__file__).with_name("tiny.c")
F_SETPIPE_SZ = 1031
DEADLINE = 120.0  # seconds


def build(folder: Path) -> Path:
    """The tiny program, static. Skips where there is no C compiler."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("needs a C compiler")
    program = folder / "tiny"
    subprocess.run([compiler, "-O2", "-static", "-o", program, SOURCE], check=True)
    program.chmod(0o755)
    return program


class Stamps:
    """A FIFO into which each service says when it was exec'd: the instant is the service's, not ours."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "stamps"
        os.mkfifo(self.path, 0o666)
        self._fd = os.open(self.path, os.O_RDWR | os.O_NONBLOCK)
        import fcntl

        fcntl.fcntl(self._fd, F_SETPIPE_SZ, 1 << 20)
        self._rest = b""
        self.pids: dict[str, int] = {}

    def wait(self, names: Iterable[str]) -> float:
        """Until each of `names` has been exec'd since the last call; seconds of the last one's exec."""
        missing = set(names)
        last = 0.0
        deadline = time.monotonic() + DEADLINE
        while missing:
            assert time.monotonic() < deadline, (
                f"{len(missing)} never started: {sorted(missing)[:5]}"
            )
            if not select.select([self._fd], [], [], 1.0)[0]:
                continue
            *lines, self._rest = (self._rest + os.read(self._fd, 1 << 20)).split(b"\n")
            for line in lines:
                name, pid, nanoseconds = line.decode().split()
                self.pids[name] = int(pid)
                if name in missing:
                    missing.discard(name)
                    last = max(last, int(nanoseconds) / 1e9)
        return last

    def close(self) -> None:
        os.close(self._fd)
        self.path.unlink()


class Floor:
    """`tiny --keep N`: the same work without units, git, cgroups, logs, a journal, or any doubt."""

    def __init__(self, program: Path, stamps: Stamps, count: int) -> None:
        self.stamps = stamps
        self.names = [f"u{number:05d}" for number in range(count)]
        begun = time.monotonic()
        self.process = subprocess.Popen([program, "--keep", str(count), stamps.path])
        self.start_seconds = stamps.wait(self.names) - begun

    def restart_seconds(self, rounds: int) -> float:
        """Median of kill -9 to the replacement's exec."""
        return restart_seconds(self.stamps, self.names, rounds)

    def stop_seconds(self) -> float:
        """SIGTERM to the last one's end."""
        begun = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(DEADLINE)
        return time.monotonic() - begun

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.terminate()
        self.process.wait(DEADLINE)


def restart_seconds(stamps: Stamps, names: list[str], rounds: int) -> float:
    """Median of kill -9 to the replacement's exec, each service once, with a pause to come to rest."""
    times = []
    for name in names[:: max(1, len(names) // rounds)][:rounds]:
        begun = time.monotonic()
        os.kill(stamps.pids[name], signal.SIGKILL)
        times.append(stamps.wait([name]) - begun)
        time.sleep(0.02)
    return statistics.median(times)
