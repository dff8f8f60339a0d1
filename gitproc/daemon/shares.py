"""Who may have how much of what there is only so much of: one user a part, and root always something.

Whoever may read can ask, and asks as often as they like. So what a question takes is counted by who asked it.
"""

from __future__ import annotations

import os
from collections import Counter
from contextvars import ContextVar

from gitproc.api.caller import Caller
from gitproc.errors import DaemonError

_asker: ContextVar[int | None] = ContextVar("asker", default=None)


def asked_by(caller: Caller) -> None:
    """What the present task does from here on is for this caller."""
    _asker.set(None if caller.uid in {0, os.geteuid()} else caller.uid)


def asker() -> int | None:
    """The user for whom the present task works; None for root, the manager's own user, and the manager itself."""
    return _asker.get()


class Shares:
    """There are `most` in all, `others`, three quarters, for all but root, `one`, a quarter, for a user."""

    def __init__(self, most: int, what: str) -> None:
        self.most, self.others, self.one = most, 3 * most // 4, most // 4
        self._what = what
        self._taken: Counter[int | None] = Counter()

    def take(self, count: int = 1) -> int | None:
        """Take so much of it; who has it, for `give`. DaemonError: there is not so much left for this user."""
        who = asker()
        if self._taken.total() + count > self.most:
            raise self._busy(self.most)
        if who is not None:
            if self._taken[who] + count > self.one:
                raise self._busy(self.one, " for you")
            if self._taken.total() - self._taken[None] + count > self.others:
                raise self._busy(self.others)
        self._taken[who] += count
        return who

    def give(self, who: int | None, count: int = 1) -> None:
        """Give it back."""
        self._taken[who] -= count
        if not self._taken[who]:
            del self._taken[who]

    def _busy(self, bound: int, whose: str = "") -> DaemonError:
        return DaemonError(f"busy: {bound} {self._what} already{whose}; try again later")
