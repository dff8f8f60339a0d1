"""Drives the machine from Python: builds of the package, and one run with its output."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).parents[2]
HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run went; `output` is what the commands in the guest wrote."""

    status: int
    output: str
    report: str


def unavailable() -> str:
    """Why there can be no machine here; "" if there can."""
    if os.geteuid() != 0:
        return "needs root"
    if os.uname().machine != "x86_64" or shutil.which("apt-get") is None:
        return "needs Debian on x86_64"
    return ""


def packages(*versions: str) -> Path:
    """A folder with builds of the Debian package, one for each version; made anew."""
    folder = Path(tempfile.mkdtemp(prefix="gitproc-debs-"))
    for version in versions:
        tool = [sys.executable, str(PROJECT / "tools/deb")]
        subprocess.run([*tool, "--version", version, "--out", str(folder)], check=True)
    return folder


def run(script: str, *options: object, timeout: int = 300) -> Outcome:
    """Boot and run a bash script as root beside the sources (/src); `options` are those of the `run` beside.

    `timeout` is seconds for the script.
    """
    command = [HERE / "run", "--timeout", timeout, "--src", PROJECT, *options]
    for left_out in (".venv", ".run", ".git", ".mypy_cache", ".ruff_cache", "dist"):
        command += ["--exclude", f"./{left_out}"]
    command += ["--", "bash", "-euc", script]
    done = subprocess.run(
        list(map(str, command)), capture_output=True, text=True, errors="replace", check=False
    )
    return Outcome(done.returncode, done.stdout, done.stderr)
