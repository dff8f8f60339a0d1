"""What pages take from the code is what the code says now; `tools/docs` writes it anew."""

from __future__ import annotations

import re
import subprocess
import sys

from gitproc.core.transitions import TRANSITIONS
from tests.docs.pages import PROJECT


def test_generated_parts_are_up_to_date():
    command = [sys.executable, "tools/docs", "--check"]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_diagram_of_a_service_shows_every_arrow():
    page = (PROJECT / "docs/explanation/architecture.md").read_text()
    for (source, cause), target in TRANSITIONS.items():
        ends = source.value.replace("-", "_"), target.value.replace("-", "_")
        line = next(x for x in page.splitlines() if x.startswith("    {} --> {}:".format(*ends)))
        assert cause.value in line


def test_the_size_of_core_is_as_told():
    told = re.search(r"`core/`\]\([^)]*\).*?fewer\s+than\s+([\d,]+)\s+lines", page(), re.DOTALL)
    assert told is not None
    lines = sum(
        len(path.read_text().splitlines()) for path in (PROJECT / "gitproc/core").glob("*.py")
    )
    most = int(told[1].replace(",", ""))
    assert most - 1000 < lines < most


def page() -> str:
    return (PROJECT / "README.md").read_text()
