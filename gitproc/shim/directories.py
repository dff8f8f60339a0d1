"""Directories a service owns (RuntimeDirectory= and its kin of systemd.exec(5)), made as root and safely.

The walk goes from / by directory descriptors and never follows a link that somebody else could have put
there: a link is followed only if it and the directory it lies in belong to root (or to us) and nobody else
may write there. So /var may be a link to another disk, and a service that replaces its own sub-directory
by a link to /etc gains nothing. Files that are opened for a service are reached the same way.
"""

import errno
import os
import stat

_OPEN = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW
_STICKY_OR_SAFE = stat.S_IWGRP | stat.S_IWOTH
_MAX_LINKS = 16


def make(path: str, mode: int, uid: int, gid: int, *, keep_mode: bool = False) -> None:
    """Create `path` and its parents (0755) and give it mode and owner (-1: leave); OSError if it cannot be.

    What lies in a directory that existed with another owner changes its owner too. `keep_mode`: one that
    existed keeps its mode.
    """
    directory, existed = _walk(path)
    try:
        info = os.fstat(directory)
        owner = (info.st_uid if uid < 0 else uid, info.st_gid if gid < 0 else gid)
        if (info.st_uid, info.st_gid) != owner:
            if existed:
                _chown_tree(directory, *owner)
            os.fchown(directory, *owner)
        if stat.S_IMODE(info.st_mode) != mode and not (existed and keep_mode):
            os.fchmod(directory, mode)
    finally:
        os.close(directory)


def link(target: str, path: str) -> None:
    """Have a symbolic link `path` to `target`, and `path`'s parents; OSError if something else is there."""
    parent, _ = _walk(os.path.dirname(path))
    try:
        name = os.path.basename(path)
        try:
            os.symlink(target, name, dir_fd=parent)
        except FileExistsError:
            if _link_at(parent, name) != target:
                raise OSError(errno.EEXIST, os.strerror(errno.EEXIST), path) from None
    finally:
        os.close(parent)


def move(source: str, target: str) -> None:
    """Take a folder (no link) to another place on its disk, unless one is there; OSError.

    The folder that `target` lies in is made for root alone.
    """
    parent, name = os.path.split(source)
    try:
        here, _ = _walk(parent, make=False)
    except FileNotFoundError:
        return
    try:
        if not stat.S_ISDIR(os.stat(name, dir_fd=here, follow_symlinks=False).st_mode):
            return
        make(os.path.dirname(target), 0o700, 0, 0)
        there, _ = _walk(os.path.dirname(target), make=False)
        try:
            os.rename(name, os.path.basename(target), src_dir_fd=here, dst_dir_fd=there)
        except OSError as error:
            if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
                raise
        finally:
            os.close(there)
    except FileNotFoundError:
        return
    finally:
        os.close(here)


def _link_at(directory: int, name: str) -> str:
    try:
        return os.readlink(name, dir_fd=directory)
    except OSError:
        return ""


def open_below(path: str, flags: int, mode: int) -> int:
    """Open a file as open(2) does, but for links that others could have made: OSError (ELOOP)."""
    for _ in range(_MAX_LINKS):
        head, _, name = path.rpartition("/")
        parent, _ = _walk(head or "/", make=False)
        try:
            fd = _open_here(parent, name, flags, mode)
            if fd >= 0:
                return fd
            target = _trusted_link(parent, name)
            path = target if target.startswith("/") else f"{head}/{target}"
        except OSError as error:
            if error.filename == name:
                raise OSError(error.errno, error.strerror, path) from None
            raise
        finally:
            os.close(parent)
    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)


def _open_here(folder: int, name: str, flags: int, mode: int) -> int:
    """The entry of a folder, opened; -1 for a link."""
    try:
        fd = os.open(name, flags | os.O_NOFOLLOW, mode, dir_fd=folder)
    except OSError as error:
        if error.errno == errno.ELOOP:
            return -1
        raise
    if flags & os.O_PATH and stat.S_ISLNK(os.fstat(fd).st_mode):
        os.close(fd)
        return -1
    return fd


def _walk(path: str, *, make: bool = True) -> tuple[int, bool]:
    names = [name for name in reversed(path.split("/")) if name not in ("", ".")]
    if not path.startswith("/") or ".." in names:
        raise OSError(errno.EINVAL, "not an absolute, plain path", path)
    current, existed, links = os.open("/", _OPEN), True, 0
    try:
        while names:
            name = names.pop()
            try:
                following, existed = _enter(current, name, make)
            except OSError as error:
                if error.errno not in (errno.ELOOP, errno.ENOTDIR):
                    raise
                target = _trusted_link(current, name)
                links += 1
                if links > _MAX_LINKS:
                    raise
                names.extend(part for part in reversed(target.split("/")) if part not in ("", "."))
                if not target.startswith("/"):
                    continue
                following = os.open("/", _OPEN)
            os.close(current)
            current = following
    except BaseException:
        os.close(current)
        raise
    return current, existed


def _enter(directory: int, name: str, make: bool) -> tuple[int, bool]:
    try:
        return os.open(name, _OPEN, dir_fd=directory), True
    except FileNotFoundError:
        if not make:
            raise
    try:
        os.mkdir(name, 0o755, dir_fd=directory)
    except FileExistsError:
        return os.open(name, _OPEN, dir_fd=directory), True
    return os.open(name, _OPEN, dir_fd=directory), False


def _trusted_link(directory: int, name: str) -> str:
    ours = (0, os.geteuid())
    parent, link = os.fstat(directory), os.stat(name, dir_fd=directory, follow_symlinks=False)
    if not stat.S_ISLNK(link.st_mode):
        raise OSError(errno.ENOTDIR, "not a directory", name)
    if parent.st_uid not in ours or link.st_uid not in ours or parent.st_mode & _STICKY_OR_SAFE:
        raise OSError(errno.ELOOP, "a link that others could have made", name)
    return os.readlink(name, dir_fd=directory)


def _chown_tree(directory: int, uid: int, gid: int) -> None:
    """Without recursion, and with few descriptors: who fills a folder may nest it deeper than any stack goes.

    The way back up is by `..`, which is held against where we came from.
    """
    here = os.dup(directory)
    try:
        way = [(os.fstat(here), _chown_entries(here, uid, gid))]
        while way:
            folders = way[-1][1]
            if folders:
                step = folders.pop()
            else:
                way.pop()
                if not way:
                    break
                step = ".."
            following = os.open(step, _OPEN, dir_fd=here)
            os.close(here)
            here = following
            if step != "..":
                way.append((os.fstat(here), _chown_entries(here, uid, gid)))
            elif not os.path.samestat(os.fstat(here), way[-1][0]):
                raise OSError(errno.ESTALE, "a folder in it was moved meanwhile")
    finally:
        os.close(here)


def _chown_entries(directory: int, uid: int, gid: int) -> list[str]:
    """Give away what is in a folder; the folders among it."""
    folders = []
    with os.scandir(directory) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                folders.append(entry.name)
            os.chown(entry.name, uid, gid, dir_fd=directory, follow_symlinks=False)
    return folders
