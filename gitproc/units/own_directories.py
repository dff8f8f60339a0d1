"""Folders that a service owns, as RuntimeDirectory= and its kin write them (systemd.exec(5))."""

from __future__ import annotations

from gitproc.immutable import NamedTuple
from gitproc.units.paths import is_normalized, is_valid_path, path_simplify
from gitproc.units.words import is_text, split_words


class OwnDirectory(NamedTuple):
    """A folder below the run, state, cache, logs or configuration directory, and a link to it there ("": none)."""

    path: str
    link: str = ""


def parse_own_directories(text: str) -> tuple[OwnDirectory, ...]:
    """`FOLDER` or `FOLDER:LINK`, both relative and without `..`. ValueError for flags behind a second colon."""
    found = []
    for word in split_words(text):
        folder, *more = word.split(":")
        if len(more) > 1:
            if more[1:] != [""]:
                raise ValueError(f"'{word}': flags such as ro are not supported")
        found.append(OwnDirectory(_name(folder), _name(more[0]) if more and more[0] else ""))
    return tuple(found)


def parse_configuration_directories(text: str) -> tuple[OwnDirectory, ...]:
    """As `parse_own_directories`, without links."""
    found = parse_own_directories(text)
    for each in found:
        if each.link:
            raise ValueError(f"'{each.path}:{each.link}': ConfigurationDirectory= has no links")
    return found


def _name(word: str) -> str:
    if word.startswith("/") or not word:
        raise ValueError(f"'{word}' must be relative: it is created below a fixed directory")
    name = path_simplify(word)
    if not is_normalized(name) or not is_text(name) or not is_valid_path(name):
        raise ValueError(f"'{word}' is not a usable directory name")
    if name == "private" or name.startswith("private/"):
        raise ValueError("'private' is reserved (DynamicUser=)")
    return name
