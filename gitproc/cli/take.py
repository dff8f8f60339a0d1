"""`import`: copy units out of systemd's folders into the repository's files, checked, for somebody to commit.

Nothing is committed and no unit is touched: the files are put where the next commit finds them, and only if
the repository with them would be accepted. What is there is never overwritten without --force.
"""

from __future__ import annotations

import argparse
import os
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gitproc.api.text import Rendered
from gitproc.api.text_status import diagnostic_line
from gitproc.cli import output
from gitproc.cli.verify import compile_files, in_work_tree, options_of
from gitproc.cli.verify_files import on_disk
from gitproc.core.dependency_resolver import build
from gitproc.daemon.config import Config, load
from gitproc.errors import NoSuchUnit, SourceError, UsageError
from gitproc.source.systemd_folders import SystemdFolders, Taken, folders_below
from gitproc.units.builtin_targets import BUILTIN
from gitproc.units.control import slices_of
from gitproc.units.diagnostics import Diagnostic
from gitproc.units.loader import SourceFile, UnitSet
from gitproc.units.loader import load as load_units
from gitproc.units.names import is_valid_slice, mangle, template_of
from gitproc.units.specifiers import Host
from gitproc.units.tree import Role, place_of


@dataclass(slots=True)
class _Basket:
    """What is taken, and from where more can be had."""

    folders: SystemdFolders
    units: dict[str, Taken] = field(default_factory=dict)

    def add(self, name: str, folders: SystemdFolders | None = None) -> None:
        """One unit by name. NoSuchUnit if nobody has it."""
        taken = (folders or self.folders).take(name)
        if taken is None:
            raise NoSuchUnit(f"systemd's folders have no unit {name}", unit=name)
        self.units[taken.name] = taken

    def files(self) -> dict[str, SourceFile]:
        """All files, by path in the repository."""
        return {path: file for taken in self.units.values() for path, file in taken.files.items()}

    def add_requirements(self) -> None:
        """What the units cannot do without, and what that cannot, as far as the folders have it."""
        tried: set[str] = set()
        while True:
            units = load_units(self.files().values(), Host())
            graph = build(units)
            named = {
                other
                for name, unit in units.units.items()
                for other in (*graph.requirements(name), *graph.triggers.of(name), *slices_of(unit))
                if not _is_complete(units, other)
            }
            if not (named := named - tried):
                return
            tried |= named
            for name in sorted(named):
                taken = self.folders.take(name)
                if taken is not None:
                    self.units[taken.name] = taken


def _is_complete(units: UnitSet, name: str) -> bool:
    """Whether nothing has to be looked for: a slice may be there without its limits."""
    unit = units.resolve(name)
    return name in BUILTIN or (unit is not None and (unit.has_files or not is_valid_slice(name)))


def take(args: argparse.Namespace) -> int:
    """Do what the command line says; the exit status is 1 if nothing was written for an error."""
    config = load(
        Path(args.config) if args.config else None,
        Path(args.root) if args.root else None,
        args.user,
    )
    to = Path(args.to) if args.to else _work_tree(config)
    basket = _Basket(folders_below(Path(args.source).resolve()))
    for word in args.units:
        try:
            _add(basket, word)
        except ValueError as error:  # of what is no unit's name
            raise UsageError(str(error)) from error
    if args.with_requirements:
        basket.add_requirements()
    top = _top(to)
    there = {file.path: file for file in on_disk([top])} if top.is_dir() else {}
    files = _placed(basket.files(), there, to.resolve().relative_to(top.resolve()).as_posix())
    if args.force:
        clashing = []
    else:
        clashing = [path for path in files if path in there and not _same(there[path], files[path])]
    found = _news(args, config, there, files, partial=not in_work_tree(top))
    refused = bool(clashing) or (any(x.severity == "error" for x in found) and not args.force)
    written = [] if refused or args.dry_run else _write(top, there, files)
    result = {
        "folder": str(to),
        "units": [
            {"unit": x.name, "from": x.origin, "masked": x.masked, "enabled": x.enabled}
            for x in basket.units.values()
        ],
        "files": sorted(files),
        "written": written,
        "clashing": clashing,
        "diagnostics": [one.as_dict() for one in found],
    }
    if args.json:
        output.put_json(result)
        return int(refused)
    return output.put(_rendered(result, top, refused, args), quiet=args.quiet)


def _add(basket: _Basket, word: str) -> None:
    path = Path(word)
    if "/" not in word:
        basket.add(mangle(word))
    elif path.is_dir():
        folder = SystemdFolders((path,))
        for name in folder.names():
            basket.add(name, folder)
    elif os.path.lexists(path):
        basket.add(path.name, SystemdFolders((path.parent,)))
    else:
        raise SourceError(f"cannot read {word}: no such file or directory")


def _work_tree(config: Config) -> Path:
    if not config.repository.is_dir():
        raise SourceError(f"there is no repository {config.repository}: `gitproc init` makes it")
    if not (config.repository / ".git").exists():
        raise SourceError(
            f"{config.repository} is bare, it has no files to add to: name a clone's folder, --to DIR"
        )
    return config.repository


def _top(to: Path) -> Path:
    """The work tree that a folder lies in, or itself."""
    here = to.resolve()
    for folder in (here, *here.parents):
        if (folder / ".git").exists():
            return folder
    return here


