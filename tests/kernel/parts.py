"""Units, groups and processes for the tests of the kernel layer."""

from __future__ import annotations

import asyncio
import ctypes
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import pytest

from gitproc.errors import HostError
from gitproc.kernel import processes
from gitproc.kernel.cgroup_layout import Kind, Layout, detect
from gitproc.kernel.disks import disk_of
from gitproc.kernel.resource_controller import ResourceController
from gitproc.units.diagnostics import Diagnostic, Location
from gitproc.units.specifiers import Host
from gitproc.units.unit import Setting, Unit

DEADLINE = 60.0
SPIN = [sys.executable, "-I", "-S", "-c", "while True: pass"]
SLEEP = [sys.executable, "-I", "-S", "-c", "import time; time.sleep(1000)"]
#: Leaves its parent and its session behind, as a daemon does; prints the pid of what is left.
_ESCAPE = """
import os, time
if os.fork(): os._exit(0)
os.setsid()
parent = os.getpid()
if os.fork(): os._exit(0)
while os.getppid() == parent: time.sleep(0.001)
print(os.getpid(), flush=True)
os.close(1)
time.sleep(1000)
"""
ESCAPE = [sys.executable, "-I", "-S", "-c", _ESCAPE]


def unit(text: str, name: str = "test.service") -> Unit:
    """A service made of the assignments of `text`, and an ExecStart= if it has none."""
    if "ExecStart=" not in text:
        text = f"ExecStart=/bin/true\n{text}"
    settings = []
    for line, assignment in enumerate(text.splitlines(), 1):
        if assignment:
            key, _, value = assignment.partition("=")
            settings.append(Setting(f"Service.{key}", value, *Location(name, line)))
    problems: list[Diagnostic] = []
    made = Unit(name, name, settings, Host(), diagnostics=problems)
    assert not problems, problems
    return made


def on_disk(path: Path, size: int) -> Path:
    """Make a file that is written down and can be read around the cache; without a disk the test is left out."""
    path.write_bytes(os.urandom(size))
    with path.open("rb") as held:
        os.fsync(held.fileno())
    try:
        disk_of(str(path))
        os.close(os.open(path, os.O_RDONLY | os.O_DIRECT))
    except (HostError, OSError) as error:
        pytest.skip(f"no disk: {error}")
    return path


def be_subreaper(wanted: bool) -> None:
    """Orphans come to this process, as they come to the shim."""
    ctypes.CDLL(None).prctl(36, int(wanted), 0, 0, 0)


def until(condition: Callable[[], object], what: str = "", deadline: float = DEADLINE) -> None:
    """Wait for a condition; fail after the deadline."""
    end = time.monotonic() + deadline
    while not condition():
        assert time.monotonic() < end, f"waited in vain: {what}"
        time.sleep(0.005)


def state_of(pid: int) -> str:
    """The state letter of a process; "" if it is gone."""
    found = processes.stat(pid)
    return "" if found is None else found.state


async def soon(condition: Callable[[], object], what: str = "") -> None:
    """As `until`, while the loop runs."""
    end = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < end, f"waited in vain: {what}"
        await asyncio.sleep(0.005)


class Bench:
    """A controller with a base of its own, and processes started into its groups as the shim does it."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.name = f"gitproc-test-{os.getpid()}-{time.monotonic_ns()}"
        self.controller = ResourceController(layout, os.getpid(), self.name)
        self.controller.prepare()
        be_subreaper(True)
        self.children: list[subprocess.Popen[str]] = []

    def another(self) -> ResourceController:
        """A controller of the same base, as a manager that starts anew has it."""
        again = ResourceController(self.layout, os.getpid(), self.name)
        again.prepare()
        return again

    def start(
        self, name: str, argv: list[str], invocation: str = "0" * 32
    ) -> subprocess.Popen[str]:
        """Start a process in the unit's group."""
        paths = self.controller.paths(name)
        files = [*paths.procs]
        if paths.directory:
            files.append(f"{paths.directory}/cgroup.procs")

        def join() -> None:
            for path in files:
                Path(path).write_text("0")

        child = subprocess.Popen(
            argv,
            preexec_fn=join,  # noqa: PLW1509 - one thread here
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
            env={"INVOCATION_ID": invocation, "PATH": "/usr/bin:/bin"},
        )
        self.children.append(child)
        self.controller.attach(name, invocation, child.pid)
        return child

    def text(self, name: str, v2_file: str, v1_controller: str, v1_file: str) -> str:
        """A control file of the unit, from whichever hierarchy has it."""
        paths = self.controller.paths(name)
        if paths.directory and Path(paths.directory, v2_file).exists():
            return Path(paths.directory, v2_file).read_text().strip()
        for path in map(Path, paths.procs):
            if v1_controller in str(path.parents[2]).replace(",", "/").split("/"):
                return (path.parent / v1_file).read_text().strip()
        return ""

    def close(self) -> None:
        """Leave nothing behind."""
        for name in self.controller.existing():
            self.controller.kill(name, 9)
        for child in self.children:
            with suppress(ProcessLookupError):
                child.kill()
            child.wait()
            if child.stdout:
                child.stdout.close()
        with suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        be_subreaper(False)
        for name in self.controller.existing():
            until(partial(self.controller.is_empty, name), f"{name} is empty")
        for name in self.controller.existing():
            until(partial(self.controller._removal.unit, name), f"{name} is removed")
        self.controller.remove_base()
        self.controller.close()


def layouts() -> dict[str, Layout]:
    """The layouts this machine can show."""
    native = detect()
    found = {str(native.kind): native}
    if native.kind is Kind.HYBRID:
        found["v1"] = detect(v2=False)
        found["v2 without controllers"] = detect(v1=False)
    found["none"] = Layout(Kind.NONE, reason="left out for a test")
    return found


@contextmanager
def bench(layout: Layout) -> Iterator[Bench]:
    """A bench that is cleared away afterwards."""
    made = Bench(layout)
    try:
        yield made
    finally:
        made.close()


@contextmanager
def bench_with(controller: str) -> Iterator[Bench]:
    """A bench on the machine's own layout, where that has a controller; else the test is left out."""
    layout = layouts().get("v2") or layouts().get("hybrid")
    if layout is None or layout.kind is Kind.NONE or os.geteuid() != 0:
        pytest.skip("no cgroups")
    with bench(layout) as found:
        if not found.controller._limits.has(controller):
            pytest.skip(f"no {controller} controller")
        yield found
