"""Rollback: a new commit on the branch whose tree is an earlier commit's, so that history only grows.

Work tree first, reference second, as git itself does for a push that updates both: should the branch have
moved meanwhile, the files go back. What somebody has not committed is never overwritten. Until the branch has moved
a reference names the new commit: where a rollback is cut off in between, its files are taken back (`undo`).
"""

from __future__ import annotations

import contextlib
import os
import re
import socket
from collections.abc import Mapping, Sequence

from gitproc.errors import RefusedError, SourceError
from gitproc.source.command import Command
from gitproc.units.diagnostics import Diagnostic, Location

UNDER_WAY = "refs/gitproc/rollback"
"""Names the commit of a rollback whose files may lie in the work tree, and that the branch has not reached."""


class Rollback:
    """Writes rollback commits on one branch."""

    def __init__(self, command: Command, branch: str) -> None:
        self._command = command
        self._ref = f"refs/heads/{branch}"

    def write(
        self,
        head: str,
        target: str,
        subject: str,
        who: str,
        trailers: Mapping[str, str],
        tree: str | None = None,
    ) -> str:
        """Commit `tree` (`target`'s if None) on top of `head`, move the branch, return the commit's id.

        The message is "Roll back to `subject`" with trailers Rollback-To, Requested-By and those given.
        RefusedError when files of the work tree hold uncommitted changes; SourceError when the branch
        is no longer at `head` or there is nothing to undo.
        """
        tree = tree or self._command.text("rev-parse", f"{target}^{{tree}}")
        if tree == self._command.text("rev-parse", f"{head}^{{tree}}"):
            raise SourceError(
                f"nothing to roll back: the branch already has the files of {target[:12]}"
            )
        work_tree = self._work_tree()
        if work_tree:
            self._refuse_dirty(work_tree, head, tree)
        new = self._commit(tree, head, target, subject, who, trailers)
        orders = f"update {self._ref} {new} {head}\n"
        if work_tree:
            self._command.run("update-ref", UNDER_WAY, new)
            orders += f"delete {UNDER_WAY} {new}\n"
            try:
                self._switch(work_tree, head, new)
            except SourceError:
                self._forget(new)
                raise
        moved = self._command.run(
            "update-ref", "--stdin", "-m", f"gitproc rollback to {target[:12]}",
            stdin=orders.encode(), accept=(0, 1, 128),
        )  # fmt: skip
        if moved.status != 0:
            if work_tree:
                with contextlib.suppress(SourceError):
                    self._switch(work_tree, new, head)
                self._forget(new)
            raise SourceError(f"the branch moved during the rollback, try again: {moved.err}")
        return new

    def undo(self, new: str) -> bool:
        """Take the files of `new` back, the commit of a rollback that was cut off; False if none lie there.

        What somebody has changed in them since, or committed, is his. SourceError while another git process
        works on the files.
        """
        work_tree = self._work_tree()
        head, parent = self._command.text("rev-parse", self._ref, f"{new}^").split()
        taken = False
        if work_tree and head == parent:
            lock = self._command.trust.place.git_dir / "index.lock"
            if os.path.lexists(lock):
                raise SourceError(f"{lock} is there: another git process works on the files")
            staged = self._command.run(
                "diff-index", "--cached", "--quiet", new, environment=work_tree, accept=(0, 1)
            )
            with contextlib.suppress(SourceError):
                self._switch(work_tree, new, head)
                taken = staged.status == 0
        self._forget(new)
        return taken

    def _forget(self, new: str) -> None:
        self._command.run("update-ref", "-d", UNDER_WAY, new)

    def compose(self, head: str, source: str, paths: Sequence[str]) -> str:
        """Write the tree of `head` with the files at `paths` as in `source` (or gone); its id."""
        found = self._command.run(
            "--literal-pathspecs", "ls-tree", "-r", "-z", "--full-tree", source, "--", *paths
        ).out
        lines = [b"0 %s\t%s" % (b"0" * len(head), path.encode()) for path in paths]
        for record in filter(None, found.split(b"\0")):
            attributes, _, path = record.partition(b"\t")
            mode, _, oid = attributes.split(b" ")
            lines.append(b"%s %s\t%s" % (mode, oid, path))
        index = self._command.trust.place.git_dir / f"gitproc-{os.urandom(8).hex()}.index"
        environment = {"GIT_INDEX_FILE": str(index)}
        try:
            self._command.run("read-tree", head, environment=environment)
            self._command.run(
                "update-index", "-z", "--add", "--replace", "--index-info",
                stdin=b"".join(line + b"\0" for line in lines), environment=environment,
            )  # fmt: skip
            return self._command.text("write-tree", environment=environment)
        finally:
            index.unlink(missing_ok=True)

    def _commit(
        self,
        tree: str,
        parent: str,
        target: str,
        subject: str,
        who: str,
        trailers: Mapping[str, str],
    ) -> str:
        lines = {"Rollback-To": target, "Requested-By": who, **trailers}
        tail = "\n".join(f"{key}: {_one_line(value)}" for key, value in lines.items())
        name = re.sub(r"[<>]", "", _one_line(who)).strip() or "gitproc"
        mail = f"gitproc@{socket.gethostname()}"
        environment = {
            "GIT_AUTHOR_NAME": name,
            "GIT_AUTHOR_EMAIL": mail,
            "GIT_COMMITTER_NAME": "gitproc",
            "GIT_COMMITTER_EMAIL": mail,
        }
        what = f" {lines['Rollback-Units']}" if "Rollback-Units" in lines else ""
        message = f'Roll back{what} to "{_one_line(subject)}"\n\n{tail}\n'
        return self._command.text(
            "commit-tree", tree, "-p", parent, stdin=message.encode(), environment=environment
        )

    def _work_tree(self) -> dict[str, str] | None:
        """Environment for commands on the work tree, None unless the branch is checked out in one."""
        top = self._command.trust.place.work_tree
        if top is None:
            return None
        symbolic = self._command.run("symbolic-ref", "--quiet", "HEAD", accept=(0, 1))
        if symbolic.out.decode(errors="replace").strip() != self._ref:
            return None
        bare = self._command.run("config", "--type=bool", "core.bare", accept=(0, 1)).out.strip()
        if bare == b"true":
            return None
        return {"GIT_WORK_TREE": str(top), **self._without_filters()}

    def _without_filters(self) -> dict[str, str]:
        """Configuration that empties every filter the repository defines: they are programs to run."""
        found = self._command.run(
            "config", "-z", "--name-only", "--get-regexp", r"^filter\..*", accept=(0, 1)
        )
        names = {
            key.rpartition(".")[0] for key in found.out.decode(errors="replace").split("\0") if key
        }
        number = int(self._command.trust.environment()["GIT_CONFIG_COUNT"])
        result: dict[str, str] = {}
        for name in sorted(names):
            for key, value in (
                ("clean", ""),
                ("smudge", ""),
                ("process", ""),
                ("required", "false"),
            ):
                result[f"GIT_CONFIG_KEY_{number}"] = f"{name}.{key}"
                result[f"GIT_CONFIG_VALUE_{number}"] = value
                number += 1
        return {**result, "GIT_CONFIG_COUNT": str(number)}

    def _refuse_dirty(self, work_tree: Mapping[str, str], head: str, tree: str) -> None:
        """RefusedError naming each file that the rollback would write and that is not as committed.

        A file that is staged as it would be written is no work that could be lost: it is what a rollback
        leaves that was cut off before the branch moved.
        """
        self._command.run("update-index", "-q", "--refresh", environment=work_tree, accept=(0, 1))
        touched = self._names("diff-tree", "-r", "-z", "--name-only", head, tree)
        dirty = self._names(
            "status", "--porcelain", "-z", "--no-renames", "--untracked-files=all", "--ignored",
            environment=work_tree,
        )  # fmt: skip
        others = self._names(
            "diff-index", "--cached", "-z", "--name-only", tree, environment=work_tree
        )
        in_the_way = []
        for record in sorted(dirty, key=lambda record: record[3:]):
            state, name = record[:2], record[3:]
            path = name.rstrip("/")
            if not any(_collide(path, other) for other in touched):
                continue
            if state[0] in "AMDT" and state[1] == " " and path not in others:
                continue
            untracked = state in {"??", "!!"}
            message = "not in git and in the way" if untracked else "has uncommitted changes"
            in_the_way.append(Diagnostic(Location(path, 0), "error", "", message))
        if in_the_way:
            raise RefusedError(
                "the rollback would overwrite work that is not committed: "
                + "; ".join(f"{found.location} {found.message}" for found in in_the_way[:10]),
                diagnostics=[found.as_dict() for found in in_the_way],
            )

    def _names(self, *args: str, environment: Mapping[str, str] | None = None) -> set[str]:
        out = self._command.run(*args, environment=environment).out
        return {name for name in out.decode("utf-8", "surrogateescape").split("\0") if name}

    def _switch(self, work_tree: Mapping[str, str], old: str, new: str) -> None:
        self._command.run("read-tree", "-m", "-u", old, new, environment=work_tree)


def _collide(one: str, other: str) -> bool:
    return one == other or one.startswith(other + "/") or other.startswith(one + "/")


def _one_line(text: str) -> str:
    return " ".join(text.split())
