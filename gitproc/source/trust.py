"""Whose repository it is, and what a git process may do in it.

A repository belongs to one owner and nobody else can write it: who can write it decides what runs here.
Every git process runs as that owner, never with more rights, because a repository can name programs to
run (hooks, fsmonitor, filters, signature checkers): all of those are switched off, and should git grow
another, it runs as somebody who could have run it anyway. The environment is built from nothing, so no
GIT_DIR of a hook and no configuration of a user or the machine changes what a commit means.
"""

from __future__ import annotations

import os
import pwd
import stat
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from gitproc.errors import SourceError
from gitproc.immutable import immutable
from gitproc.source.place import Place

_PARTS = (
    "",
    "HEAD",
    "config",
    "objects",
    "objects/info",
    "objects/pack",
    "packed-refs",
    "refs",
    "refs/heads",
    "reftable",
)

_OVERFLOW = 65534  # how owners look that a user namespace has no number for

_SETTINGS = (
    ("advice.graftFileDeprecated", "false"),  # /dev/null as graft file is meant as "none"
    ("core.hooksPath", "/dev/null"),
    ("core.fsmonitor", "false"),
    ("core.attributesFile", "/dev/null"),
    ("core.excludesFile", "/dev/null"),
    ("core.pager", "cat"),
    ("core.alternateRefsCommand", "false"),
    ("core.protectHFS", "true"),
    ("core.protectNTFS", "true"),
    ("commit.gpgSign", "false"),
    ("credential.helper", ""),
    ("diff.ignoreSubmodules", "all"),
    ("gc.auto", "0"),
    ("log.showSignature", "false"),
    ("maintenance.auto", "false"),
    ("protocol.allow", "never"),
    ("submodule.recurse", "false"),
)

_ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/nonexistent",
    "LC_ALL": "C",
    "GIT_ALLOW_PROTOCOL": "",
    "GIT_ASKPASS": "false",
    "GIT_ATTR_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_EDITOR": "false",
    "GIT_GRAFT_FILE": "/dev/null",
    "GIT_LITERAL_PATHSPECS": "1",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_PAGER": "cat",
    "GIT_SSH_COMMAND": "false",
    "GIT_TERMINAL_PROMPT": "0",
}


@immutable
class Owner:
    """A numeric identity and the name to show for it."""

    uid: int
    gid: int
    name: str


def owner_of_uid(uid: int) -> Owner:
    """The account of `uid`; one without an entry gets no group of its own (65534)."""
    try:
        entry = pwd.getpwuid(uid)
    except KeyError:
        return Owner(uid, 65534, str(uid))
    return Owner(uid, entry.pw_gid, entry.pw_name)


@cache
def _in_user_namespace() -> bool:
    try:
        words = Path("/proc/self/uid_map").read_text(encoding="ascii").split()
    except OSError:
        return False
    return words != ["0", "0", "4294967295"]


def _is_outside(uid: int) -> bool:
    """Whether an owner is outside of our user namespace: who made that answers for it."""
    return uid == _OVERFLOW and _in_user_namespace()


class Trust:
    """The owner of one repository, pinned when made: a repository that changes hands is refused."""

    def __init__(self, place: Place) -> None:
        try:
            uid = place.git_dir.stat().st_uid
        except OSError as error:
            raise SourceError(f"cannot read {place.git_dir}: {error.strerror}") from error
        self.place = place
        self.owner = owner_of_uid(uid)
        self._checked = [place.git_dir / part for part in _PARTS]
        if place.work_tree is not None:
            self._checked.insert(0, place.work_tree)
        self._above = list(place.path.parents)
        self._environment = _environment(place)

    def check(self) -> None:
        """Refuse (SourceError) a repository that somebody but its owner and root can write.

        A dozen stat calls: the top of the repository, not every object, since who cannot write the
        directories above cannot have written below them later.
        """
        for path in self._checked:
            try:
                found = path.stat()
            except FileNotFoundError:
                if path == self.place.git_dir:
                    raise SourceError(f"the repository {self.place.path} is gone") from None
                continue
            except OSError as error:
                raise SourceError(f"cannot read {path}: {error.strerror}") from error
            if found.st_uid not in (self.owner.uid, 0):
                stranger = owner_of_uid(found.st_uid).name
                raise SourceError(
                    f"{path} belongs to {stranger}, but the repository to {self.owner.name}: "
                    f"run `chown -R {self.owner.name} {self.place.path}`"
                )
            if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
                who = "everybody" if found.st_mode & stat.S_IWOTH else "its group"
                raise SourceError(
                    f"{path} can be written by {who}, who could thus run anything here: "
                    f"run `chmod -R go-w {self.place.path}`"
                )
        for path in self._above:
            self._check_above(path)

    def _check_above(self, path: Path) -> None:
        """Who can rename what lies in a folder could put another repository in the place of this one."""
        found = path.stat()
        sticky = bool(found.st_mode & stat.S_ISVTX)
        if found.st_uid not in (self.owner.uid, 0) and not _is_outside(found.st_uid):
            stranger = owner_of_uid(found.st_uid).name
            raise SourceError(
                f"{path} belongs to {stranger}, who could thus replace {self.place.path}: "
                f"move the repository, or run `chown {self.owner.name} {path}`"
            )
        if found.st_mode & stat.S_IWOTH and not sticky:
            raise SourceError(
                f"{path} can be written by everybody, who could thus replace {self.place.path}: "
                f"run `chmod o-w {path}`"
            )
        if found.st_mode & stat.S_IWGRP and found.st_gid != 0 and not sticky:
            raise SourceError(
                f"{path} can be written by its group, who could thus replace {self.place.path}: "
                f"run `chmod g-w {path}`"
            )

    def environment(self, extra: Mapping[str, str] | None = None) -> dict[str, str]:
        """The whole environment of a git process."""
        return {**self._environment, **(extra or {})}

    def identity(self) -> dict[str, Any]:
        """`subprocess.Popen` arguments that make the process the owner's; none where it is already."""
        if os.geteuid() != 0 or self.owner.uid == 0:
            return {}
        return {"user": self.owner.uid, "group": self.owner.gid, "extra_groups": ()}


def _environment(place: Place) -> dict[str, str]:
    settings = [("safe.directory", str(place.git_dir)), *_SETTINGS]
    if place.work_tree is not None:
        settings.insert(0, ("safe.directory", str(place.work_tree)))
    result = {**_ENVIRONMENT, "GIT_DIR": str(place.git_dir), "GIT_CONFIG_COUNT": str(len(settings))}
    for number, (key, value) in enumerate(settings):
        result[f"GIT_CONFIG_KEY_{number}"] = key
        result[f"GIT_CONFIG_VALUE_{number}"] = value
    return result
