"""Directives taken out, one by one, to prove that the test which a census names for each of them bites.

`python -m tests.dropped [PATTERN...]` copies the project, puts a seam into the copy that leaves out every line
of one directive, for the test as for the daemons that it starts, and runs the test: it has to fail. PATTERN: a
section, a directive or both (`Socket`, `Nice`, `Service.Limit*`), or a part of a test's name.

Not covered: what the virtual machine shows, what is tried without a unit, and what this machine skips; the summary
names them.
"""

from __future__ import annotations

import fnmatch
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterable, Iterator
from enum import Enum
from pathlib import Path
from typing import NamedTuple

from tests import test_census, test_census_of_life

ROOT = Path(__file__).parents[1]
PLACE = ROOT / ".run" / "dropped"
DEADLINE = 600.0  # seconds for one run of pytest, which has deadlines of its own
PATIENCE = (
    12.0  # seconds; what is left out is mostly waited for in vain, so the copy's tests wait less
)
#: At the end of the copy's `units/assignments.py`, through which all that units say goes, read from files or not.
#: Beside it lie what to leave out, and that something was; the built-in targets (line 0) keep all they have.
SEAM = """

def _leave_out() -> None:
    from contextlib import suppress
    from pathlib import Path

    whole, here = Assignments.__init__, Path(__file__)
    dropped = {*here.with_name("dropped").read_text().split()}

    def made(self, assigned, lines, files):
        kept = [n for n, (key, _) in enumerate(assigned) if key not in dropped or not lines[n]]
        if len(kept) < len(assigned):
            with suppress(OSError):
                here.with_name("met").touch()
            if not isinstance(files, str):
                files = tuple(files[n] for n in kept)
        whole(self, tuple(assigned[n] for n in kept), tuple(lines[n] for n in kept), files)

    Assignments.__init__ = made


_leave_out()
"""


class Case(NamedTuple):
    """A directive, by its keys of the table (in each section that has it), and the test named for it."""

    directive: str
    keys: tuple[str, ...]
    test: str


class Verdict(Enum):
    """What a test says to a directive that is not there; the best that a test has to say counts."""

    NOTICED = "noticed"
    BROKEN = "FAILS ANYWAY"
    ELSEWHERE = "in the VM"
    SKIPPED = "skipped"
    UNMET = "no unit"  # nothing was left out: the test tries what carries the directive out
    UNNOTICED = "NOT NOTICED"


FINDINGS = (Verdict.BROKEN, Verdict.UNNOTICED)


class Row(NamedTuple):
    """What came of a case; why the test failed, if it did."""

    case: Case
    verdict: Verdict
    why: str
    seconds: float


def cases() -> list[Case]:
    """Each directive that is enforced with each test that a census names for it, by test."""
    found: dict[tuple[str, str], tuple[str, ...]] = {}
    confining: list[tuple[str, str]] = [(name, test) for name, test in test_census.SHOWN.items()]
    for table in (test_census.TRIED, test_census.GIVEN):
        confining += [(name, test) for test, names in table.items() for name in names]
    for name, test in confining:
        if name in test_census.CENSUS:
            found[test, name] = (f"Service.{name}", f"Slice.{name}")
    for test, keys in test_census_of_life.TABLES.items():
        found.update({(test, key): (key,) for key in keys})
    for test, text in test_census_of_life.SHOWN.items():
        found.update({(test, key): (key,) for key in test_census_of_life.keys(text)})
    return [Case(name, found[test, name], test) for test, name in sorted(found)]


def chosen(patterns: Iterable[str]) -> list[Case]:
    """Those that any of the patterns is about; all if there is none."""
    asked = [*patterns]
    return [case for case in cases() if not asked or any(_fits(case, x) for x in asked)]


def _fits(case: Case, pattern: str) -> bool:
    words = {word for key in case.keys for word in (key, *key.split("."))}
    return pattern in case.test or bool(fnmatch.filter(words, pattern))


