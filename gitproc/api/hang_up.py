"""Noticing that a client has gone while nothing is read from it.

Who reads sees the end of the stream; but nothing is read from a client that has shut down its sending side, or
has as many requests under way as it may have, and a silent stream is not written to either.
"""

from __future__ import annotations

import asyncio
import select


async def hung_up(peer: int) -> None:
    """Returns once both directions of a stream socket are closed; `peer` is its descriptor. OSError."""
    loop, over = asyncio.get_running_loop(), asyncio.Event()
    with select.epoll() as poll:
        poll.register(peer, 0)  # EPOLLHUP and EPOLLERR are always told
        loop.add_reader(poll.fileno(), over.set)
        try:
            await over.wait()
        finally:
            loop.remove_reader(poll.fileno())
