"""What one user, all users, and root may have of what there is only so much of."""

import asyncio

import pytest

from gitproc.api.caller import Caller
from gitproc.daemon.shares import Shares, asked_by
from gitproc.errors import DaemonError


def test_what_is_left_for_whom():
    shares = Shares(2000, "logs are followed")

    def take(uid, count):
        async def taking():
            asked_by(Caller(1, uid, uid, frozenset(), "x"))
            return shares.take(count)

        return asyncio.run(taking())

    first = take(1001, 400)
    with pytest.raises(DaemonError, match="busy: 500 logs are followed already for you"):
        take(1001, 101)
    take(1002, 500)
    take(1003, 500)
    with pytest.raises(DaemonError, match="busy: 1500 logs are followed already;"):
        take(1004, 101)
    shares.give(first, 400)
    assert take(1001, 500) == 1001
    assert take(0, 500) is None
    with pytest.raises(DaemonError, match="busy: 2000 logs are followed already;"):
        take(0, 1)
