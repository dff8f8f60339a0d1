"""The package as a file: what it holds and names, that it is made alike twice, and what lintian says."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import gitproc

PROJECT = Path(__file__).parents[2]
DEBIAN = {"gitpython": "python3-git"}  # others are called python3-NAME
BUNDLED = "cgroupspy"

pytestmark = pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="needs dpkg")


def build(folder, *options):
    command = [sys.executable, PROJECT / "tools/deb", "--out", folder, *options]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return Path(done.stdout.strip())


@pytest.fixture(scope="module")
def deb(tmp_path_factory):
    return build(tmp_path_factory.mktemp("deb"))


@pytest.fixture(scope="module")
def tree(deb, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tree")
    subprocess.run(["dpkg-deb", "-R", deb, folder], check=True)
    return folder


def field(deb, name):
    return subprocess.run(
        ["dpkg-deb", "-f", deb, name], capture_output=True, text=True, check=True
    ).stdout.strip()


def test_its_name_and_version(deb):
    assert deb.name == f"gitproc_{gitproc.__version__}_all.deb"
    assert field(deb, "Version") == gitproc.__version__
    assert field(deb, "Architecture") == "all"


def test_the_same_sources_give_the_same_bytes(deb, tmp_path):
    assert build(tmp_path).read_bytes() == deb.read_bytes()


def test_it_depends_on_what_the_project_does_at_the_same_lowest_versions(deb):
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    wanted = {"python3": project["requires-python"].removeprefix(">=")}
    for line in project["dependencies"]:
        name, version = line.lower().split(">=")
        if name != BUNDLED:
            wanted[DEBIAN.get(name, f"python3-{name}")] = version
    found = dict(re.findall(r"(python3[\w-]*) \(>= ([\d.]+)\)", field(deb, "Depends")))
    assert found == wanted


def test_the_command_runs_from_where_it_lies(tree):
    """With the paths of the installed file put below the tree, and with Python's own modules alone."""
    text = (tree / "usr/bin/gitproc").read_text()
    assert text.startswith("#!/usr/bin/python3 -IS\n")
    moved = text.replace("/usr/lib/gitproc", str(tree / "usr/lib/gitproc"))
    done = subprocess.run(
        [sys.executable, "-IS", "-c", moved, "--version"],
        capture_output=True,
        text=True,
        check=False,
        cwd="/",
    )
    assert done.stdout == f"gitproc {gitproc.__version__}\n", done.stderr
    assert (tree / f"usr/lib/gitproc/{BUNDLED}/__init__.py").exists()


def test_a_version_that_is_asked_for_is_the_one_it_says(tmp_path):
    made = build(tmp_path, "--version", "9.8.7")
    assert field(made, "Version") == "9.8.7"
    subprocess.run(["dpkg-deb", "-x", made, tmp_path / "tree"], check=True)
    said = (tmp_path / "tree/usr/lib/gitproc/gitproc/__init__.py").read_text()
    assert '__version__ = "9.8.7"' in said


def test_the_settings_are_a_conffile_with_every_key_commented_out(tree):
    assert (tree / "DEBIAN/conffiles").read_text() == "/etc/gitproc/config.toml\n"
    settings = tomllib.loads((tree / "etc/gitproc/config.toml").read_text())
    assert not any(settings.values())


def test_licences_of_all_that_is_in_it(tree):
    terms = (tree / "usr/share/doc/gitproc/copyright").read_text()
    assert "CloudSigma" in terms
    assert "Neither the name of cgroupspy" in terms
    assert "THE SOFTWARE IS PROVIDED" in terms
    assert "@" not in re.sub(r"\S+@\S+\.\S+", "", terms)


@pytest.mark.parametrize("name", ["postinst", "prerm", "postrm"])
def test_its_scripts_are_plain_shell(tree, name):
    subprocess.run(["dash", "-n", tree / "DEBIAN" / name], check=True)


@pytest.mark.parametrize(
    "page",
    ["man1/gitproc.1", "man5/gitproc-config.5", "man5/gitproc.unit.5", "man8/gitproc.service.8"],
)
def test_manual_pages_are_there_and_without_a_mistake(tree, page):
    path = tree / f"usr/share/man/{page}.gz"
    if shutil.which("man") is None:
        assert path.exists()
        return
    done = subprocess.run(
        ["man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", path],
        capture_output=True,
        text=True,
        env={**os.environ, "LC_ALL": "C.UTF-8", "MANROFFSEQ": "", "MANWIDTH": "100"},
        check=True,
    )
    assert done.stderr == ""
    # emphasis is overstrikes (x, backspace, x) or control sequences
    text = re.sub(r"\x1b\[[0-9;]*m|.\x08", "", done.stdout)
    assert "SEE ALSO" in text
    for stray in ("`", "<!--", "\\f", "| "):
        assert stray not in text, stray


def test_the_pages_say_every_verb_and_every_key(tree):
    import gzip

    from gitproc.cli.arguments import parser

    verbs = next(a for a in parser()._actions if a.choices)
    page = gzip.decompress((tree / "usr/share/man/man1/gitproc.1.gz").read_bytes()).decode()
    for verb in verbs.choices or ():
        assert verb.replace("-", "\\-") in page
    page = gzip.decompress((tree / "usr/share/man/man5/gitproc-config.5.gz").read_bytes()).decode()
    for key in re.findall(
        r"^#(\w+) = ", (PROJECT / "packaging/config.toml").read_text(), re.MULTILINE
    ):
        assert key in page


@pytest.mark.skipif(shutil.which("lintian") is None, reason="lintian is not installed")
@pytest.mark.timeout(180)
def test_lintian_has_nothing_to_say(deb):
    options = ["--allow-root"] if os.geteuid() == 0 else []
    done = subprocess.run(
        ["lintian", *options, deb], capture_output=True, text=True, check=False, timeout=170
    )
    assert done.stdout == ""
    assert done.returncode == 0
