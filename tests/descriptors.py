"""What a test leaves open: descriptors of this process that were not there before."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path


def descriptors() -> set[tuple[str, str]]:
    """Number and meaning of each that is open.

    To be compared as sets: what an earlier test has dropped may be closed at any time.
    """
    found = set()
    for entry in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):  # it was that of the folder
            found.add((entry.name, str(entry.readlink())))
    return {x for x in found if x[1] != f"/proc/{os.getpid()}/fd"}
