"""Inside the machine: the installed package with Debian's own Python packages, the oldest that are promised."""

import importlib
import importlib.metadata
import os
import pkgutil
import pty
import tomllib
from pathlib import Path

import gitproc

PROJECT = Path(__file__).parents[3]
DEBIAN = Path("/usr/lib/python3/dist-packages")
OURS = Path("/usr/lib/gitproc")
DEPENDENCIES = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]["dependencies"]


def test_the_lowest_versions_are_those_of_this_debian():
    for line in DEPENDENCIES:
        name, lowest = line.split(">=")
        if name == "cgroupspy":
            assert Path(str(importlib.import_module(name).__file__)).is_relative_to(OURS)
            continue
        found = importlib.metadata.distribution(name)
        assert Path(str(found.locate_file(""))) == DEBIAN
        assert found.version == lowest


def test_every_module_can_be_imported():
    assert Path(gitproc.__file__).resolve().is_relative_to(OURS)
    names = [found.name for found in pkgutil.walk_packages(gitproc.__path__, "gitproc.")]
    assert len(names) > 80
    for name in names:
        if "__main__" not in name and "gitprocd" not in name:
            importlib.import_module(name)
    importlib.import_module("pyroute2").IPRoute().close()


def test_a_terminal_gets_a_table():
    pid, terminal = pty.fork()
    if pid == 0:
        os.execve("/usr/bin/gitproc", ["gitproc", "doctor"], {"TERM": "xterm", "LC_ALL": "C.UTF-8"})
    text = b""
    try:
        while chunk := os.read(terminal, 65536):
            text += chunk
    except OSError:  # the other end is closed
        pass
    os.waitpid(pid, 0)
    os.close(terminal)
    assert b"cgroups" in text
    assert b"made, and the loopback is up" in text
    assert b"Traceback" not in text
    assert b"\x1b[" in text
