"""Units as they lie in systemd's folders, merged as systemd merges them, in the form a repository has them.

Of a file that several folders hold the highest counts (systemd.unit(5)); a repository has one place for it.
What only links say there (that a unit is enabled, or masked, or has a further name) is said by files here:
`[X-GitProc] Enabled=no` for a unit with an [Install] section that nothing wants, a link in `X.wants/` where
[Install] does not say it.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from gitproc.errors import SourceError
from gitproc.immutable import immutable
from gitproc.units.dropins import all_owners
from gitproc.units.names import (
    instantiate,
    is_valid_instance,
    is_valid_name,
    is_valid_slice,
    split_name,
    template_of,
)
from gitproc.units.parser import parse
from gitproc.units.tree import NULL_DEVICE, SourceFile, is_needs_folder

FOLDERS = (
    "etc/systemd/system", "run/systemd/system", "usr/local/lib/systemd/system",
    "usr/lib/systemd/system", "lib/systemd/system",
)  # fmt: skip
NOT_ENABLED = "90-not-enabled.conf"
_NOT_ENABLED_TEXT = b"# systemd had it not enabled\n[X-GitProc]\nEnabled=no\n"
_LARGEST = 1 << 20  # bytes
_MOST_LINKS = 40


@immutable
class Taken:
    """One unit: its name, where its file was, and its files by their paths in a repository."""

    name: str
    origin: str
    files: dict[str, SourceFile]
    masked: bool = False
    enabled: bool | None = None
    """None: it has no [Install] section that could enable it."""


@dataclass(slots=True)
class SystemdFolders:
    """The folders, highest first. `root`: of the system they are of, where its absolute links begin."""

    tops: Sequence[Path]
    root: Path = Path("/")
    _needs: dict[str, dict[str, Path]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Read which unit which folder of links names."""
        for top in self.tops:
            for folder in _entries(top):
                if is_needs_folder(folder.name):
                    for link in _entries(folder):
                        self._needs.setdefault(link.name, {}).setdefault(folder.name, link)

    def names(self) -> list[str]:
        """Every unit that has a file."""
        found = {path.name for top in self.tops for path in _entries(top) if not path.is_dir()}
        return sorted(name for name in found if is_valid_name(name))

    def take(self, name: str) -> Taken | None:
        """A unit by its name or an alias; None if no folder has it. SourceError if it cannot be read."""
        path = self._find(name)
        if path is None:
            return self._drop_ins_alone(name) if is_valid_slice(name) else None
        own = self._own_name(path, name)
        if own != name:
            taken = self.take(own)
            if taken is not None and not _installs(taken, f"Alias={name}"):
                taken.files[name] = _link(name, own)
            return taken
        template = template_of(name) if split_name(name)[1] else None
        file = name if template is None or self._end(path).name == name else template
        if self._is_mask(path):
            return Taken(name, str(path), {file: _link(file, NULL_DEVICE)}, masked=True)
        files = {file: SourceFile(file, str(path), self._read(path))}
        for base, drop_in in self._drop_ins(name).items():
            at = f"{name if drop_in.parent.name == f'{name}.d' else file}.d/{base}"
            files[at] = SourceFile(at, str(drop_in), self._read(drop_in))
        taken = Taken(name, str(path), files)
        return self._with_needs(taken, file)

    def _drop_ins_alone(self, name: str) -> Taken | None:
        """A slice is there without a file, too."""
        files = {
            f"{name}.d/{base}": SourceFile(f"{name}.d/{base}", str(path), self._read(path))
            for base, path in self._drop_ins(name).items()
        }
        origin = next((file.oid for file in files.values()), "")
        return self._with_needs(Taken(name, origin, files), name) if files else None

    def _with_needs(self, taken: Taken, file: str) -> Taken:
        """The unit with what links say of it: who wants it, whom it wants, whether it is enabled."""
        name, files = taken.name, taken.files
        wanted = {
            folder: link
            for folder, link in self._needs.get(name, {}).items()
            if not self._is_mask(link)
        }
        for folder in sorted(wanted):
            owner, _, kind = folder.rpartition(".")
            key = {"wants": "WantedBy", "requires": "RequiredBy"}.get(kind, "UpheldBy")
            if split_name(name)[1] or not _installs(taken, f"{key}={owner}"):
                files[f"{folder}/{name}"] = _link(f"{folder}/{name}", f"../{file}")
        for other, folders in sorted(self._needs.items()):
            for kind in ("wants", "requires", "upholds"):
                link = folders.get(f"{name}.{kind}")
                if link is not None and is_valid_name(other) and not self._is_mask(link):
                    at = f"{name}.{kind}/{other}"
                    files[at] = _link(at, f"../{other}")
        installs = _installs(taken, "WantedBy=") or _installs(taken, "RequiredBy=")
        if installs and not wanted and "@." not in file:
            at = f"{name}.d/{NOT_ENABLED}"
            files[at] = SourceFile(at, at, _NOT_ENABLED_TEXT)
        usual = _usual_instance(taken, file) if installs else ""
        if usual and usual not in self._needs:
            at = f"{usual}.d/{NOT_ENABLED}"
            files[at] = SourceFile(at, at, _NOT_ENABLED_TEXT)
        return Taken(name, taken.origin, files, enabled=bool(wanted) if installs else None)

    def _find(self, name: str) -> Path | None:
        template = template_of(name)
        for wanted in (name, template) if template else (name,):
            for top in self.tops:
                path = top / wanted
                if os.path.lexists(path):
                    return path
        return None

    def _own_name(self, path: Path, name: str) -> str:
        """The name of the unit that a file is of: another one's if it links to that inside the folders."""
        if not path.is_symlink() or self._is_mask(path):
            return name
        end = self._end(path)
        if end.parent.resolve() not in {top.resolve() for top in self.tops}:
            return name  # a file from elsewhere under this name
        if end.name == template_of(name) or not is_valid_name(end.name):
            return name
        return end.name if end.name != path.name else name

    def _drop_ins(self, name: str) -> dict[str, Path]:
        """By file name, in order of effect, those that count and are not masked."""
        chosen: dict[str, Path] = {}
        for owner in all_owners(name, ()):
            here: dict[str, Path] = {}
            for top in self.tops:
                for path in _entries(top / f"{owner}.d"):
                    if path.suffix == ".conf":
                        here.setdefault(path.name, path)
            for base, path in here.items():
                chosen.setdefault(base, path)
        return {base: path for base, path in sorted(chosen.items()) if not self._is_mask(path)}

    def _is_mask(self, path: Path) -> bool:
        end = self._end(path)
        if path.is_symlink() and end == Path(self.root, NULL_DEVICE.lstrip("/")):
            return True
        return end.is_file() and end.stat().st_size == 0

    def _read(self, path: Path) -> bytes:
        end = self._end(path)
        try:
            found = end.lstat()
            if not stat.S_ISREG(found.st_mode) or found.st_size > _LARGEST:
                raise SourceError(f"cannot take {path}: no plain file of at most 1 MiB")
            return end.read_bytes()
        except OSError as error:
            raise SourceError(f"cannot read {path}: {error.strerror}") from error

    def _end(self, path: Path) -> Path:
        """Where links lead from here, inside the system of the root."""
        for _ in range(_MOST_LINKS):
            if not path.is_symlink():
                break
            target = path.readlink()
            base = (
                self.root / str(target).lstrip("/")
                if target.is_absolute()
                else path.parent / target
            )
            path = Path(os.path.normpath(base))
        return path


