"""Paths in settings: absolute, tidied, and never with a character no path of a service needs."""

from __future__ import annotations

from gitproc.immutable import immutable
from gitproc.units.words import is_text, split_words

_MAX_PATH = 4096
_MAX_NAME = 255


@immutable
class WorkDir:
    """WorkingDirectory=: an absolute path or `~` (home of the user); whether it may be missing."""

    path: str
    optional: bool = False


@immutable
class EnvFile:
    """EnvironmentFile=: an absolute path (wildcards allowed); whether it may be missing."""

    path: str
    optional: bool = False


def path_simplify(path: str) -> str:
    """Without doubled and trailing slashes, `.` components, and `..` right below the root."""
    if "//" not in path and "/." not in path and path[:1] == "/" and (path[-1] != "/"):
        return path
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if not path.startswith("/"):
        return "/".join(parts) or path[:1]
    while parts and parts[0] == "..":
        del parts[0]
    return "/" + "/".join(parts)


def is_normalized(path: str) -> bool:
    """Whether no component of the path is `.` or `..`."""
    return not any(part in (".", "..") for part in path.split("/"))


def is_valid_path(path: str) -> bool:
    """Whether the kernel would take the path: not empty, and no longer than its limits."""
    if not path or len(path) >= _MAX_PATH or "\0" in path:
        return False
    return len(path) <= _MAX_NAME or all(len(part) <= _MAX_NAME for part in path.split("/"))


def parse_path(text: str) -> str:
    """An absolute path, simplified; ValueError if relative, too long, not UTF-8, or if it climbs (`/a/../b`)."""
    if not text.startswith("/"):
        raise ValueError(f"'{text}' is not an absolute path")
    if not is_text(text):
        raise ValueError(f"{text!a} is not valid UTF-8")
    if not is_valid_path(text):
        raise ValueError("the path is too long")
    path = path_simplify(text)
    if "/.." in path and not is_normalized(path):
        raise ValueError(f"the path '{text}' climbs: no `..` may be in it")
    return path


def parse_paths(text: str) -> tuple[str, ...]:
    """Absolute paths separated by white space, each simplified."""
    return tuple(parse_path(word) for word in split_words(text))


def parse_work_dir(text: str) -> WorkDir | None:
    """WorkingDirectory=: `-` in front tolerates absence, `~` is the user's home; empty resets."""
    if not text:
        return None
    path = text.removeprefix("-")
    return WorkDir("~" if path == "~" else parse_path(path), path != text)


def parse_env_files(text: str) -> tuple[EnvFile, ...]:
    """EnvironmentFile=: one path a line, `-` in front tolerates absence; empty resets."""
    if not text:
        return ()
    path = text.removeprefix("-")
    return (EnvFile(parse_path(path), path != text),)
