"""The repository as the manager sees it: a branch, its commit, and the files of that commit.

Unit files are read from tree objects, never from a work tree: a bare repository serves as well, and no
half-saved edit is ever seen. One `git cat-file --batch`, kept by GitPython, answers what is asked often
(which commit, which objects); what is asked rarely (history, rollback) starts a git process of its own.
GitPython is imported once it is needed (see `gitpython.py`): adoption of running services does not wait for it.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any

from gitproc.core.events import CommitMeta
from gitproc.errors import SourceError
from gitproc.source import layout, trust
from gitproc.source.command import Command, end
from gitproc.source.gitpython import owners_git
from gitproc.source.history import History, parse_commit
from gitproc.source.measure import laid_out_bytes
from gitproc.source.notes import Notes
from gitproc.source.objects import Batch, Objects
from gitproc.source.place import Place, locate
from gitproc.source.pushed import Overlay, Pushed
from gitproc.source.reading import Reader, TreeChange, read_commit
from gitproc.source.rollback import UNDER_WAY, Rollback

__all__ = ["BranchState", "GitIntegration", "TreeChange"]


class BranchState(StrEnum):
    """What the branch is when `head()` is None or not."""

    PRESENT = "present"
    UNBORN = "unborn"  # the repository has no reference at all: nothing was ever committed here
    MISSING = "missing"  # it has others, or had this one: deleted, renamed, or the name is wrong


class GitIntegration:
    """One branch of one repository. Calls may come from several threads; each waits for the other.

    Every method raises SourceError when the repository cannot be read, is not to be trusted (see `trust`),
    or git is not there. `place` and `owner` say where it lies and whose it is.
    """

    def __init__(self, path: Path, branch: str = "main") -> None:
        """Finds the repository; SourceError if there is none. Starts nothing."""
        self.path = path
        self.branch = branch
        self.ref = f"refs/heads/{branch}"
        self.place: Place = locate(path)
        self._trust = trust.Trust(self.place)
        self._command = Command(self._trust)
        self._lock = threading.RLock()
        self._objects = Objects(self._start_batch, _stop_batch)
        self._reader = Reader(self._objects)
        self._history = History(self._command)
        self._notes = Notes(self._command, self._objects)
        self._layouts = layout.Layouts()
        self._commits: dict[str, tuple[CommitMeta, str]] = {}
        self._identity: tuple[int, int] | None = None
        self._was_there = False
        self._rolling = threading.Lock()

    @property
    def owner(self) -> trust.Owner:
        """Whose repository it is; every git process runs as this account where we are root."""
        return self._trust.owner

    @property
    def trusted(self) -> trust.Trust:
        """What git processes of this repository may do."""
        return self._trust

    @property
    def requests(self) -> int:
        """Objects asked for so far."""
        return self._objects.requests

    def head(self) -> str | None:
        """The branch's commit id; None when there is no such branch: `branch_state()` says why.

        One round trip to the running process: 0.1 ms.
        """
        with self._lock:
            self._trust.check()
            self._notice_replacement()
            found = self._objects.get(self.ref)
            if found is None:
                return None
            if found.kind != "commit" or found.data is None:
                raise SourceError(f"branch {self.branch} is not a commit but a {found.kind}")
            self._remember(found.oid, found.data)
            self._was_there = True
            return found.oid

    def branch_state(self) -> BranchState:
        """Whether the branch is there, unborn or missing; SourceError if its commit cannot be read."""
        with self._lock:
            if self.head() is not None:
                return BranchState.PRESENT
            listed = self._command.text(
                "for-each-ref", "--format=%(refname) %(objectname)", self.ref
            )
            for line in listed.splitlines():
                name, _, oid = line.rpartition(" ")
                if name == self.ref:  # the pattern also matches branches in a folder of that name
                    raise SourceError(
                        f"branch {self.branch} names {oid}, which the repository lacks: "
                        "run `git fsck` in it"
                    )
            if self._was_there or self._command.run("for-each-ref", "--count=1").out.strip():
                return BranchState.MISSING
            return BranchState.UNBORN

    def read(self, commit: str, base: str | None = None) -> TreeChange:
        """The files of `commit` that differ from those of `base`; all of them without a base.

        A base that this object has not read before counts as none (`TreeChange.full` says so).
        """
        with self._lock:
            self._trust.check()
            tree = self._commit(commit)[1]
            base_tree = None
            if base is not None:
                try:
                    base_tree = self._commit(base)[1]
                except SourceError:
                    base = None  # rewound and pruned: what it was cannot be compared any more
            return self._reader.read(commit, tree, base, base_tree)

    def read_pushed(
        self, commit: str, base: str | None, pushed: Pushed
    ) -> tuple[CommitMeta, TreeChange]:
        """`commit_info` and `read` of a commit that is still being pushed.

        LackingError names the objects that are to be fed to `pushed` before this is tried again.
        """
        with self._lock:
            self._trust.check()
            base_tree = None
            if base is not None:
                try:
                    base_tree = self._commit(base)[1]
                except SourceError:
                    base = None
            return read_commit(
                self._reader, Overlay(self._objects, pushed), commit, base, base_tree
            )

    def blob(self, oid: str, limit: int = 16 << 20) -> bytes:
        """The bytes of one file; SourceError if it is missing or larger than `limit` bytes."""
        with self._lock:
            found = self._objects.get(oid, limit)
        if found is None or found.kind != "blob":
            raise SourceError(f"no file {oid} in {self.place.path}")
        if found.data is None:
            raise SourceError(f"file {oid} has {found.size} bytes, more than {limit}")
        return found.data

    def commit_info(self, sha: str) -> CommitMeta:
        """Who committed it and when (committer's time, epoch seconds), and the message's first line."""
        with self._lock:
            return self._commit(sha)[0]

    def resolve(self, rev: str) -> str:
        """The commit id a revision names; SourceError for none, for several, for what is no commit."""
        return self._history.resolve(rev)

    def log(
        self, start: str | None = None, count: int = 20, paths: Sequence[str] = ()
    ) -> list[CommitMeta]:
        """The last `count` commits from `start` (the branch if None) back; of `paths` only, if given."""
        first = start or self.head()
        return [] if first is None else self._history.log(first, count, paths)

    def newest_first(self, since: float) -> list[str]:
        """The branch's commits back to an instant (seconds since 1970), children before parents."""
        head = self.head()
        return [] if head is None else self._history.newest_first(head, since)

    def last_change(self, paths: Sequence[str], commit: str) -> CommitMeta | None:
        """The commit, seen from `commit`, that last changed one of `paths`. About 2 ms, then kept."""
        return self._history.last_change(paths, commit)  # a long history keeps nobody else waiting

    def is_ancestor(self, ancestor: str, descendant: str) -> bool:
        """Whether `descendant` builds on `ancestor`: if not, the branch was rewound."""
        return self._history.is_ancestor(ancestor, descendant)

    def rollback(
        self,
        target: str,
        who: str,
        trailers: Mapping[str, str] | None = None,
        expected: str | None = None,
        tree: str | None = None,
    ) -> str:
        """Commit the files of `target` on top of the branch; returns the new commit's id.

        `expected`: the commit that the branch must be at. `tree`: the files, if not all of `target`. A
        work tree with the branch checked out follows. RefusedError when uncommitted work is in the way
        (`data["diagnostics"]` lists it); SourceError when the branch moved or nothing would change.
        """
        # Two at once would each take the other's files for what it has to take back.
        with self._rolling:
            sha = self.resolve(target)
            head = self.head()
            if head is None:
                raise SourceError(f"there is no branch {self.branch} to roll back")
            if expected not in (None, head):
                raise SourceError(f"the branch has moved to {head[:12]}")
            subject = self.commit_info(sha).subject
            rollback = Rollback(self._command, self.branch)
            self._undo(rollback)
            return rollback.write(head, sha, subject, who, trailers or {}, tree)

    def undo_rollback(self) -> str:
        """Take back what a rollback has left in the work tree that was cut off, if one was: its commit; else "".

        SourceError while another git process works there. One round trip to the running process.
        """
        if not self._rolling.acquire(blocking=False):
            return ""  # it is being made
        try:
            return self._undo(Rollback(self._command, self.branch))
        finally:
            self._rolling.release()

    def _undo(self, rollback: Rollback) -> str:
        with self._lock:
            self._trust.check()
            found = self._objects.get(UNDER_WAY)
        return found.oid if found is not None and rollback.undo(found.oid) else ""

    def tree(self, commit: str) -> str:
        """The id of a commit's tree."""
        with self._lock:
            return self._commit(commit)[1]

    def read_tree(self, tree: str) -> TreeChange:
        """All files of a tree that belongs to no commit yet."""
        with self._lock:
            self._trust.check()
            return self._reader.read(tree, tree, None, None)

    def compose(self, head: str, source: str, paths: Sequence[str]) -> str:
        """Write the tree of `head` with these files as they are in `source`, or not there; its id."""
        return Rollback(self._command, self.branch).compose(head, source, paths)

    def write_note(self, sha: str, text: str, when: float) -> None:
        """Set the note of a commit in refs/notes/gitproc, dated `when` (epoch seconds)."""
        with self._lock:
            self._notes.write(sha, text, when)

    def read_note(self, sha: str) -> str | None:
        """The note of a commit, None without one."""
        with self._lock:
            return self._notes.read(sha)

    def read_notes(self) -> dict[str, str]:
        """All notes by commit id."""
        with self._lock:
            return self._notes.read_all()

    def laid_out_bytes(self, commit: str, most: int) -> int:
        """Bytes of all files that `lay_out` would write; counting stops above `most`. SourceError."""
        return laid_out_bytes(self._command, commit, most)

    def lay_out(
        self, commit: str, dest: Path, keep: Sequence[str] = (), *, point: bool = True
    ) -> Path:
        """Write the commit's tree read-only to `dest/COMMIT` and return that path.

        With `point`, `dest/current` leads there from then on. Layouts of commits not in `keep` are removed,
        but for this one and the current one. Meant for a thread: it has a git process of its own and keeps
        nobody waiting.
        """
        with self._lock:
            tree = self._commit(commit)[1]
        objects = Objects(self._start_batch, _stop_batch)
        try:
            return self._layouts.write(objects, commit, tree, dest, keep, point=point)
        finally:
            objects.close()

    def point(self, commit: str, dest: Path) -> None:
        """Make `dest/current` lead to a commit that is laid out already. SourceError if it cannot."""
        try:
            layout.point_to(dest, commit)
        except OSError as error:
            raise SourceError(f"cannot point {dest}/current to {commit[:12]}: {error}") from error

    def close(self) -> None:
        """End the git process. The object can still be used: it starts another."""
        with self._lock:
            self._objects.close()

    def _commit(self, sha: str) -> tuple[CommitMeta, str]:
        known = self._commits.get(sha)
        if known is not None:
            return known
        found = self._objects.get(sha)
        if found is None or found.kind != "commit" or found.data is None:
            raise SourceError(f"no commit {sha} in {self.place.path}")
        return self._remember(sha, found.data)

    def _remember(self, sha: str, data: bytes) -> tuple[CommitMeta, str]:
        known = self._commits.get(sha)
        if known is None:
            if len(self._commits) >= 1000:
                self._commits.clear()
            known = self._commits[sha] = parse_commit(sha, data)
        return known

    def _notice_replacement(self) -> None:
        """A repository made anew at the same path needs a new process: the old one holds the old packs."""
        found = self.place.git_dir.stat()
        identity = (found.st_dev, found.st_ino)
        if self._identity not in {None, identity}:
            self._objects.close()
        self._identity = identity

    def _start_batch(self) -> Batch:
        batch: Batch = owners_git()(self._command).start_batch()
        return batch


def _stop_batch(batch: Batch) -> None:
    process: Any = batch
    if process.proc is not None:
        end(process.proc)
        process.proc = None  # GitPython would otherwise close and wait once more
