"""The rules of the house that no other tool checks: purity, size, one door per package, names, public text."""

import ast
import re
import statistics
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[1]
PACKAGE = PROJECT / "gitproc"
SOURCES = sorted(path.relative_to(PROJECT) for path in PACKAGE.rglob("*.py"))
LONGEST = 400  # lines of one file
PURE = ("core", "units")
IMPURE = {  # `signal` is pure as long as only its numbers are used
    "asyncio", "ctypes", "fcntl", "glob", "io", "logging", "multiprocessing", "os", "pathlib",
    "pwd", "grp", "random", "secrets", "select", "selectors", "shutil", "socket",
    "subprocess", "tempfile", "threading", "time", "urllib", "uuid",
}  # fmt: skip
DOORS = {
    "git": {"source/gitpython.py"},
    "watchdog": {"source/git_monitor.py"},
    "psutil": {"kernel/processes.py"},
    "pyroute2": {"kernel/namespaces.py"},
    "cgroupspy": {"kernel/cgroup_v1.py"},
    "tomli": {"daemon/config.py"},
    "rich": {"cli/render.py"},
}
EDGES = ("api", "kernel", "health", "source", "store")
DATA_OF_CORE = {
    "gitproc.core.actions",
    "gitproc.core.checked",
    "gitproc.core.events",
    "gitproc.core.host_unit",
    "gitproc.core.occasions",
    "gitproc.core.socket_events",
    "gitproc.core.socket_orders",
    "gitproc.core.states",
}


def imports(path: Path) -> list[str]:
    """Every module a file imports, wherever in it, but for type checkers only ones too."""
    found = []
    for node in ast.walk(ast.parse((PROJECT / path).read_bytes())):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            module = node.module or ""
            if module in ("gitproc", "gitproc.core"):
                found += [f"{module}.{alias.name}" for alias in node.names]
            else:
                found.append(module)
    return found


def layer(path: Path) -> str:
    return path.parts[1]


def own(path: Path) -> str:
    return path.relative_to("gitproc").as_posix()


@pytest.mark.parametrize("path", SOURCES, ids=own)
def test_what_a_file_may_import(path):
    names = imports(path)
    roots = {name.partition(".")[0] for name in names}
    for package in DOORS.keys() & roots:
        assert own(path) in DOORS[package], (
            f"{package} is imported by {sorted(DOORS[package])} alone"
        )
    assert roots <= sys.stdlib_module_names | {"gitproc"} | DOORS.keys()
    if layer(path) in PURE:
        assert not roots & IMPURE
        assert not roots & DOORS.keys()
    if layer(path) in EDGES:
        core = {name for name in names if name.startswith("gitproc.core")}
        assert core <= DATA_OF_CORE, "edges know core's data, not its decisions"


def test_files_are_of_one_idea():
    lengths = {own(path): len((PROJECT / path).read_text().splitlines()) for path in SOURCES}
    print(f"{len(lengths)} files, {sum(lengths.values())} lines")
    print(f"median {statistics.median(lengths.values()):.0f}, longest {max(lengths.values())}")
    assert {name: n for name, n in lengths.items() if n > LONGEST} == {}
    vague = re.compile(r"(^|_)(utils?|helpers?|common|misc)\.py$")
    assert [name for name in lengths if vague.search(Path(name).name)] == []


def test_what_makes_a_pattern_is_said_in_one_place():
    said = [own(path) for path in SOURCES if '"*?["' in (PROJECT / path).read_text()]
    assert said == ["units/wildcards.py"]


def test_every_dependency_has_a_door_and_every_door_a_dependency():
    import tomllib

    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    named = {re.split(r"[<>=~!\[; ]", line)[0].lower() for line in project["dependencies"]}
    assert named == {"gitpython" if door == "git" else door for door in DOORS}


def test_public_text_is_of_the_project_alone():
    """No path of the machine it was written on, no tool's trail."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=PROJECT, capture_output=True, text=True, check=False
    )
    if listed.returncode:
        pytest.skip("not a git work tree")
    trail = re.compile(r"(?<![\w/.])/(?:work/|root/\.)|(?<![\w/.])shared/")
    found = []
    for name in filter(None, listed.stdout.split("\0")):
        path = PROJECT / name
        if path == Path(__file__) or path.is_symlink() or not path.is_file():
            continue
        try:
            text = path.read_text()
        except UnicodeDecodeError:
            continue
        found += [
            f"{name}:{n}: {line.strip()[:80]}"
            for n, line in enumerate(text.splitlines(), 1)
            if trail.search(line)
        ]
    assert found == []
