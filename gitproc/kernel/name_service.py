"""Who users and groups are: questions to the host's name service, which may be a directory far away.

The C library answers when all whom /etc/nsswitch.conf names have: one that is away holds up whoever asks, also
for a user of /etc/passwd, as anybody may know of further groups of theirs. So where others than local files and
systemd are named, a thread asks, and what needs the answer is done again when it is there (`asking`). The answers
are the asking thread's own: other threads always ask themselves.
"""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from typing import Any, TypeVar

from gitproc.immutable import NamedTuple

T = TypeVar("T")
Question = tuple[Callable[..., Any], tuple[Any, ...]]
_NSSWITCH = "/etc/nsswitch.conf"
_DATABASES = frozenset({"passwd", "group", "initgroups", "passwd_compat", "group_compat"})
_LOCAL = frozenset({"files", "compat", "db", "systemd", "altfiles", "extrausers", "mymachines"})
_libc = ctypes.CDLL(None, use_errno=True)


class Unanswered(Exception):
    """There is no answer yet to a question that is not to be waited for."""

    def __init__(self, question: Question) -> None:
        super().__init__(question)
        self.question = question


class Answer(NamedTuple):
    """What a question came to: a value, or what was raised instead; `at`: when it was asked."""

    at: float
    value: Any = None
    error: BaseException | None = None


class _Here(threading.local):
    answers: dict[Question, Answer] | None = None
    since: float | None = None


_here = _Here()


def ask(function: Callable[..., T], *args: Any) -> T:
    """`function(*args)`, or what it was when it was last asked elsewhere for this thread.

    Unanswered within `asking`, if there is no such answer, or none that is recent.
    """
    answers, since = _here.answers, _here.since
    known = answers.get((function, args)) if answers else None
    if since is not None and (known is None or known.at < since):
        raise Unanswered((function, args))
    if known is None:
        return function(*args)
    if known.error is not None:
        raise known.error
    value: T = known.value
    return value


def answered(question: Question, at: float) -> Answer:
    """Ask, however long it takes: for a thread that may wait."""
    function, args = question
    try:
        return Answer(at, function(*args))
    except (KeyError, OSError, OverflowError) as error:
        return Answer(at, error=error)


def learn(question: Question, answer: Answer) -> None:
    """From now on this thread knows an answer."""
    if _here.answers is None:
        _here.answers = {}
    _here.answers[question] = answer


def forget() -> None:
    """This thread knows nothing any more, and asks."""
    _here.answers = None


@contextmanager
def asking(since: float) -> Iterator[None]:
    """Within this nothing waits: a question without an answer that was asked after `since` is Unanswered."""
    _here.since = since
    try:
        yield
    finally:
        _here.since = None


def groups_of(name: str, gid: int) -> list[int]:
    """All groups of a user, `gid` among them. (Python's own call stops all threads until there is an answer.)"""
    room = 64
    while True:
        count = ctypes.c_int(room)
        found = (ctypes.c_uint * room)()
        if (
            _libc.getgrouplist(os.fsencode(name), ctypes.c_uint(gid), found, ctypes.byref(count))
            >= 0
        ):
            return list(found[: count.value])
        if count.value <= room:
            raise OSError(f"cannot look up the groups of {name}")
        room = count.value


def is_local(nsswitch: str = _NSSWITCH) -> bool:
    """Whether everybody who is asked for users and groups answers at once."""
    try:
        info = os.stat(nsswitch)
    except OSError:
        return True
    return _is_local(nsswitch, info.st_ino, info.st_mtime_ns, info.st_size)


@lru_cache(1)
def _is_local(nsswitch: str, *_: int) -> bool:
    named = _services(nsswitch)
    return all(named[each] <= _LOCAL for each in _DATABASES & named.keys())


def knows_records(nsswitch: str = _NSSWITCH) -> bool:
    """Whether users and groups of which there is a record are known (nss-systemd(8))."""
    named = _services(nsswitch)
    return all("systemd" in named.get(each, ()) for each in ("passwd", "group"))


def _services(nsswitch: str) -> dict[str, set[str]]:
    """Whom the C library asks, by database (nsswitch.conf(5)), without what is done about their answers."""
    found: dict[str, set[str]] = {}
    with suppress(OSError), open(nsswitch, encoding="utf-8", errors="replace") as file:
        for line in file:
            database, colon, said = line.partition("#")[0].partition(":")
            if colon:
                outside = "".join(part.rpartition("]")[2] for part in f"]{said}".split("["))
                found[database.strip()] = {*outside.split()}
    return found
