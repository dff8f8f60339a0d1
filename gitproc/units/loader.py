"""From the files of a tree to the set of effective units."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from gitproc.units.diagnostics import Diagnostic
from gitproc.units.unit import Unit


class SourceFile(NamedTuple):
    """One file of the tree: posix path relative to the root, blob id, bytes, link target if a symlink."""

    path: str
    oid: str
    data: bytes
    link: str | None = None


@dataclass(frozen=True, slots=True)
class LoadOptions:
    """What the host's configuration says about loading."""

    allow_unenforced: frozenset[str] = frozenset()
    default_private_pids: bool = False


class UnitSet:
    """The units of one commit."""

    units: Mapping[str, Unit]
    aliases: Mapping[str, str]
    templates: frozenset[str]
    diagnostics: tuple[Diagnostic, ...]
    files: Mapping[str, SourceFile]

    def resolve(self, name: str) -> Unit | None:
        raise NotImplementedError

    @property
    def has_errors(self) -> bool:
        return any(found.severity == "error" for found in self.diagnostics)

    def updated(
        self, changed: Mapping[str, SourceFile | None]
    ) -> tuple[UnitSet, frozenset[str]]:
        raise NotImplementedError


def load(
    files: Iterable[SourceFile], host: Any, options: LoadOptions = LoadOptions()
) -> UnitSet:
    raise NotImplementedError
