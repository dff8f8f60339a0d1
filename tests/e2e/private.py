"""A machine with a network of its own, and a /run, /etc, /var and /dev/log that end with it.

For daemons that use the system's paths and ports: nothing that they do meets what the host runs.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.e2e.harness import DEADLINE, Machine, Outcome, outcome

# Arguments: where to keep what is written, then the program to become.
_PRIVATE = """
import fcntl, os, socket, struct, subprocess, sys

def mount(kind, options, at):
    subprocess.run(["mount", "-t", kind, "-o", options, kind, at], check=True)

with socket.socket() as any:
    fcntl.ioctl(any, 0x8914, struct.pack("16sh14x", b"lo", 1 | 64))  # SIOCSIFFLAGS: up, running
mount("tmpfs", "mode=755", "/run")
os.mkdir("/run/lock")
os.chmod("/run/lock", 0o1777)
kept = sys.argv[1]
mount("tmpfs", "mode=755", kept)
for top in ("etc", "var", "dev"):
    for part in ("upper", "work", "held"):
        os.makedirs(f"{kept}/{top}/{part}")
    inner = ["pts", "shm"] if top == "dev" else []
    for name in inner:
        os.makedirs(f"{kept}/dev/held/{name}")
        subprocess.run(["mount", "--bind", f"/dev/{name}", f"{kept}/dev/held/{name}"], check=True)
    mount("overlay", f"lowerdir=/{top},upperdir={kept}/{top}/upper,workdir={kept}/{top}/work", f"/{top}")
    for name in inner:
        subprocess.run(["mount", "--move", f"{kept}/dev/held/{name}", f"/dev/{name}"], check=True)
with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as log:
    log.bind("/dev/log")  # nobody reads it
os.execv(sys.argv[2], sys.argv[2:])
"""


class PrivateMachine(Machine):
    """Its daemons see another network and other directories than the host; the rest is the host's."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        kept = self.root / "kept"
        kept.mkdir()
        unshare = ["unshare", "--net", "--mount", "--propagation", "private"]
        self.prefix = [*unshare, sys.executable, "-I", "-S", "-c", _PRIVATE, str(kept)]

    def inside(self, script: str, timeout: float = 2 * DEADLINE) -> Outcome:
        """Run a shell's script where the daemons run."""
        return outcome(self._inside(script), timeout)

    def follow_inside(self, script: str) -> subprocess.Popen[str]:
        """Run one there and leave it running, between pipes."""
        pipes = subprocess.PIPE
        return subprocess.Popen(self._inside(script), stdin=pipes, stdout=pipes, text=True)

    def _inside(self, script: str) -> list[str]:
        assert self.shim is not None
        enter = ["nsenter", "--net", "--mount", "--target", str(self.shim.pid)]
        return [*enter, "sh", "-c", script]

    def read(self, path: str) -> str:
        """A file as the daemons see it; empty if it is not there."""
        assert self.shim is not None
        try:
            return Path(f"/proc/{self.shim.pid}/root{path}").read_text()
        except FileNotFoundError:
            return ""
