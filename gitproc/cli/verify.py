"""`verify` without a manager: a revision of the repository, or unit files on disk, compiled as a commit is.

The same reader, loader and graph check serve the manager, so what passes here is accepted there. Two things are
said more gently: what this host has not (programs, users, files) is a warning, since units fail by it at their
start and no commit is refused for it; and where the files are not a whole repository (single files, a folder
outside any work tree), a requirement that is not among them is one, since it may well be elsewhere.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from gitproc.cli.verify_files import alone, on_disk, strange
from gitproc.daemon.compiling import Compiled
from gitproc.daemon.config import Config, load
from gitproc.errors import SourceError
from gitproc.units.diagnostics import Diagnostic
from gitproc.units.loader import LoadOptions, SourceFile
from gitproc.units.specifiers import Host


def verify(args: argparse.Namespace) -> Mapping[str, Any]:
    """The result of `verify` for the targets of a command line: diagnostics and the number of units."""
    root = Path(args.root) if args.root else None
    config = load(Path(args.config) if args.config else None, root, args.user)
    options = options_of(config, args.allow_unenforced)
    paths = [target for target in args.targets if Path(target).exists()]
    if paths and len(paths) == len(args.targets):
        found = [Path(path) for path in paths]
        whole = all(path.is_dir() and in_work_tree(path) for path in found)
        files = [*on_disk(found)]
        odd = [*strange(found, files)]
        compiled = compile_files(files, config, options, odd, partial=not whole)
        lonely = [] if whole else [*alone(files, compiled.units, _host(config), options)]
        return report(compiled, lonely, host=args.host_facts)
    missing = next((target for target in args.targets if target not in paths), "")
    if len(args.targets) > 1 or missing.startswith(("/", "./", "../")):
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
    from gitproc.source.reading import TreeChange

    change = TreeChange({file.path: file for file in files}, True, tuple(found))
    user = config.user_mode
    return compile_commit(change, None, _host(config), options, partial=partial, user_mode=user)


def _host(config: Config) -> Host:
    from gitproc.kernel.host import read_host

    return read_host(user_mode=config.user_mode)


def report(compiled: Compiled, further: Iterable[Diagnostic] = (), *, host: bool) -> dict[str, Any]:
    """The stable JSON form of what was found, with `further`; with `host` also what this host has not."""
    found = [*compiled.diagnostics, *further, *(_host_facts(compiled) if host else ())]
    ordered = sorted(dict.fromkeys(found), key=lambda x: (*x.location, x.severity, x.message))
    return {
        "version": 1,
        "units": compiled.count + len(compiled.units.templates),
        "diagnostics": [one.as_dict() for one in ordered],
    }


def in_work_tree(path: Path) -> bool:
    """Whether git keeps this folder: it or one above has `.git`."""
    return any((folder / ".git").exists() for folder in (path.resolve(), *path.resolve().parents))


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
