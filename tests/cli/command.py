"""Runs the command as people do: the launcher script (fast path first), or the slow path alone."""

import os
import pty
import select
import subprocess
import sys
from pathlib import Path

from gitproc.cli import launcher

_SLOW = "import sys; from gitproc.cli.main import slow; sys.exit(slow(sys.argv[1:]))"
_PROJECT = str(Path(launcher.__file__).parents[2])


class Command:
    """`gitproc` with the environment a test gives it. `script` is a launcher made for this interpreter."""

    def __init__(self, folder: Path, **environment):
        self.script = launcher.install(folder / "gitproc")
        self.environment = {"PATH": os.environ["PATH"], "TZ": "UTC", "TERM": "xterm", **environment}

    def words(self, *words, slow=False):
        if slow:
            return [sys.executable, "-c", _SLOW, *map(str, words)]
        return [str(self.script), *map(str, words)]

    def __call__(self, *words, slow=False, cwd=None):
        return subprocess.run(
            self.words(*words, slow=slow), capture_output=True, timeout=50, check=False, cwd=cwd,
            env={**self.environment, **({"PYTHONPATH": _PROJECT} if slow else {})},
        )  # fmt: skip

    def into(self, file, *words, slow=False):
        """With standard output into a file."""
        with Path(file).open("wb") as out:
            return subprocess.run(
                self.words(*words, slow=slow), stdout=out, stderr=subprocess.PIPE, timeout=50,
                check=False, env={**self.environment, **({"PYTHONPATH": _PROJECT} if slow else {})},
            )  # fmt: skip

    def on_terminal(self, *words, slow=False):
        """Exit status and what a terminal of 80 columns got."""
        ours, theirs = pty.openpty()
        import fcntl
        import struct
        import termios

        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("4H", 24, 80, 0, 0))
        process = subprocess.Popen(
            self.words(*words, slow=slow), stdin=theirs, stdout=theirs, stderr=theirs,
            env={**self.environment, **({"PYTHONPATH": _PROJECT} if slow else {})},
        )  # fmt: skip
        os.close(theirs)
        out = b""
        try:
            while select.select([ours], [], [], 30)[0]:
                try:
                    data = os.read(ours, 65536)
                except OSError:  # EIO: the other end is closed
                    break
                out += data
        finally:
            os.close(ours)
        return process.wait(30), out.replace(b"\r\n", b"\n")
