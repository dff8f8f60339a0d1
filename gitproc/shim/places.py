"""Finding the places of a sandbox: paths whose links are followed by hand, and only where that is safe.

Root follows every link, so who may put one on the way would choose what is shown, hidden or left writable.
A link that an ordinary user made may lead to what is theirs, and nowhere else. What a service may write to
is known too (`confine`): a link in there leads nowhere else either, whoever made it.
"""

# ruff: noqa: SIM105 (contextlib would cost every start 4 ms)

from __future__ import annotations

import errno
import os
import stat

_PATH_ONLY = os.O_PATH | os.O_CLOEXEC | os.O_NOFOLLOW
_LINKS_MAX = 32
_FOLDER_MODE = 0o755


class Place:
    """Where a path leads. `path`: without links; `missing`: how many of its last names are not there.

    `links`: the folders (without links) of the links that were followed.
    """

    __slots__ = ("links", "missing", "path")

    def __init__(self, path: str, missing: int, links: list[str]) -> None:
        self.path = path
        self.missing = missing
        self.links = links


def find(path: str) -> Place:
    """Follow an absolute path. OSError (ELOOP): a link on the way that nobody can be held to."""
    pending = [part for part in reversed(path.split("/")) if part not in ("", ".")]
    way = [(os.open("/", _PATH_ONLY | os.O_DIRECTORY), "")]
    makers: set[int] = set()
    links: list[str] = []
    missing: list[str] = []
    try:
        while pending:
            part = pending.pop()
            if part == "..":
                if missing:
                    raise OSError(errno.ENOENT, os.strerror(errno.ENOENT), path)
                if len(way) > 1:
                    os.close(way.pop()[0])
                continue
            if missing:
                missing.append(part)
                continue
            here = way[-1][0]
            try:
                step = os.open(part, _PATH_ONLY, dir_fd=here)
            except (FileNotFoundError, NotADirectoryError):
                missing.append(part)
                continue
            except OSError as error:
                raise OSError(error.errno, os.strerror(error.errno or 0), path) from None
            info = os.fstat(step)
            if not stat.S_ISLNK(info.st_mode):
                way.append((step, part))
                continue
            try:
                target = os.readlink("", dir_fd=step)
            finally:
                os.close(step)
            makers.add(info.st_uid)
            links.append(_joined(way))
            if len(links) > _LINKS_MAX:
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
            pending.extend(x for x in reversed(target.split("/")) if x not in ("", "."))
            if target.startswith("/"):
                while len(way) > 1:
                    os.close(way.pop()[0])
        makers -= {0, os.geteuid(), os.fstat(way[-1][0]).st_uid}
        if makers:
            raise OSError(errno.ELOOP, "a link that others could have made", path)
        plain = "/".join([_joined(way), *missing]) or "/"
        return Place(plain, len(missing), links)
    finally:
        for fd, _ in way:
            os.close(fd)


def _joined(way: list[tuple[int, str]]) -> str:
    return "/".join(name for _, name in way)


def confine(path: str, place: Place, writable: list[str]) -> None:
    """A link below a place that the service may write to leads there, or OSError (ELOOP)."""
    for link in place.links:
        for own in writable:
            within = own.rstrip("/") + "/"
            if f"{link}/".startswith(within) and not f"{place.path}/".startswith(within):
                raise OSError(errno.ELOOP, "a link that the service could have made", path)


def make(path: str, *, folder: bool) -> None:
    """Have a folder (or an empty file) at a path without links, and the folders above it (0755).

    OSError if a link is on the way, or something else is there.
    """
    here = os.open("/", _PATH_ONLY | os.O_DIRECTORY)
    try:
        *above, last = [part for part in path.split("/") if part]
        for part in above:
            here = _enter(here, part)
        try:
            if folder:
                os.mkdir(last, _FOLDER_MODE, dir_fd=here)
            else:
                flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC
                os.close(os.open(last, flags, 0o444, dir_fd=here))
        except FileExistsError:
            pass
    finally:
        os.close(here)


def _enter(here: int, part: str) -> int:
    try:
        os.mkdir(part, _FOLDER_MODE, dir_fd=here)
    except FileExistsError:
        pass
    following = os.open(part, _PATH_ONLY | os.O_DIRECTORY, dir_fd=here)
    os.close(here)
    return following
