"""How many bytes the files of a commit have, which are laid out for units: told before a disk is filled.

A small push can name gigabytes: content compresses well, and one file may stand in a thousand places.
"""

from __future__ import annotations

from gitproc.errors import SourceError
from gitproc.source.command import Command, end
from gitproc.source.layout import MAX_FILE_BYTES

_BLOCK = 1 << 16


def laid_out_bytes(command: Command, commit: str, most: int) -> int:
    """Bytes of all files that a layout of `commit` has; counting stops above `most`.

    SourceError when git cannot say.
    """
    total = 0
    process = command.popen("ls-tree", "-r", "-l", "-z", "--full-tree", commit, stdin=None)
    try:
        assert process.stdout is not None
        rest = b""
        while block := process.stdout.read(_BLOCK):
            *entries, rest = (rest + block).split(b"\0")
            for entry in entries:
                size = entry.partition(b"\t")[0].split()[3]  # mode, kind, id, size
                if size.isdigit() and int(size) <= MAX_FILE_BYTES:
                    total += int(size)
            if total > most:
                return total
        if process.wait(10):
            raise SourceError(f"cannot list the files of {commit[:12]}")
    finally:
        end(process)
    return total
