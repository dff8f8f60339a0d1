"""From a host's name to its addresses, in threads of their own.

A name server that does not answer keeps a thread for as long as the resolver is patient. Those threads must
not be the ones that look at the branch: the commit that mends a wrong name has to get through.
"""

from __future__ import annotations

import asyncio
import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cache

_THREADS = 8


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(_THREADS, "resolver")


async def addresses(host: str) -> list[str]:
    """Its addresses as literals, the preferred one first; OSError if there are none.

    Literals, and `localhost` (RFC 6761), are known without asking, so that nobody stands in their way.
    """
    if host == "localhost":
        return ["::1", "127.0.0.1"]
    for family in (socket.AF_INET, socket.AF_INET6):
        with suppress(OSError):
            socket.inet_pton(family, host)
            return [host]
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(_pool(), _resolved, host)


def _resolved(host: str) -> list[str]:
    found: dict[str, None] = {}
    for _, _, _, _, address in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM):
        scope = address[3] if len(address) == 4 else 0  # of a link-local address
        found[f"{address[0]}%{scope}" if scope else str(address[0])] = None
    return list(found)
