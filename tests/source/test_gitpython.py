"""Only the part of GitPython that is needed, and all of it where it cannot be had in parts."""

import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).parents[2]


def answer(code: str) -> str:
    """What a fresh interpreter says."""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_nothing_but_the_command_object_is_imported():
    code = """
import sys
from gitproc.source.gitpython import owners_git
kind = owners_git()
print(kind.__mro__[1].__module__, [name for name in sys.modules if name.split(".")[0] in ("git", "gitdb")])
"""
    assert answer(code) == "git.cmd []"


def test_who_imports_gitpython_later_gets_all_of_it():
    code = """
from gitproc.source.gitpython import owners_git
owners_git()
import git
print(git.Repo.__name__, git.Git is owners_git().__mro__[1])
"""
    assert answer(code) == "Repo False"


def test_gitpython_that_is_there_already_is_used():
    code = """
import git
from gitproc.source.gitpython import owners_git
print(git.Git is owners_git().__mro__[1])
"""
    assert answer(code) == "True"


def test_a_version_that_cannot_be_had_in_parts_is_imported_whole():
    code = """
import sys
from gitproc.source import gitpython
def fails():
    raise ImportError("partially initialized")
gitpython._import_alone = fails
kind = gitpython.owners_git()
print("git.repo" in sys.modules, kind.__mro__[1].__module__)
"""
    assert answer(code) == "True git.cmd"
