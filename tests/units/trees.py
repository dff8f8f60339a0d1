"""Trees for tests: paths and texts in, a unit set out."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from gitproc.units.loader import LoadOptions, SourceFile, UnitSet, load
from gitproc.units.specifiers import Host

HOST = Host(hostname="box.example", machine_id="0" * 32, boot_id="1" * 32)
SERVICE = "[Service]\nExecStart=/bin/sleep 1\n"


class Link(str):
    """The target of a symbolic link."""


def source(path: str, content: str | bytes) -> SourceFile:
    """A file with the text, or a link if it is a Link."""
    data = content if isinstance(content, bytes) else content.encode()
    oid = hashlib.sha1(data + b"%d" % isinstance(content, Link)).hexdigest()
    return SourceFile(path, oid, data, str(content) if isinstance(content, Link) else None)


def tree(files: Mapping[str, str | bytes], *allowed: str, private_pids: bool = False) -> UnitSet:
    """Load files given as path -> text, `allowed` directives going unenforced."""
    options = LoadOptions(frozenset(allowed), private_pids)
    return load([source(path, content) for path, content in files.items()], HOST, options)


def texts(units: UnitSet, severity: str = "") -> list[str]:
    """The diagnostics as printed, of one severity or all."""
    return [str(d) for d in units.diagnostics if not severity or d.severity == severity]
