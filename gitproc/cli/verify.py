"""`verify` without a manager: a revision of the repository, or unit files on disk, compiled as a commit is.

The same reader, loader and graph check serve the manager, so what passes here is accepted there. Two things are
said more gently: what this host has not (programs, users, files) is a warning, since units fail by it at their
start and no commit is refused for it; and where the files are not a whole repository (single files, a folder
outside any work tree), a requirement that is not among them is one, since it may well be elsewhere.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from gitproc.daemon.compiling import Compiled
from gitproc.daemon.config import Config, load
from gitproc.errors import SourceError
from gitproc.units.diagnostics import Diagnostic
from gitproc.units.loader import LoadOptions, SourceFile

_LARGEST = 1 << 20  # bytes; a larger file is no unit file


def verify(args: argparse.Namespace) -> Mapping[str, Any]:
    """The result of `verify` for the targets of a command line: diagnostics and the number of units."""
    root = Path(args.root) if args.root else None
    config = load(Path(args.config) if args.config else None, root, args.user)
    options = options_of(config, args.allow_unenforced)
    paths = [target for target in args.targets if Path(target).exists()]
    if paths and len(paths) == len(args.targets):
        found = [Path(path) for path in paths]
        whole = all(path.is_dir() and in_work_tree(path) for path in found)
        files = on_disk(found)
        return report(
            compile_files(files, config, options, partial=not whole), host=args.host_facts
        )
    if len(args.targets) > 1:
        missing = next(target for target in args.targets if target not in paths)
        raise SourceError(f"cannot read {missing}: no such file or directory")
    return _revision(args.targets[0] if args.targets else None, config, options, args.host_facts)


def options_of(config: Config, further: Iterable[str]) -> LoadOptions:
    """What the configuration says about loading, with `further` directives that may go unenforced."""
    allowed = {*config.allow_unenforced, *_names(further)}
    return LoadOptions(frozenset(allowed), config.default_private_pids)


def compile_files(
    files: Iterable[SourceFile],
    config: Config,
    options: LoadOptions,
    found: Iterable[Diagnostic] = (),
    *,
    partial: bool = False,
) -> Compiled:
    """Compile files and check their graph, with this host's facts behind specifiers."""
    from gitproc.daemon.compiling import compile_commit
    from gitproc.kernel.host import read_host
    from gitproc.source.reading import TreeChange

    change = TreeChange({file.path: file for file in files}, True, tuple(found))
    host = read_host(user_mode=config.user_mode)
    user = config.user_mode
    return compile_commit(change, None, host, options, partial=partial, user_mode=user)


def report(compiled: Compiled, *, host: bool) -> dict[str, Any]:
    """The stable JSON form of what was found; with `host` also what this host has not."""
    found = [*compiled.diagnostics, *(_host_facts(compiled) if host else ())]
    ordered = sorted(dict.fromkeys(found), key=lambda x: (*x.location, x.severity, x.message))
    return {
        "version": 1,
        "units": compiled.count + len(compiled.units.templates),
        "diagnostics": [one.as_dict() for one in ordered],
    }


def in_work_tree(path: Path) -> bool:
    """Whether git keeps this folder: it or one above has `.git`."""
    return any((folder / ".git").exists() for folder in (path.resolve(), *path.resolve().parents))


def on_disk(paths: list[Path]) -> Iterator[SourceFile]:
    """The files at these paths, those of folders by their paths inside. Raises SourceError."""
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


def _names(given: Iterable[str]) -> Iterator[str]:
    for words in given:
        yield from (name.strip().removesuffix("=") for name in words.split(","))


def _host_facts(compiled: Compiled) -> Iterator[Diagnostic]:
    from gitproc.kernel.host_facts import missing

    for unit in compiled.units.units.values():
        yield from missing(unit)
    for name in sorted(compiled.units.templates):
        sample = compiled.units.sample(name)
        if sample is not None:
            yield from missing(sample, unless=sample.instance or "")


def _revision(
    rev: str | None, config: Config, options: LoadOptions, host: bool
) -> Mapping[str, Any]:
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
        compiled = compile_files(files, config, options, change.diagnostics)
        return {**report(compiled, host=host), "commit": {"sha": commit}}
    finally:
        source.close()


def _file(path: Path, name: str) -> SourceFile:
    try:
        if path.is_symlink():
            target = str(path.readlink())
            return SourceFile(name, str(path), target.encode("utf-8", "surrogateescape"), target)
        with path.open("rb") as file:
            return SourceFile(name, str(path), file.read(_LARGEST + 1))  # enough to be too large
    except OSError as error:
        raise SourceError(f"cannot read {path}: {error.strerror}") from error
