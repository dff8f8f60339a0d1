"""What `verify` is given on disk: which files those are, and what can be said of one that stands alone."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from pathlib import Path

from gitproc.errors import SourceError
from gitproc.units.diagnostics import Diagnostic, Location
from gitproc.units.directives import SECTIONS
from gitproc.units.evaluate import judge
from gitproc.units.file_check import check_file
from gitproc.units.loader import LoadOptions, SourceFile, UnitSet
from gitproc.units.names import is_template
from gitproc.units.specifiers import Host
from gitproc.units.tree import NULL_DEVICE, Role, place_of
from gitproc.units.unit import Unit

_LARGEST = 1 << 20  # bytes; a larger file is no unit file


def on_disk(paths: list[Path]) -> Iterator[SourceFile]:
    """The files at these paths, those of folders by their paths inside. Raises SourceError."""
    taken: set[str] = set()
    read: set[str] = set()  # given twice, it is read once
    for path in paths:
        if not path.is_dir():
            if (real := os.path.normpath(path.absolute())) not in read:
                read.add(real)
                yield _read(path, _unused(_named(path, alone=len(paths) == 1), path, taken))
            continue
        for folder, below, names in os.walk(path):
            below[:] = sorted(name for name in below if not name.startswith("."))
            for name in sorted(names):
                file = Path(folder, name)
                real = os.path.normpath(file.absolute())
                if name.startswith(".") or real in read:
                    continue
                if file.is_file() or file.is_symlink():
                    read.add(real)
                    inside = file.relative_to(path).as_posix()
                    yield _file(file, _unused(inside, file, taken))


def strange(paths: list[Path], files: Collection[SourceFile]) -> Iterator[Diagnostic]:
    """Files that were asked about by name, and that no unit is made of."""
    if any(path.is_dir() for path in paths):
        return
    for file in files:
        if place_of(file.path).role in (Role.OTHER, Role.HIDDEN):
            message = "neither a unit file nor a drop-in (by its name): nothing was checked"
            yield Diagnostic(Location(file.path, 0), "warning", "", message)


def alone(
    files: Collection[SourceFile], units: UnitSet, host: Host, options: LoadOptions
) -> Iterator[Diagnostic]:
    """What is wrong with drop-ins for units that are not among the files."""
    every = [*units.units.values(), *filter(None, map(units.sample, units.templates))]
    used = {path for unit in every for path in unit.drop_ins}
    for file in files:
        role, owner = place_of(file.path)
        kind = owner.rpartition(".")[2]
        if role is not Role.DROP_IN or file.path in used or kind not in SECTIONS:
            continue
        if file.link is not None or not file.data:
            continue
        name = owner if "." in owner else f"any.{kind}"
        if is_template(name):
            name = name.replace("@.", "@instance.")
        checked = check_file(file, kind)
        found = [*checked.diagnostics]
        unit = Unit(name, file.path, checked.settings, host, diagnostics=found)
        yield from found
        yield from judge(unit.values, checked.settings, options.allow_unenforced)


def _named(path: Path, *, alone: bool) -> str:
    """The name of a file that was asked about: as given, but for a way that would hide it (`..`, `.config`)."""
    short = "/".join(path.absolute().parts[-2:])
    if place_of(short).role not in _IN_FOLDERS:
        short = path.name
    if alone or place_of(str(path)).role in (Role.HIDDEN, Role.OTHER):
        return short
    return str(path)


_IN_FOLDERS = frozenset({Role.DROP_IN, Role.WANTS, Role.REQUIRES, Role.UPHOLDS})


def _unused(name: str, path: Path, taken: set[str]) -> str:
    """`name`, or a longer one where another file has that: then both are told to be one unit."""
    parts = path.absolute().parts[1:]
    depth = name.count("/") + 1
    while name in taken and depth < len(parts):
        depth += 1
        name = "/".join(part.lstrip(".") or "_" for part in parts[-depth:])
    taken.add(name)
    return name


def _read(path: Path, name: str) -> SourceFile:
    """A file that was asked about, through links: only a mask is one here."""
    if path.is_symlink() and str(path.resolve()) == NULL_DEVICE:
        return _file(path, name)
    if not path.is_file():
        raise SourceError(f"cannot read {path}: not a regular file")
    return _file(path.resolve(), name)


def _file(path: Path, name: str) -> SourceFile:
    try:
        if path.is_symlink():
            target = str(path.readlink())
            return SourceFile(name, str(path), target.encode("utf-8", "surrogateescape"), target)
        with path.open("rb") as file:
            return SourceFile(name, str(path), file.read(_LARGEST + 1))  # enough to be too large
    except OSError as error:
        raise SourceError(f"cannot read {path}: {error.strerror}") from error
