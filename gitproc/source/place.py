"""Where a repository lies: its git directory and, if it has one, its work tree.

Found by looking at the files alone, before any git process runs: `git rev-parse` would read the
configuration of a repository that nobody has vouched for yet.
"""

from __future__ import annotations

import os
from pathlib import Path

from gitproc.errors import SourceError
from gitproc.immutable import immutable


@immutable
class Place:
    """Absolute paths, symlinks resolved. `work_tree` is None for a bare repository."""

    git_dir: Path
    work_tree: Path | None

    @property
    def path(self) -> Path:
        """What an operator calls the repository."""
        return self.work_tree or self.git_dir


def is_git_dir(path: Path) -> bool:
    """Whether `path` looks like a git directory (gitrepository-layout(5): HEAD, objects, refs)."""
    return (path / "HEAD").is_file() and all((path / name).is_dir() for name in ("objects", "refs"))


def find(path: Path) -> Place | None:
    """The repository at `path` itself (never one above it), or None."""
    real = path.resolve()
    inner = real / ".git"
    try:
        if is_git_dir(inner):
            return Place(inner.resolve(), real)
        if is_git_dir(real):
            return Place(real, real.parent if real.name == ".git" else None)
    except PermissionError:
        return None
    return None


def locate(path: Path) -> Place:
    """The repository at `path`; SourceError saying what is there instead."""
    place = find(path)
    if place is not None:
        return place
    if not path.exists():
        raise SourceError(f"no repository at {path}: `gitproc init` makes one")
    if not path.is_dir():
        raise SourceError(f"{path} is not a directory, so it cannot be the repository")
    if not os.access(path, os.R_OK | os.X_OK):
        raise SourceError(f"cannot read {path}: permission denied")
    if (path / ".git").is_file():
        raise SourceError(
            f"{path} is a linked work tree or a submodule: name the repository it belongs to"
        )
    raise SourceError(f"{path} is not a git repository: `gitproc init` makes one there")
