"""The repository as a hook of git-receive-pack(1) sees it: with the objects of a push that may yet be refused.

Git tells its hooks by GIT_OBJECT_DIRECTORY and the like where they are. A hook runs as whoever receives the
push, so git runs as that account here, not as the owner: to others the quarantine is closed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from gitproc.core.events import CommitMeta
from gitproc.source.command import Command, end
from gitproc.source.measure import laid_out_bytes
from gitproc.source.objects import Objects
from gitproc.source.place import Place
from gitproc.source.pushed import encode
from gitproc.source.reading import Reader, TreeChange, read_commit
from gitproc.source.trust import Trust

_VARIABLES = ("GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_QUARANTINE_PATH")
_MOST = 10_000  # commits that are counted


class _HookTrust(Trust):
    def __init__(self, place: Place, environ: Mapping[str, str]) -> None:
        super().__init__(place)
        self._quarantine = {name: environ[name] for name in _VARIABLES if environ.get(name)}

    def environment(self, extra: Mapping[str, str] | None = None) -> dict[str, str]:
        return super().environment({**self._quarantine, **(extra or {})})

    def identity(self) -> dict[str, Any]:
        return {}


def _stop(batch: Any) -> None:
    end(batch)


class Quarantine:
    """Reads a push from within its hook. Every method raises SourceError when git cannot be asked."""

    def __init__(self, place: Place, environ: Mapping[str, str]) -> None:
        self._command = Command(_HookTrust(place, environ))
        self._objects = Objects(lambda: self._command.popen("cat-file", "--batch"), _stop)

    def close(self) -> None:
        """End the git process."""
        self._objects.close()

    def head(self, branch: str) -> str | None:
        """The commit a branch of the repository names now."""
        found = self._objects.get(f"refs/heads/{branch}")
        return found.oid if found is not None else None

    def builds_on(self, new: str, old: str) -> bool:
        """Whether `new` has `old` among its ancestors."""
        answer = self._command.run("merge-base", "--is-ancestor", old, new, accept=(0, 1, 128))
        return answer.status == 0

    def count(self, new: str, old: str | None) -> int:
        """How many commits `new` has that `old` (None: no branch of the repository) has not."""
        before = [f"^{old}"] if old else ["--not", "--branches"]
        arguments = ["--count", f"--max-count={_MOST}", new, *before]
        answer = self._command.run("rev-list", *arguments, accept=(0, 128))
        digits = answer.out.strip()
        return int(digits) if answer.status == 0 and digits.isdigit() else 0

    def size(self, new: str, most: int) -> int:
        """Bytes of the files of a commit; counting stops above `most`. 0 for what is no commit."""
        found = self._objects.get(new, 0)
        if found is None or found.kind != "commit":
            return 0  # said by who judges it
        return laid_out_bytes(self._command, new, most)

    def supply(self, names: Sequence[str], limit: int) -> Iterator[bytes]:
        """The objects of these ids, as `Pushed.feed` takes them."""
        for name, found in zip(names, self._objects.get_all(names, limit), strict=True):
            yield from encode(name, found)

    def read(self, commit: str) -> tuple[CommitMeta, TreeChange]:
        """A commit with all its files."""
        return read_commit(Reader(self._objects), self._objects, commit, None, None)
