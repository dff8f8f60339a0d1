"""Who changed what and when: commits for people, and which of them last touched a file."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence

from gitproc.core.events import CommitMeta
from gitproc.errors import SourceError
from gitproc.source.command import Command

# No field but the last can hold a newline, and none a NUL, as long as git does not recode them.
_FORMAT = "%H%n%ct%n%an <%ae>%n%s"
_CACHED = 20_000
_SUBJECT = 500  # characters: it stands in the journal, in every list, and in events
_AUTHOR = 200


def parse_commit(sha: str, data: bytes) -> tuple[CommitMeta, str]:
    """A commit object as (what people want to know, its tree's id); SourceError if it is damaged."""
    head, _, message = data.partition(b"\n\n")
    author, when, tree = "", 0.0, ""
    for line in head.split(b"\n"):
        key, _, value = line.partition(b" ")
        if key == b"tree" and not tree:
            tree = value.decode("ascii", "replace")
        elif key == b"author" and not author:
            author = value.decode(errors="replace").rpartition("> ")[0] + ">"
        elif key == b"committer" and not when:
            when = _instant(value.rpartition(b"> ")[2].split(b" ")[0].decode(errors="replace"))
    if not tree:
        raise SourceError(f"{sha} is a damaged commit: run `git fsck` in the repository")
    lines = message.decode(errors="replace").strip("\n").split("\n\n", 1)[0].split("\n")
    return _meta(sha, author, when, " ".join(line.strip() for line in lines)), tree


class History:
    """Answers about the past, by `git log`; answers about a file are kept."""

    def __init__(self, command: Command) -> None:
        self._command = command
        self._last: dict[tuple[str, ...], tuple[str, CommitMeta | None]] = {}

    def resolve(self, rev: str) -> str:
        """The commit a revision names (gitrevisions(7)); SourceError if none or more than one."""
        if not rev or rev.startswith("-") or "\n" in rev or "\0" in rev or not _is_text(rev):
            raise SourceError(f"{rev!r} is not a revision")
        answer = self._command.run(
            "rev-parse", "--verify", "--end-of-options", rev + "^{commit}", accept=(0, 1, 128)
        )
        found = answer.out.decode(errors="replace").strip()
        if answer.status == 0 and found:
            return found
        if "is ambiguous" in answer.err:
            raise SourceError(f"{rev} names more than one commit: give more digits")
        if "expected commit" in answer.err:
            raise SourceError(f"{rev} is not a commit")
        if "Needed a single revision" in answer.err:
            raise SourceError(f"no commit {rev} in {self._command.trust.place.path}")
        raise SourceError(f"cannot resolve {rev}: {answer.err}")

    def is_ancestor(self, ancestor: str, descendant: str) -> bool:
        """Whether `descendant` builds on `ancestor`; a commit that is gone is nobody's ancestor."""
        return ancestor == descendant or (
            self._command.run(
                "merge-base", "--is-ancestor", ancestor, descendant, accept=(0, 1, 128)
            ).status
            == 0
        )

    def log(self, start: str, count: int = 20, paths: Sequence[str] = ()) -> list[CommitMeta]:
        """The last `count` commits from `start` back; only those that changed `paths`, if given."""
        text = self._command.text(
            "log", "-z", "--encoding=none", f"--max-count={count}", f"--format={_FORMAT}",
            "--end-of-options", start, "--", *paths,
        )  # fmt: skip
        return [_commit(record) for record in text.split("\0") if record]

    def newest_first(self, start: str, since: float) -> list[str]:
        """Commits from `start` back to an instant (seconds since 1970), children before their parents."""
        return self._command.text(
            "rev-list", "--topo-order", f"--max-age={int(since)}", "--end-of-options", start
        ).split()

    def last_change(self, paths: Iterable[str], commit: str) -> CommitMeta | None:
        """The commit that last changed one of `paths`, seen from `commit`; None if none ever did.

        About 2 ms the first time. Asked again for a later commit, only what came in between is looked at.
        """
        key = tuple(sorted(paths))
        known = self._last.get(key)
        if known is not None and known[0] == commit:
            return known[1]
        found: CommitMeta | None = None
        if known is not None and self.is_ancestor(known[0], commit):
            since = self.log(f"{known[0]}..{commit}", 1, key)
            found = since[0] if since else known[1]
        else:
            since = self.log(commit, 1, key)
            found = since[0] if since else None
        if len(self._last) >= _CACHED:
            self._last.clear()
        self._last[key] = (commit, found)
        return found


def _commit(record: str) -> CommitMeta:
    sha, when, author, subject = record.split("\n", 3)
    return _meta(sha, author, _instant(when), subject)


def _meta(sha: str, author: str, when: float, subject: str) -> CommitMeta:
    return CommitMeta(sha, _cut(author, _AUTHOR), when, _cut(subject, _SUBJECT))


def _cut(text: str, most: int) -> str:
    """Who writes a commit may write as much as they like."""
    return text if len(text) <= most else text[: most - 1] + "…"


def _is_text(word: str) -> bool:
    """Whether it can be a word of a command line: JSON carries halves of characters, too."""
    try:
        os.fsencode(word)
    except UnicodeEncodeError:
        return False
    return True


def _instant(seconds: str) -> float:
    """Seconds since 1970 as a commit says; 0 for what is no instant: anything can be written there."""
    return float(seconds) if re.fullmatch(r"[0-9]{1,11}", seconds) else 0.0
