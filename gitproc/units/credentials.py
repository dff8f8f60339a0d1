"""What the directives of credentials say: names, texts, and where to load from (systemd.exec(5), "Credentials")."""

from __future__ import annotations

from gitproc.immutable import NamedTuple
from gitproc.units.paths import is_normalized, is_valid_path, path_simplify
from gitproc.units.wildcards import is_pattern
from gitproc.units.words import cunescape

NAME_MAX = 255


class Given(NamedTuple):
    """A credential whose text stands in the unit."""

    name: str
    data: bytes


class Loaded(NamedTuple):
    """A credential to be read: `source` is an absolute path, or a name in the credential stores."""

    name: str
    source: str


class Imported(NamedTuple):
    """Credentials of the stores whose names match a pattern; `rename` replaces what stands before its star."""

    pattern: str
    rename: str = ""


def is_credential_name(text: str) -> bool:
    """Whether a credential may be called that: it becomes a file's name."""
    return (
        0 < len(text) <= NAME_MAX
        and text not in (".", "..")
        and all(" " <= char <= "~" and char not in "/:" for char in text)
    )


def parse_given(text: str) -> tuple[Given, ...]:
    """`NAME:TEXT`, C escapes of the text decoded."""
    name, colon, data = text.partition(":")
    if not colon:
        raise ValueError("a credential is NAME:TEXT")
    return (Given(_name(name), cunescape(data).encode("utf-8", "surrogateescape")),)


def parse_loaded(text: str) -> tuple[Loaded, ...]:
    """`NAME`, `NAME:PATH` or `NAME:NAME OF THE STORE`."""
    name, colon, source = text.partition(":")
    name = _name(name)
    if not colon:
        return (Loaded(name, name),)
    if not source.startswith("/"):
        return (Loaded(name, _name(source)),)
    path = path_simplify(source)
    if not is_normalized(path) or not is_valid_path(path):
        raise ValueError(f"'{source}' is not a usable path")
    return (Loaded(name, path),)


def parse_imported(text: str) -> tuple[Imported, ...]:
    """`PATTERN` or `PATTERN:NEW BEGINNING OF THE NAMES`; a star may stand at the pattern's end alone."""
    pattern, colon, rename = text.partition(":")
    head = pattern.removesuffix("*")
    if (head or not pattern) and not is_credential_name(head):
        raise ValueError(f"'{pattern}' cannot be the name of a credential")
    if is_pattern(head):
        raise ValueError(f"'{pattern}': a star can stand at the end alone")
    return (Imported(pattern, _name(rename) if colon else ""),)


def _name(text: str) -> str:
    if not is_credential_name(text):
        raise ValueError(f"'{text[:80]}' cannot be the name of a credential")
    return text
