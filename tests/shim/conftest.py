from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from tests.shim.client import NOBODY, SHIM, Shim


@pytest.fixture
def shims(tmp_path):
    """Starts shims in a directory of the test, and ends them."""
    running: list[Shim] = []

    def start(*arguments, **options):
        shim = Shim(options.pop("directory", tmp_path), *arguments, **options)
        running.append(shim)
        return shim

    yield start
    for shim in running:
        shim.end()


@pytest.fixture
def shim(shims):
    return shims()


@pytest.fixture
def client(shim):
    return shim.connect()


@pytest.fixture
def user_shim(shims):
    """A shim of an ordinary user: ours, or nobody's if we are root."""
    if os.geteuid():
        yield shims()
        return
    python = "/usr/bin/python3"  # one that nobody may execute
    check = [python, "-c", "import sys; sys.exit(sys.version_info < (3, 11))"]
    if not Path(python).exists() or subprocess.run(check, check=False).returncode:
        pytest.skip("no interpreter that an ordinary user can run")
    directory = Path(tempfile.mkdtemp(prefix="gitproc-user-"))
    shutil.copytree(SHIM, directory / "shim", ignore=shutil.ignore_patterns("__pycache__"))
    directory.chmod(0o755)
    os.chown(directory, NOBODY, NOBODY)
    options = {"user": NOBODY, "group": NOBODY, "extra_groups": []}
    shim = shims(directory=directory, python=python, code=directory / "shim", **options)
    yield shim
    shim.end()
    shutil.rmtree(directory)
