"""Drives the machine from Python: a folder of wheels filled once, the image, and one run with its output."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).parents[2]
HERE = Path(__file__).parent
CACHE = Path(os.environ.get("GITPROC_VM_CACHE", Path.home() / ".cache/gitproc-vm"))
GUEST_PYTHON = (3, 11)
TO_BUILD = ("setuptools", "wheel")

#: In the guest: a virtual environment at /venv with the project, its tests' packages and the launcher.
INSTALL = """\
python3 -m venv /venv
/venv/bin/pip install -q setuptools wheel pytest pytest-timeout hypothesis
/venv/bin/pip install -q --no-build-isolation /src
(cd / && /venv/bin/python -m gitproc.cli.launcher >/dev/null)
ln -sf /venv/bin/gitproc /usr/bin/gitproc
"""


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
    if sys.version_info[:2] != GUEST_PYTHON:
        return "wheels have to be for the guest's Python, " + ".".join(map(str, GUEST_PYTHON))
    return ""


def wheels() -> Path:
    """A folder with what the project and its tests need, for the guest's Python; filled at the first call."""
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    wanted = sorted(
        {*project["dependencies"], *project["optional-dependencies"]["test"], *TO_BUILD}
    )
    folder = CACHE / f"wheels-{hashlib.sha256(chr(10).join(wanted).encode()).hexdigest()[:12]}"
    if not folder.exists():
        partial = folder.with_name(f"{folder.name}.{os.getpid()}")
        command = [sys.executable, "-m", "pip", "wheel", "-q", "--retries", "5", "-w", str(partial)]
        subprocess.run([*command, *wanted], check=True, timeout=600)
        partial.rename(folder)
    return folder


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


def run_tests(*files: str, timeout: int = 300) -> Outcome:
    """Run test files of `inside/` in the guest, with the project and its tests' packages from pip."""
    paths = " ".join(f"tests/vm/inside/{name}" for name in files)
    script = f"{INSTALL}/venv/bin/pytest -p no:cacheprovider -v -s --tb=short {paths}"
    return run(script, "--wheels", wheels(), timeout=timeout)
