"""Objects of a push that is not in the repository yet, read as if it were.

While a push is judged its objects lie in a quarantine that only git's own hook can see (git-receive-pack(1)).
The hook hands over what it is asked for by id and nothing else: what is asked for is found out by reading the
commit with the reader that reads every commit, and noting what the repository lacks. Each object is held
against its id, so what is judged is exactly what the branch will name; no path or claim of the hook counts.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence

from gitproc.errors import SourceError
from gitproc.pattern import pattern
from gitproc.source.objects import GitObject, ObjectSource

MAX_OBJECT = (
    16 << 20
)  # bytes of one object that is transferred whatever it is: far above any folder
MAX_PUSH = 64 << 20  # bytes of all objects of a push together
_HEADER = pattern(rb"([0-9a-f]{40}|[0-9a-f]{64}) ([a-z]+) (\d{1,15})( -)?")
_LONGEST_HEADER = 120


class LackingError(Exception):
    """Objects that neither the push so far nor the repository has. Data above `limit` bytes is not needed."""

    def __init__(self, names: Sequence[str], limit: int) -> None:
        super().__init__(f"{len(names)} objects are not here")
        self.names = tuple(names)
        self.limit = limit


def encode(name: str, found: GitObject | None) -> Iterator[bytes]:
    """An object for the way to `Pushed.feed`: a header line, then its bytes if they are transferred."""
    if found is None:
        yield f"{name} missing 0 -\n".encode()
        return
    header = f"{found.oid} {found.kind} {found.size}"
    if found.data is None:
        yield f"{header} -\n".encode()
    else:
        yield f"{header}\n".encode()
        yield found.data


class Pushed:
    """What has arrived of a push, by id. Fed with pieces of any size; SourceError ends it."""

    def __init__(self) -> None:
        self.objects: dict[str, GitObject] = {}
        self.asked: set[str] = set()
        """What the hook has been asked for: nothing else is taken, so that nobody fills the memory."""
        self.bytes = 0
        self._rest = bytearray()
        self._header: tuple[str, str, int] | None = None

    def feed(self, data: bytes) -> None:
        """Take in the next piece. SourceError for nonsense, a wrong id, or more than MAX_PUSH bytes."""
        self.bytes += len(data)
        if self.bytes > MAX_PUSH:
            raise SourceError(
                f"the push has more than {MAX_PUSH >> 20} MiB of folders and unit files"
            )
        self._rest += data
        while self._next():
            pass

    def _next(self) -> bool:
        if self._header is None:
            end = self._rest.find(b"\n", 0, _LONGEST_HEADER)
            if end < 0:
                if len(self._rest) >= _LONGEST_HEADER:
                    raise SourceError("what the hook sent is not an object")
                return False
            match = _HEADER.fullmatch(self._rest, 0, end)
            if match is None:
                raise SourceError("what the hook sent is not an object")
            oid, kind, size = match[1].decode(), match[2].decode(), int(match[3])
            bare = match[4] is not None
            del self._rest[: end + 1]
            if oid not in self.asked:
                raise SourceError(f"object {oid} has not been asked for")
            if kind == "missing":
                raise SourceError(f"the push lacks object {oid}: run `git fsck`, and push again")
            if (bare and kind != "blob") or (not bare and size > MAX_OBJECT):
                raise SourceError(
                    f"{kind} {oid} has {size} bytes, more than {MAX_OBJECT} are not read"
                )
            if bare:
                self.objects[oid] = GitObject(oid, kind, size, None)
            else:
                self._header = (oid, kind, size)
            return True
        oid, kind, size = self._header
        if len(self._rest) < size:
            return False
        data = bytes(self._rest[:size])
        del self._rest[:size]
        self._header = None
        if object_id(kind, data, len(oid)) != oid:
            raise SourceError(f"what the hook sent as {oid} is another object")
        self.objects[oid] = GitObject(oid, kind, size, data)
        return True


def object_id(kind: str, data: bytes, digits: int) -> str:
    """The id git gives an object, in a repository whose ids have so many hexadecimal digits."""
    header = f"{kind} {len(data)}\0".encode()
    if digits == 64:
        return hashlib.sha256(header + data).hexdigest()
    return hashlib.sha1(header + data, usedforsecurity=False).hexdigest()


class Overlay:
    """Objects of a push over those of the repository."""

    def __init__(self, below: ObjectSource, pushed: Pushed) -> None:
        self._below = below
        self._objects: Mapping[str, GitObject] = pushed.objects

    def get_all(self, names: Sequence[str], limit: int | None = None) -> Iterator[GitObject | None]:
        """Objects in the order asked. LackingError, before the first, when some are nowhere."""
        absent = [name for name in dict.fromkeys(names) if name not in self._objects]
        found = dict(zip(absent, self._below.get_all(absent, limit), strict=True))
        lacking = [name for name in absent if found[name] is None]
        if lacking:
            raise LackingError(lacking, MAX_OBJECT if limit is None else limit)
        return iter(self._in_order(names, found, limit))

    def _in_order(
        self, names: Iterable[str], below: Mapping[str, GitObject | None], limit: int | None
    ) -> Iterator[GitObject | None]:
        for name in names:
            found = self._objects.get(name) or below[name]
            if found is not None and limit is not None and found.size > limit:
                found = found._replace(data=None)
            yield found
