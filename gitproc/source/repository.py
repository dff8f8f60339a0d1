"""Making the repository of desired state, or taking over one that is there.

Safe to repeat: what is as it should be is left alone, and what was done is said. Nothing is ever removed,
no branch is moved, and files that lie in the directory already are left for somebody to commit.
"""

from __future__ import annotations

import os
import pwd
from pathlib import Path

from gitproc.errors import SourceError
from gitproc.immutable import immutable
from gitproc.source.command import Command
from gitproc.source.place import Place, find, locate
from gitproc.source.trust import Owner, Trust, owner_of_uid


@immutable
class Prepared:
    """The repository, whether it was made just now, and each thing done or worth knowing, for people."""

    place: Place
    owner: Owner
    created: bool
    steps: tuple[str, ...]


def prepare(
    path: Path, branch: str = "main", bare: bool = False, owner: str | None = None
) -> Prepared:
    """Make the repository at `path`, or adopt the one there; SourceError with what stands in the way.

    A new one belongs to `owner` (a user's name; by default whoever calls), its branch is unborn. With a
    work tree, a push to the branch updates the files (`receive.denyCurrentBranch=updateInstead`).
    """
    place = find(path)
    if place is not None:
        return _adopt(place, branch, bare, owner)
    if path.exists() and (not path.is_dir() or (path / ".git").exists()):
        locate(path)  # says what is there instead
    files = sorted(entry.name for entry in path.iterdir()) if path.exists() else []
    if files and bare:
        raise SourceError(
            f"{path} holds files ({', '.join(files[:3])}{', ...' if len(files) > 3 else ''}) and is not "
            "a git repository: a bare one needs an empty directory"
        )
    account = _account(owner, path)
    place = _make(path.resolve(), branch, bare, account)
    steps = [f"made the repository {path} (branch {branch}, owner {account.name})"]
    if files:
        steps.append(
            f"{len(files)} entries of {path} are not committed: `git -C {path} add .`, then `git commit`"
        )
    command = Command(Trust(place))
    steps += _accept_pushes(command)
    return Prepared(place, account, True, tuple(steps))


def _adopt(place: Place, branch: str, bare: bool, owner: str | None) -> Prepared:
    trust = Trust(place)
    command = Command(trust)
    if owner is not None and _user(owner).uid != trust.owner.uid:
        raise SourceError(
            f"{place.path} belongs to {trust.owner.name}, not {owner}: "
            f"run `chown -R {owner} {place.path}` first"
        )
    steps: list[str] = []
    ref = f"refs/heads/{branch}"
    if command.run("show-ref", "--verify", "--quiet", ref, accept=(0, 1)).status != 0:
        others = command.text("for-each-ref", "--format=%(refname:short)", "refs/heads").split()
        if others:
            raise SourceError(
                f"{place.path} has no branch {branch}; it has {', '.join(others[:5])}: set `branch` in "
                f"config.toml, or run `git -C {place.path} branch {branch} {others[0]}`"
            )
        if (
            command.run("symbolic-ref", "--quiet", "HEAD", accept=(0, 1)).out.decode().strip()
            != ref
        ):
            command.run("symbolic-ref", "HEAD", ref)
            steps.append(f"made {branch} the branch of the first commit")
    if bare and place.work_tree is not None:
        steps.append(f"{place.path} has a work tree: kept, though a bare repository was asked for")
    steps += _accept_pushes(command)
    return Prepared(place, trust.owner, False, tuple(steps))


def _accept_pushes(command: Command) -> list[str]:
    """Let a push to the checked-out branch update the files, unless somebody has decided otherwise."""
    if command.trust.place.work_tree is None:
        return []
    key = "receive.denyCurrentBranch"
    if command.run("config", "--get", key, accept=(0, 1)).out.strip():
        return []
    command.run("config", key, "updateInstead")
    return ["a push to the branch updates the work tree (receive.denyCurrentBranch=updateInstead)"]


def _make(path: Path, branch: str, bare: bool, account: Owner) -> Place:
    place = Place(path, None) if bare else Place(path / ".git", path)
    try:
        for folder in (path, place.git_dir):
            fresh = not folder.exists()
            folder.mkdir(mode=0o755, parents=True, exist_ok=True)
            if fresh:
                folder.chmod(0o755)
            if os.geteuid() == 0 and folder.stat().st_uid != account.uid:
                os.chown(folder, account.uid, account.gid)
    except OSError as error:
        raise SourceError(f"cannot make {path}: {error.strerror}") from error
    extra = {} if bare else {"GIT_WORK_TREE": str(path)}
    arguments = ["init", "--quiet", "--template=", f"--initial-branch={branch}"]
    try:
        Command(Trust(place)).run(*arguments, *(["--bare"] if bare else []), environment=extra)
    except SourceError:
        if not bare and not any(place.git_dir.iterdir()):
            place.git_dir.rmdir()
        raise
    return place


def _account(owner: str | None, path: Path) -> Owner:
    """Who is to own a new repository: the user named, else the directory's owner, else the caller."""
    if owner is None:
        return owner_of_uid(path.stat().st_uid if path.exists() else os.geteuid())
    account = _user(owner)
    if os.geteuid() not in (0, account.uid):
        raise SourceError(f"only root can make a repository that belongs to {owner}")
    return account


def _user(name: str) -> Owner:
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        raise SourceError(f"there is no user {name}") from None
    return Owner(entry.pw_uid, entry.pw_gid, entry.pw_name)