def _placed(
    files: Mapping[str, SourceFile], there: Mapping[str, SourceFile], folder: str
) -> dict[str, SourceFile]:
    """Files by path from the top: below `folder`, or where the repository has the unit already."""
    known = {
        place.owner: path.rpartition("/")[0]
        for path in there
        if (place := place_of(path)).role is Role.UNIT
    }
    placed = {}
    for path, file in files.items():
        owner = place_of(path).owner
        below = known.get(
            owner, known.get(template_of(owner) or "", folder if folder != "." else "")
        )
        at = f"{below}/{path}" if below else path
        placed[at] = file._replace(path=at)
    return placed


def _same(one: SourceFile, other: SourceFile) -> bool:
    return (one.data, one.link) == (other.data, other.link)


def _news(
    args: argparse.Namespace,
    config: Config,
    there: Mapping[str, SourceFile],
    files: Mapping[str, SourceFile],
    *,
    partial: bool,
) -> list[Diagnostic]:
    """What is wrong with the repository once it has these files, and was not before."""
    options = options_of(config, args.allow_unenforced)
    before = compile_files(there.values(), config, options, partial=partial)
    after = compile_files({**there, **files}.values(), config, options, partial=partial)
    old = set(before.diagnostics)
    return [one for one in after.diagnostics if one not in old]


def _write(
    top: Path, there: Mapping[str, SourceFile], files: Mapping[str, SourceFile]
) -> list[str]:
    top.mkdir(exist_ok=True)
    owner = top.stat()
    written = []
    for path, file in sorted(files.items()):
        if path in there and _same(there[path], file):
            continue
        at = top / path
        try:
            _folder(top, at.parent, owner)
            at.unlink(missing_ok=True)
            if file.link is not None:
                at.symlink_to(file.link)
            else:
                flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
                with os.fdopen(os.open(at, flags, 0o644), "wb") as out:
                    out.write(file.data)
            _give(at, owner)
        except OSError as error:
            raise SourceError(f"cannot write {at}: {error.strerror}") from error
        written.append(path)
    return written


def _folder(top: Path, folder: Path, owner: os.stat_result) -> None:
    """Make a folder below `top`; no link on the way may lead out of it."""
    if folder == top or not folder.is_relative_to(top):
        return
    _folder(top, folder.parent, owner)
    if folder.is_symlink():
        raise SourceError(f"cannot write below {folder}: it is a link")
    if not folder.is_dir():
        folder.mkdir()
        _give(folder, owner)


def _give(path: Path, owner: os.stat_result) -> None:
    """A repository's files are its owner's, also if root puts them there."""
    if os.geteuid() == 0 and owner.st_uid != 0:
        os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)


def _rendered(
    result: Mapping[str, Any], top: Path, refused: bool, args: argparse.Namespace
) -> Rendered:
    lines = [_unit_line(one) for one in result["units"]]
    lines += [diagnostic_line(one) for one in result["diagnostics"]]
    if refused:
        lines += [f"{path}: is there already, and differs" for path in result["clashing"]]
        missing = any("which is not in this commit" in x["message"] for x in result["diagnostics"])
        hint = "--with-requirements takes those too; " if missing else ""
        lines.append(f"nothing is written: {hint}--force writes all the same")
        return Rendered(1, "".join(f"{line}\n" for line in lines))
    if args.dry_run:
        lines += [f"would write {path}" for path in result["files"]]
    elif not result["written"]:
        lines.append("all of it is there already")
    else:
        lines += [f"wrote {path}" for path in result["written"]]
        lines += ["next, look them over, hand the units over, and commit:", *_next(result, top)]
    return Rendered(0, "".join(f"{line}\n" for line in lines))


def _unit_line(unit: Mapping[str, Any]) -> str:
    state = "masked" if unit["masked"] else {True: "enabled", False: "not enabled"}.get(
        unit["enabled"], "static"
    )  # fmt: skip
    return f"{unit['unit']}: from {unit['from']}, {state}"


def _next(result: Mapping[str, Any], top: Path) -> Iterable[str]:
    git = f"  git -C {shlex.quote(str(top))}"
    enabled = [x["unit"] for x in result["units"] if x["enabled"]]
    if enabled:
        yield f"  systemctl disable --now {shlex.join(enabled)}"
    yield f"{git} add {shlex.join(result['written'])}"
    names = ", ".join(x["unit"] for x in result["units"])
    yield f"{git} commit -m {shlex.quote(f'Take {names} from systemd')}"


def register(add: Any) -> None:
    """Add the verb."""
    verb = add("import", take, "copy units from systemd's folders into the repository's files")
    verb.add_argument(
        "units", nargs="+", metavar="UNIT|DIR", help="units by name, or every unit of a folder"
    )
    verb.add_argument(
        "--with-requirements",
        action="store_true",
        help="and what they require, as far as it is there",
    )
    verb.add_argument("--to", metavar="DIR", help="into this folder (the repository's work tree)")
    verb.add_argument(
        "--from", dest="source", default="/", metavar="ROOT",
        help="of the system whose root this is (/)",
    )  # fmt: skip
    verb.add_argument(
        "--allow-unenforced", action="append", default=[], metavar="NAME",
        help="let this directive go unenforced; '*': all of them",
    )  # fmt: skip
    verb.add_argument(
        "--force", action="store_true", help="overwrite, and write in spite of errors"
    )
    verb.add_argument("--dry-run", action="store_true", help="say what would be written")
