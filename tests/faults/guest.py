"""What else lives on the machine of a soak, beside its witnesses, and keeps books of its own.

A guest's units are made when the machine is, take part in ordinary life, and are asked about in peace.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.faults.soak import Soak


class Guest:
    """One of them; `program` is a file of this folder that its services run, by path."""

    program = ""

    def __init__(self, soak: Soak) -> None:
        self.soak = soak
        self.machine = soak.machine
        self.notes = soak.books.notes
        self.dice = soak.dice
        if self.program:
            shutil.copy(Path(__file__).with_name(self.program), self.machine.root)

    def command(self, *words: object) -> str:
        """The command line of a service that runs the program."""
        path = self.machine.root / self.program
        return " ".join(map(str, ("/usr/bin/python3 -I -S", path, self.notes, *words)))

    def owns(self, name: str) -> bool:
        """Whether a unit (a service without its suffix) is this guest's."""
        raise NotImplementedError

    def files(self) -> dict[str, str]:
        """Its unit files, as they are wanted now."""
        raise NotImplementedError

    def begin(self) -> None:
        """A round begins."""

    def live(self) -> None:
        """Something of ordinary life."""

    def check(self) -> None:
        """In peace: AssertionError says what is not true."""

    def commit(self) -> None:
        """Commit its files as they are wanted now."""
        self.soak.commit_files(self.files())

    def news(self) -> list[dict[str, Any]]:
        """What the event log has had to say since it was asked last."""
        return self.soak.news(type(self).__name__)
