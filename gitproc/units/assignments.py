"""What is written in unit files: assignments and their places.

The units of a fleet share most of what they assign and differ in where it stands. So a file's settings are
kept as what is assigned, of which equal lines share one object, beside the numbers of its lines; a `Setting`,
which is both, is made for whoever asks for one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from sys import intern
from typing import TypeAlias

from gitproc.immutable import NamedTuple
from gitproc.units.diagnostics import Location

Assigned: TypeAlias = tuple[str, str]
"""A key (`Service.ExecStart`) and its raw text."""


class Setting(NamedTuple):
    """One assignment as written: key (`Service.ExecStart`), its raw text, and where it stands."""

    key: str
    text: str
    file: str
    line: int

    @property
    def where(self) -> Location:
        """Its place."""
        return Location(self.file, self.line)


class Assignments:
    """Assignments in their order. Immutable; equal if the same is assigned in the same places.

    `assigned` is what they say, `lines` the line of each, `files` the file of each, or of all.
    """

    __slots__ = ("assigned", "files", "lines")

    def __init__(
        self, assigned: tuple[Assigned, ...], lines: tuple[int, ...], files: str | tuple[str, ...]
    ) -> None:
        self.assigned = assigned
        self.lines = lines
        self.files = files

    @staticmethod
    def of(settings: Iterable[Setting]) -> Assignments:
        """These, from one file or several."""
        if isinstance(settings, Assignments):
            return settings
        rows = [*settings]
        return Assignments(
            tuple((row.key, row.text) for row in rows),
            tuple(row.line for row in rows),
            _files(tuple(row.file for row in rows)),
        )

    def freeze(self) -> list[list[str | int]]:
        """All there is to them as plain JSON data; `thaw` brings it back."""
        return [[*setting] for setting in self]

    @staticmethod
    def thaw(rows: Iterable[Iterable[str | int]]) -> Assignments:
        """What was frozen; ValueError if the rows are something else."""
        keys, texts, files, lines = zip(*rows, strict=True) if rows else ((), (), (), ())
        said = zip(map(intern, keys), texts, strict=True)
        return Assignments(tuple(said), lines, _files(files))

    def where(self, index: int) -> Location:
        """The place of one of them."""
        files = self.files
        return Location(files if isinstance(files, str) else files[index], self.lines[index])

    def __len__(self) -> int:
        return len(self.assigned)

    def __iter__(self) -> Iterator[Setting]:
        return (self._at(index) for index in range(len(self.assigned)))

    def __reversed__(self) -> Iterator[Setting]:
        return (self._at(index) for index in reversed(range(len(self.assigned))))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Assignments) and self._identity() == other._identity()

    def __hash__(self) -> int:
        return hash(self._identity())

    def __repr__(self) -> str:
        return f"<Assignments {[*self]}>"

    def _at(self, index: int) -> Setting:
        return Setting(*self.assigned[index], *self.where(index))

    def _identity(self) -> tuple[object, ...]:
        return self.assigned, self.lines, self.files if self.assigned else ""


def _files(files: tuple[str, ...]) -> str | tuple[str, ...]:
    return files[0] if len({*files}) == 1 else files