class Copy:
    """The project with the seam, and an interpreter that finds it there, even with -I."""

    def __init__(self, place: Path = PLACE) -> None:
        shutil.rmtree(place, ignore_errors=True)
        self.tree = place / "tree"
        for folder in ("gitproc", "tests"):
            ignore = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / folder, self.tree / folder, ignore=ignore)
        shutil.copy(ROOT / "pyproject.toml", self.tree)
        self._units = self.tree / "gitproc" / "units"
        self._met = self._units / "met"
        with (self._units / "assignments.py").open("a") as module:
            module.write(SEAM)
        self._drop()
        harness = self.tree / "tests" / "e2e" / "harness.py"
        text, count = re.subn(
            r"(?m)^DEADLINE = [0-9.]+", f"DEADLINE = {PATIENCE}", harness.read_text()
        )
        assert count == 1
        harness.write_text(text)
        self.python = _interpreter(place / "venv", self.tree)

    def _drop(self, *keys: str) -> None:
        (self._units / "dropped").write_text(" ".join(keys))
        self._met.unlink(missing_ok=True)

    def run(self, test: str, *dropped: str) -> tuple[Verdict, str]:
        """What a test says without these keys, and why it failed."""
        self._drop(*dropped)
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")
        }
        options = ["-q", "-x", "-p", "no:cacheprovider", "-p", "no:randomly", "--tb=short"]
        try:
            done = subprocess.run(
                [self.python, "-m", "pytest", *options, f"tests/{test}"],
                cwd=self.tree,
                env={**environment, "COLUMNS": "400"},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=DEADLINE,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return Verdict.BROKEN, f"no end within {DEADLINE:.0f} s"
        said = re.findall(r"^(?:FAILED|ERROR) .+?(?: - (.*))?$", done.stdout, re.MULTILINE)
        if done.returncode == 1 and said:
            return Verdict.NOTICED if self._met.exists() else Verdict.BROKEN, said[0]
        if done.returncode != 0:
            return Verdict.BROKEN, (done.stdout + done.stderr).strip()[-400:]
        if " passed" not in done.stdout.splitlines()[-1]:
            return Verdict.SKIPPED, ""
        return Verdict.UNNOTICED if self._met.exists() else Verdict.UNMET, ""


def _interpreter(place: Path, tree: Path) -> Path:
    """An environment with the packages of this one, and the project in `tree`."""
    python = place / "bin" / "python"
    python.parent.mkdir(parents=True)
    real = Path(sys.executable).resolve()
    python.symlink_to(real)
    (place / "pyvenv.cfg").write_text(f"home = {real.parent}\n")
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    packages = place / "lib" / version / "site-packages"
    packages.mkdir(parents=True)
    (packages / "copy.pth").write_text(f"{tree}\n{sysconfig.get_path('purelib')}\n")
    return python


def rows(wanted: Iterable[Case], copy: Copy) -> Iterator[Row]:
    """Each case, run; those of one test after that test has passed with everything in its place.

    A directive that one test has noticed is done.
    """
    before, stands = "", Verdict.UNMET
    noticed = set()
    for case in wanted:
        if case.directive in noticed:
            continue
        if case.test.startswith("vm/"):
            yield Row(case, Verdict.ELSEWHERE, "", 0.0)
            continue
        began = time.monotonic()
        why = ""
        if case.test != before:
            before = case.test
            stands, why = copy.run(case.test)
        if stands is Verdict.UNMET:
            verdict, why = copy.run(case.test, *case.keys)
        else:
            verdict = stands
        if verdict is Verdict.NOTICED:
            noticed.add(case.directive)
        yield Row(case, verdict, why, time.monotonic() - began)


def summary(found: Iterable[Row]) -> dict[Verdict, list[str]]:
    """The directives by what counts of what their tests say."""
    order = [*Verdict]
    best: dict[str, Verdict] = {}
    for row in found:
        before = best.get(row.case.directive, row.verdict)
        best[row.case.directive] = min(before, row.verdict, key=order.index)
    return {
        x: sorted(name for name in best if best[name] is x) for x in order if x in best.values()
    }


def main() -> None:
    """Run those that the command line asks for, or all."""
    wanted = chosen(sys.argv[1:])
    if not wanted:
        sys.exit("no directive is called that")
    found = []
    for row in rows(wanted, Copy()):
        found.append(row)
        case = row.case
        print(
            f"{row.verdict.value:12} {row.seconds:5.1f} s  {case.directive:34} {case.test}  {row.why}",
            flush=True,
        )
    told = summary(found)
    for verdict, names in told.items():
        print(f"{len(names)} {verdict.value}{'' if verdict is Verdict.NOTICED else ': '}", end="")
        print("" if verdict is Verdict.NOTICED else " ".join(names))
    sys.exit(any(verdict in FINDINGS for verdict in told))


if __name__ == "__main__":
    main()