def folders_below(root: Path) -> SystemdFolders:
    """Systemd's folders of the system whose root this is; each once, where one is a link to another."""
    found: dict[Path, Path] = {}
    for name in FOLDERS:
        found.setdefault((root / name).resolve(), root / name)
    return SystemdFolders(tuple(found.values()), root)


def _entries(folder: Path) -> Iterable[Path]:
    try:
        return sorted(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return ()
    except OSError as error:
        raise SourceError(f"cannot read {folder}: {error.strerror}") from error


def _installs(taken: Taken, what: str) -> bool:
    """Whether the unit's [Install] section says `KEY=WORD`, or with `KEY=` anything by that key."""
    key, _, word = what.partition("=")
    found = _install_words(taken, key)
    return word in found if word else bool(found)


def _usual_instance(taken: Taken, file: str) -> str:
    """The instance that a template enables in its own name (DefaultInstance=); empty if none."""
    words = _install_words(taken, "DefaultInstance") if "@." in file else []
    return instantiate(file, words[-1]) if words and is_valid_instance(words[-1]) else ""


def _install_words(taken: Taken, key: str) -> list[str]:
    found: list[str] = []
    for file in taken.files.values():
        if file.link is None:
            for setting in parse(file.data, file.path).settings:
                if setting.key == f"Install.{key}":
                    found = [*found, *setting.text.split()] if setting.text else []
    return found


def _link(path: str, target: str) -> SourceFile:
    return SourceFile(path, path, target.encode(), target)
