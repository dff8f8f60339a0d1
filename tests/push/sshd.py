"""A real sshd on the loopback interface, and users that exist for a test alone."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.e2e.harness import DEADLINE, free_port, until

PROJECT = Path(__file__).parents[2]
SSHD = "/usr/sbin/sshd"

_LAUNCHER = """\
#!{python} -I
import sys
from gitproc.cli.main import main
sys.exit(main())
"""


def interpreter() -> str:
    """A Python of this version that users other than root can run."""
    mine = Path(sys.executable).resolve()
    for python in (mine, Path(f"/usr/bin/python3.{sys.version_info.minor}")):
        with suppress(OSError):
            folders = [python, *python.parents]
            if python.exists() and all(x.stat().st_mode & 0o001 for x in folders):
                return str(python)
    return ""


@contextmanager
def account(name: str, groups: list[str]) -> Iterator[str]:
    """A user with a home directory, who can log in by key."""
    home = Path(tempfile.mkdtemp(prefix="gitproc-home-"))
    options = ["-G", ",".join(groups)] if groups else []
    # "*" is no password; "!" would be a locked account, which sshd refuses
    subprocess.run(
        ["useradd", "-M", "-N", "-g", "nogroup", "-d", str(home), "-s", "/bin/sh", "-p", "*", *options, name],
        check=True,
    )  # fmt: skip
    try:
        shutil.chown(home, name)
        yield name
    finally:
        subprocess.run(["userdel", name], check=True, stderr=subprocess.DEVNULL)
        shutil.rmtree(home)


@contextmanager
def group(name: str) -> Iterator[str]:
    """A group of the system."""
    subprocess.run(["groupadd", name], check=True)
    try:
        yield name
    finally:
        subprocess.run(["groupdel", name], check=True)


class Sshd:
    """Listens on 127.0.0.1; one key opens every account. `ssh` is a command line that uses it."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.folder = folder
        folder.mkdir(mode=0o755)
        self.bin = folder / "bin"
        self.bin.mkdir()
        venv = folder / "venv"
        subprocess.run([interpreter(), "-m", "venv", "--without-pip", str(venv)], check=True)
        [packages] = venv.glob("lib/*/site-packages")
        (packages / "gitproc.pth").write_text(f"{PROJECT}\n{sysconfig.get_paths()['purelib']}\n")
        self.python = str(venv / "bin/python")
        launcher = self.bin / "gitproc"
        launcher.write_text(_LAUNCHER.format(python=self.python))
        launcher.chmod(0o755)
        for key in ("host", "user"):
            subprocess.run(
                ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / key)], check=True
            )
        shutil.copy(folder / "user.pub", folder / "authorized")
        (folder / "authorized").chmod(0o644)
        (folder / "sshd_config").write_text(
            f"ListenAddress 127.0.0.1\nPort {self.port}\nHostKey {folder}/host\nPidFile none\n"
            f"AuthorizedKeysFile {folder}/authorized\nStrictModes no\nUsePAM no\n"
            "PermitRootLogin yes\nPasswordAuthentication no\n"
            f"SetEnv PATH={self.bin}:/usr/local/bin:/usr/bin:/bin PYTHONDONTWRITEBYTECODE=1\n"
        )
        (folder / "ssh_config").write_text(
            f"Host *\nPort {self.port}\nHostName 127.0.0.1\nIdentityFile {folder}/user\n"
            "IdentitiesOnly yes\nBatchMode yes\nStrictHostKeyChecking no\nUserKnownHostsFile /dev/null\n"
            "LogLevel ERROR\n"
        )
        self.ssh = f"/usr/bin/ssh -F {folder}/ssh_config"
        # for `gitproc -H`, which runs the `ssh` it finds
        wrapper = self.bin / "ssh"
        wrapper.write_text(f'#!/bin/sh\nexec {self.ssh} "$@"\n')
        wrapper.chmod(0o755)
        self._separation = Path("/run/sshd")
        self._made = not self._separation.exists()
        self._separation.mkdir(mode=0o755, exist_ok=True)
        with (folder / "said").open("ab") as said:
            self._process = subprocess.Popen(
                [SSHD, "-D", "-e", "-f", str(folder / "sshd_config")],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=said,
                env={"PATH": os.environ["PATH"], **_mark()},
            )
        until(self._answers, "sshd answers")

    def _answers(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
        except OSError:
            return False
        return True

    @property
    def environment(self) -> dict[str, str]:
        """For git and for `gitproc -H`."""
        return {"GIT_SSH_COMMAND": self.ssh, "PATH": f"{self.bin}:{os.environ['PATH']}"}

    def close(self) -> None:
        """Stop listening; sessions end with their commands."""
        self._process.terminate()
        self._process.wait(DEADLINE)
        if self._made:
            with suppress(OSError):
                self._separation.rmdir()


def _mark() -> dict[str, str]:
    """What tells a test session's processes from others'."""
    return {k: v for k, v in os.environ.items() if k.startswith("GITPROC_TEST")}
