"""Every relative link of every page leads somewhere, to a file and to a heading in it."""

from __future__ import annotations

import re
import subprocess
import unicodedata
from pathlib import Path
from urllib.parse import unquote

import pytest

from tests.docs.pages import PROJECT


def _pages() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "*.md"],
        cwd=PROJECT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    names = listed.stdout.split("\0") if listed.returncode == 0 else []
    found = [PROJECT / name for name in names if name]
    return sorted(path for path in found or PROJECT.rglob("docs/**/*.md") if path.is_file())


PAGES = _pages()
LINK = re.compile(r"\[[^\]\[]*(?:\[[^\]]*\][^\]\[]*)*\]\(([^)\s]+)(?:\s+\"[^\"]*\")?\)")


def prose(path: Path) -> str:
    """A page without its code, in which brackets mean something else."""
    text = re.sub(r"^```.*?^```$", "", path.read_text(), flags=re.DOTALL | re.MULTILINE)
    text = re.sub(r"^(?: {4}|\t).*$", "", text, flags=re.MULTILINE)
    return re.sub(r"`[^`\n]*`", lambda code: "x" * len(code[0]), text)


def anchors(path: Path) -> set[str]:
    """The anchors that headings get where pages are shown."""
    found: set[str] = set()
    text = re.sub(r"^```.*?^```$", "", path.read_text(), flags=re.DOTALL | re.MULTILINE)
    for title in re.findall(r"^#+ +(.*?) *#*$", text, re.MULTILINE):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", title).replace("`", "").lower()
        kept = (c for c in plain if c in " -_" or unicodedata.category(c)[0] in "LNM")
        found.add("".join(kept).replace(" ", "-"))
    return found


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(PROJECT).as_posix())
def test_links_lead_somewhere(path):
    for link in LINK.findall(prose(path)):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = unquote(link).partition("#")
        target = (path.parent / name).resolve() if name else path
        assert target.exists(), f"{link}: there is no {target.relative_to(PROJECT)}"
        if anchor and target.suffix == ".md":
            assert anchor in anchors(target), (
                f"{link}: no such heading; there are {anchors(target)}"
            )


def test_every_page_of_docs_is_on_the_map():
    linked = set()
    for start in (PROJECT / "README.md", PROJECT / "docs/README.md"):
        for link in LINK.findall(prose(start)):
            linked.add((start.parent / link.partition("#")[0]).resolve())
    pages = {path for path in PAGES if path.is_relative_to(PROJECT / "docs")}
    assert pages - {PROJECT / "docs/README.md"} - linked == set()
