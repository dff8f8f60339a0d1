"""Verdicts beside commits: `refs/notes/gitproc`, read by `git log --notes=gitproc`.

Written through `git fast-import`, which knows how notes are laid out and moves the reference only from the
value it started from. Somebody else's note of the same moment is never lost: the write is tried again.
"""

from __future__ import annotations

from collections.abc import Iterator

from gitproc.errors import SourceError
from gitproc.pattern import pattern
from gitproc.source.command import Command
from gitproc.source.objects import Objects
from gitproc.source.trees import Trees

REF = "refs/notes/gitproc"

_ATTEMPTS = 5
_COMMIT_ID = pattern(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")


class Notes:
    """The notes of one repository."""

    def __init__(self, command: Command, objects: Objects) -> None:
        self._command = command
        self._objects = objects

    def write(self, sha: str, text: str, when: float) -> None:
        """Set the note of commit `sha` at `when` (epoch seconds); SourceError if it cannot be."""
        if not _COMMIT_ID.fullmatch(sha):
            raise SourceError(f"{sha!r} is not a commit id")
        body = text.rstrip("\n").encode(errors="replace") + b"\n"
        message = f"gitproc: verdict on {sha}\n".encode()
        for attempt in range(_ATTEMPTS):
            tip = self._objects.get(REF + "^{commit}")
            stream = b"".join(
                (
                    f"commit {REF}\ncommitter gitproc <gitproc> {int(when)} +0000\n".encode(),
                    b"data %d\n%s" % (len(message), message),
                    f"from {tip.oid}\n".encode() if tip else b"",
                    f"N inline {sha}\n".encode(),
                    b"data %d\n%s\ndone\n" % (len(body), body),
                )
            )
            answer = self._command.run(
                "fast-import", "--quiet", "--done", stdin=stream, accept=(0, 1, 128)
            )
            if answer.status == 0:
                return
            moved = "Not updating" in answer.err or "cannot lock ref" in answer.err
            if not moved or attempt == _ATTEMPTS - 1:
                raise SourceError(f"cannot write the note of {sha}: {answer.err}")

    def read(self, sha: str) -> str | None:
        """The note of one commit, None if it has none."""
        for cut in range(0, 8, 2):  # git spreads many notes over folders: ab/cd/...
            parts = [sha[at : at + 2] for at in range(0, cut, 2)]
            found = self._objects.get(f"{REF}:{'/'.join([*parts, sha[cut:]])}", 1 << 20)
            if found is not None and found.kind == "blob":
                return (found.data or b"").decode(errors="replace")
        return None

    def read_all(self) -> dict[str, str]:
        """Every note, by commit id."""
        tip = self._objects.get(REF + "^{tree}")
        if tip is None:
            return {}
        found = {
            entry.path.replace("/", ""): entry.oid
            for entry in Trees(self._objects).compare(None, tip.oid).entries
        }
        return dict(self._texts({k: v for k, v in found.items() if _COMMIT_ID.fullmatch(k)}))

    def _texts(self, blobs: dict[str, str]) -> Iterator[tuple[str, str]]:
        answers = self._objects.get_all(list(blobs.values()), 1 << 20)
        for sha, blob in zip(blobs, answers, strict=True):
            if blob is not None and blob.data is not None:
                yield sha, blob.data.decode(errors="replace")
