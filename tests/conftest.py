"""What holds for every test: what is skipped where, names of their own, and nothing left behind.

A test session marks its environment. When it is over, no process with that mark or working in its temporary
directory may run, no mount may show that directory, and no empty cgroup of GitProc's may be there that was
not before. A leftover fails the session.
"""

from __future__ import annotations

import itertools
import os
import shutil
import time
from pathlib import Path

import hypothesis
import pytest

MARK = "GITPROC_TEST_SESSION"
CGROUPS = Path("/sys/fs/cgroup")
DEADLINE = 30.0  # seconds that processes on their way out are given

# The same examples in every run: a failure belongs to the change that is tested. Look further with
# HYPOTHESIS_PROFILE=deep.
_PATIENT = hypothesis.settings(
    deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.register_profile(
    "ci", _PATIENT, derandomize=True, max_examples=60, database=None
)
hypothesis.settings.register_profile("deep", _PATIENT, max_examples=2000)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


def pytest_collection_modifyitems(config, items):
    reasons = {}
    if os.geteuid() != 0:
        reasons = dict.fromkeys(("root", "vm", "debian"), "needs root")
    elif shutil.which("apt-get") is None:
        reasons["debian"] = "needs Debian"
    for item in items:
        for mark, reason in reasons.items():
            if item.get_closest_marker(mark):
                item.add_marker(pytest.mark.skip(reason=reason))
    if "bench" not in config.getoption("-m"):
        measured = [item for item in items if item.get_closest_marker("bench")]
        config.hook.pytest_deselected(items=measured)
        items[:] = [item for item in items if not item.get_closest_marker("bench")]


@pytest.fixture(scope="session")
def _numbers():
    return itertools.count(1)


@pytest.fixture
def unique(_numbers) -> str:
    """A name that no other test, session or service on this machine has."""
    return f"gitproc-test-{os.getpid()}-{next(_numbers)}"


def pytest_configure(config):
    if not hasattr(config, "workerinput"):
        os.environ[MARK] = f"{os.getpid()}-{time.time_ns()}"
        config.stash[_BEFORE] = _cgroups()


_marks: set[str] = set()  # of the tests that have run


def pytest_runtest_logreport(report):
    _marks.update(report.keywords)


_BEFORE = pytest.StashKey[set[Path]]()
_LEFT = pytest.StashKey[list[str]]()


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session):
    config = session.config
    if hasattr(config, "workerinput") or _BEFORE not in config.stash:
        return
    factory = getattr(config, "_tmp_path_factory", None)
    base = str(factory._basetemp) if factory is not None and factory._basetemp else "\0"
    deadline = time.monotonic() + DEADLINE
    while left := _leftovers(base, config.stash[_BEFORE]):
        if time.monotonic() > deadline:
            break
        time.sleep(0.1)
    config.stash[_LEFT] = left
    if left and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter, config):
    for line in config.stash.get(_LEFT, []):
        terminalreporter.write_line(f"LEFT BEHIND: {line}", red=True)


def _leftovers(base: str, before: set[Path]) -> list[str]:
    processes = _processes(base)
    found = [f"process {pid}: {line}" for pid, line in processes.items()]
    found += [
        f"mount {line.split()[1]}"
        for line in Path("/proc/self/mounts").read_text().splitlines()
        if base in line
    ]
    now = _cgroups() if "root" in _marks else set()  # nobody else of us makes groups
    for group in now - before:
        same = [other for other in now if other.name == group.name]  # of every hierarchy
        try:
            within = [x.read_text().split() for it in same for x in it.rglob("cgroup.procs")]
        except OSError:
            continue
        pids = {int(pid) for some in within for pid in some}
        if not pids or pids & processes.keys():  # others' tests have groups as well
            found.append(f"cgroup {group}")
    return found


def _processes(base: str) -> dict[int, str]:
    """Running processes of this session (not ourselves), with their command lines."""
    mark = f"{MARK}={os.environ[MARK]}".encode()
    found = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal() or int(entry.name) == os.getpid():
            continue
        try:
            line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            if not line:
                continue  # a zombie, which is its parent's, or a thread of the kernel
            environment = (entry / "environ").read_bytes().split(b"\0")
            if (
                mark in environment
                or base in line
                or (entry / "cwd").readlink().is_relative_to(base)
            ):
                found[int(entry.name)] = line
        except OSError:
            continue  # ended meanwhile, or not ours
    return found


def _cgroups() -> set[Path]:
    """Every group that is named after us (os.walk lets groups vanish under its feet)."""
    walk = os.walk(CGROUPS)
    return {Path(top, name) for top, names, _ in walk for name in names if "gitproc" in name}
