"""Unit files as Debian ships them, one by one through `verify`: how many pass, and by which directive others fail.

Reads what is installed here (/lib/systemd/system) and what `tools/corpus` fetched; without either there is
nothing to measure. Links are left out: they are further names of units.
"""

import os
from collections import Counter
from pathlib import Path

import pytest

from gitproc.daemon.compiling import compile_commit
from gitproc.source.reading import TreeChange
from gitproc.units.diagnostics import Diagnostic
from gitproc.units.loader import LoadOptions, SourceFile
from gitproc.units.names import is_valid_name
from gitproc.units.specifiers import Host
from tests.bench.report import detail, row

INSTALLED = Path("/lib/systemd/system")
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
FETCHED = Path(os.environ.get("GITPROC_CORPUS") or CACHE / "gitproc-corpus")
KINDS = (".service", ".socket", ".timer", ".path", ".target", ".slice")
FLOORS = {"*": 0.97, "": 0.75}  # of services; goals, once every directive they use is done or named
pytestmark = pytest.mark.bench


def corpus() -> dict[str, Path]:
    """Unit files by name; of one name in several packages, the installed one."""
    found: dict[str, Path] = {}
    for top in (INSTALLED, *(sorted(FETCHED.iterdir()) if FETCHED.is_dir() else ())):
        for path in sorted(top.glob("*")):
            if path.suffix in KINDS and path.is_file() and not path.is_symlink():
                if is_valid_name(path.name) and path.stat().st_size:
                    found.setdefault(path.name, path)
    return found


def errors(path: Path, allowed: str) -> list[Diagnostic]:
    file = SourceFile(path.name, str(path), path.read_bytes())
    options = LoadOptions(frozenset({allowed} - {""}))
    change = TreeChange({file.path: file}, True, ())
    return compile_commit(change, None, Host(machine_id="0" * 32), options, partial=True).errors


def test_corpus():
    files = corpus()
    if not files:
        pytest.skip("no unit files here: run tools/corpus")
    for kind in KINDS:
        paths = [path for name, path in files.items() if name.endswith(kind)]
        if not paths:
            continue
        for allowed, goal in FLOORS.items():
            passed, blame = 0, Counter[str]()
            samples: dict[str, str] = {}
            for path in paths:
                found = errors(path, allowed)
                passed += not found
                blame.update({one.directive or one.message for one in found})
                for one in found:
                    samples.setdefault(one.directive or one.message, str(one))
            what = f"{len(paths)} {kind[1:]} units, " + (
                "nothing need be enforced" if allowed else "as configured by default"
            )
            row(
                what, f"{passed / len(paths):.1%} accepted ({passed})",
                goal=f"{goal:.0%}" if kind == ".service" else "-", command="corpus",
            )  # fmt: skip
            for name, count in blame.most_common(60):
                detail(f"{count:4} {name:28} {samples[name][:150] if allowed else ''}")
