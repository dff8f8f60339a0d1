"""What a service sees of the file system: marked paths, bind mounts, covered places."""

from __future__ import annotations

import re

from gitproc.immutable import NamedTuple
from gitproc.units.paths import is_normalized, parse_path
from gitproc.units.words import split_words


class MarkedPath(NamedTuple):
    """A path, whether it may be missing (`-`), and whether it is below RootDirectory= (`+`)."""

    path: str
    optional: bool = False
    below_root: bool = False


class BindMount(NamedTuple):
    """`source` shown at `target`; `optional`: source may be missing; `recursive`: with mounts below it."""

    source: str
    target: str
    optional: bool = False
    recursive: bool = True


class EmptyMount(NamedTuple):
    """An empty file system over `path`, with mount options of tmpfs(5)."""

    path: str
    options: str = ""


def parse_marked_paths(text: str) -> tuple[MarkedPath, ...]:
    """Absolute paths separated by blanks, each perhaps led by `-` and `+`."""
    return tuple(_marked(word) for word in split_words(text))


def _marked(word: str) -> MarkedPath:
    bare = word.removeprefix("-")
    path = bare.removeprefix("+")
    return MarkedPath(parse_path(path), bare != word, path != bare)


def parse_bind_mounts(text: str) -> tuple[BindMount, ...]:
    r"""`[-]SOURCE[:TARGET[:OPTIONS]]`, several separated by blanks; `\:` is a colon of a path."""
    return tuple(_bind(word) for word in split_words(text))


def _bind(word: str) -> BindMount:
    bare = word.removeprefix("-")
    parts = _fields(bare, 3)
    source = _place(parts[0])
    target = _place(parts[1]) if len(parts) > 1 else source
    recursive = True
    for option in parts[2].split(",") if len(parts) > 2 else ():
        if option not in ("", "rbind", "norbind"):
            raise ValueError(f"'{option}' is neither rbind nor norbind")
        recursive = option != "norbind" if option else recursive
    return BindMount(source, target, bare != word, recursive)


def parse_empty_mounts(text: str) -> tuple[EmptyMount, ...]:
    """`PATH[:OPTIONS]`, several separated by blanks."""
    found = []
    for word in split_words(text):
        path, *options = _fields(word, 2)
        found.append(EmptyMount(_place(path), options[0] if options else ""))
    return tuple(found)


def _fields(word: str, most: int) -> list[str]:
    parts = [part.replace("\\:", ":") for part in re.split(r"(?<!\\):", word, maxsplit=most - 1)]
    if not parts[0]:
        raise ValueError(f"'{word}' names no path")
    return parts


def _place(path: str) -> str:
    simple = parse_path(path)
    if not is_normalized(simple):
        raise ValueError(f"'{path}' may not hold '..'")
    return simple
