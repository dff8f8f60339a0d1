"""`verify` without a manager: a revision of the repository, or unit files on disk, compiled as a commit is.

The same reader, loader and graph check serve the manager, so what passes here is accepted there. Facts of the
host (programs, users) are not looked at beyond what the loader itself says.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from gitproc.daemon.config import Config, load
from gitproc.errors import SourceError
from gitproc.units.diagnostics import Diagnostic
from gitproc.units.loader import LoadOptions, SourceFile
from gitproc.units.specifiers import Host

_LARGEST = 1 << 20  # bytes; a larger file is no unit file


def verify(args: argparse.Namespace) -> Mapping[str, Any]:
    """The result of `verify` for the targets of a command line: diagnostics and the number of units."""
    root = Path(args.root) if args.root else None
    config = load(Path(args.config) if args.config else None, root, args.user)
    paths = [target for target in args.targets if Path(target).exists()]
    if paths and len(paths) == len(args.targets):
        return check(_on_disk([Path(path) for path in paths]), config)
    if len(args.targets) > 1:
        missing = next(target for target in args.targets if target not in paths)
        raise SourceError(f"cannot read {missing}: no such file or directory")
    return _revision(args.targets[0] if args.targets else None, config)


def check(
    files: Iterable[SourceFile], config: Config, found: Iterable[Diagnostic] = ()
) -> dict[str, Any]:
    """Compile files and check their graph."""
    from gitproc.daemon.compiling import compile_commit
    from gitproc.source.reading import TreeChange

    options = LoadOptions(frozenset(config.allow_unenforced), config.default_private_pids)
    change = TreeChange({file.path: file for file in files}, True, tuple(found))
    compiled = compile_commit(change, None, Host(), options)
    return {
        "version": 1,
        "units": compiled.count,
        "diagnostics": [one.as_dict() for one in compiled.diagnostics],
    }


def _revision(rev: str | None, config: Config) -> Mapping[str, Any]:
    from gitproc.source.git_integration import GitIntegration

    source = GitIntegration(config.repository, config.branch)
    try:
        commit = source.resolve(rev) if rev else source.head()
        if commit is None:
            raise SourceError(
                f"branch {config.branch} of {config.repository} has no commit yet: name a PATH or a REV"
            )
        change = source.read(commit)
        files = (file for file in change.files.values() if file is not None)
        return {**check(files, config, change.diagnostics), "commit": {"sha": commit}}
    finally:
        source.close()


def _on_disk(paths: list[Path]) -> Iterator[SourceFile]:
    for path in paths:
        if not path.is_dir():
            yield _file(path, path.name if len(paths) == 1 else str(path))
            continue
        for folder, below, names in os.walk(path):
            below[:] = sorted(name for name in below if not name.startswith("."))
            for name in sorted(names):
                file = Path(folder, name)
                if not name.startswith(".") and (file.is_file() or file.is_symlink()):
                    yield _file(file, file.relative_to(path).as_posix())


def _file(path: Path, name: str) -> SourceFile:
    try:
        if path.is_symlink():
            target = str(path.readlink())
            return SourceFile(name, str(path), target.encode("utf-8", "surrogateescape"), target)
        if path.stat().st_size > _LARGEST:
            return SourceFile(name, str(path), b"")
        return SourceFile(name, str(path), path.read_bytes())
    except OSError as error:
        raise SourceError(f"cannot read {path}: {error.strerror}") from error
