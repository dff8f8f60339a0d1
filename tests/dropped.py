"""Directives taken out, one by one, to prove that the test which a census names for each of them bites.

`python -m tests.dropped [PATTERN...]` copies the project, puts a seam into the loader of the copy that leaves out
every line of one directive, as the test and the daemons that it starts read unit files, and runs the test: it has
to fail. PATTERN: a section, a directive or both (`Socket`, `Nice`, `Service.Limit*`), or a part of a test's name.

Not covered: what the virtual machine shows, what is tried without a unit file, and what this machine skips; the
summary names them.
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
DEADLINE = 300.0  # seconds for one run of pytest, which has deadlines of its own
PATIENCE = (
    6.0  # seconds; what is left out is mostly waited for in vain, so the copy's tests wait less
)
#: At the end of the copy's parser. Both files lie beside it: what to leave out, and that something was.
SEAM = """

_parse_all = parse


def parse(data: bytes, path: str) -> Parsed:
    from contextlib import suppress
    from pathlib import Path

    found = _parse_all(data, path)
    dropped = Path(__file__).with_name("dropped").read_text().split()
    rows = zip(found.settings.assigned, found.settings.lines)
    kept = [(said, line) for said, line in rows if said[0] not in dropped]
    if len(kept) == len(found.settings.lines):
        return found
    with suppress(OSError):
        Path(__file__).with_name("met").touch()
    settings = Assignments(tuple(x for x, _ in kept), tuple(x for _, x in kept), path)
    return Parsed(settings, found.sections, found.diagnostics)
"""


class Case(NamedTuple):
    """A directive, by its keys of the table (in each section that has it), and the test named for it."""

    directive: str
    keys: tuple[str, ...]
    test: str


class Verdict(Enum):
    """What a test says to a directive that is not there."""

    NOTICED = "noticed"
    UNNOTICED = "NOT NOTICED"
    UNMET = "no unit file"  # of a test without units: nothing was left out
    BROKEN = "FAILS ANYWAY"
    SKIPPED = "skipped"
    ELSEWHERE = "in the VM"


FINDINGS = (Verdict.UNNOTICED, Verdict.BROKEN)


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
        left_out = (".*", "__pycache__", "dist", "build", "*.egg-info")
        shutil.copytree(ROOT, self.tree, ignore=shutil.ignore_patterns(*left_out), symlinks=True)
        self._units = self.tree / "gitproc" / "units"
        with (self._units / "parser.py").open("a") as parser:
            parser.write(SEAM)
        harness = self.tree / "tests" / "e2e" / "harness.py"
        text, count = re.subn(
            r"(?m)^DEADLINE = [0-9.]+", f"DEADLINE = {PATIENCE}", harness.read_text()
        )
        assert count == 1
        harness.write_text(text)
        self.python = place / "venv" / "bin" / "python"
        self.python.parent.mkdir(parents=True)
        real = Path(sys.executable).resolve()
        self.python.symlink_to(real)
        (place / "venv" / "pyvenv.cfg").write_text(f"home = {real.parent}\n")
        version = f"python{sys.version_info.major}.{sys.version_info.minor}"
        packages = place / "venv" / "lib" / version / "site-packages"
        packages.mkdir(parents=True)
        (packages / "copy.pth").write_text(f"{self.tree}\n{sysconfig.get_path('purelib')}\n")

    def run(self, test: str, *dropped: str) -> tuple[Verdict, str]:
        """What a test says without these keys, and why it failed."""
        (self._units / "dropped").write_text(" ".join(dropped))
        met = self._units / "met"
        met.unlink(missing_ok=True)
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
        said = re.findall(r"^(?:FAILED|ERROR) \S+(?: - (.*))?$", done.stdout, re.MULTILINE)
        if done.returncode == 1 and said:
            noticed = met.exists()
            return Verdict.NOTICED if noticed else Verdict.BROKEN, said[0]
        if done.returncode != 0:
            return Verdict.BROKEN, (done.stdout + done.stderr).strip()[-400:]
        if " passed" not in done.stdout.splitlines()[-1]:
            return Verdict.SKIPPED, ""
        return Verdict.UNNOTICED if met.exists() else Verdict.UNMET, ""


def rows(wanted: Iterable[Case], copy: Copy) -> Iterator[Row]:
    """Each case, run; those of one test after that test has passed with everything in its place."""
    before, stands = "", Verdict.UNMET
    for case in wanted:
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
        yield Row(case, verdict, why, time.monotonic() - began)


def main() -> None:
    """Run those that the command line asks for, or all."""
    wanted = chosen(sys.argv[1:])
    counts: dict[Verdict, list[str]] = {}
    for row in rows(wanted, Copy()):
        counts.setdefault(row.verdict, []).append(row.case.directive)
        print(
            f"{row.verdict.value:12} {row.seconds:5.1f} s  {row.case.directive:34} {row.case.test}"
            f"{'  ' * bool(row.why)}{row.why}",
            flush=True,
        )
    for verdict, names in counts.items():
        told = "" if verdict is Verdict.NOTICED else f": {' '.join(sorted(names))}"
        print(f"{len(names)} {verdict.value}{told}")
    if not wanted:
        sys.exit("no directive is called that")
    sys.exit(any(verdict in FINDINGS for verdict in counts))


if __name__ == "__main__":
    main()
