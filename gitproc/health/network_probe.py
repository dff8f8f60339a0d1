"""One probe over the network: an HTTP GET, or a TCP connect.

Status 200 is healthy, everything else is not, redirects included (a redirect says that somebody else is
healthy).

Certificates are not verified: a probe asks whether the service answers, sends no secret, and a restart mends
no expired certificate.
"""

from __future__ import annotations

import asyncio

from gitproc.health import http_client
from gitproc.health.url import Target, check_address, check_url


class _Unhealthy(Exception):
    """The probe came to a verdict; the text says which."""


async def fault_of(url: str, tcp: str, seconds: float) -> str:
    """What is wrong with `url`, or else with the address `tcp`, when all of it may take `seconds`; "" if nothing."""
    try:
        async with asyncio.timeout(seconds):
            if url:
                await _get(check_url(url))
            else:
                await _connect_only(check_address(tcp))
    except TimeoutError:
        return f"{url or tcp}: no answer within {seconds:g} s"
    except (_Unhealthy, http_client.NoHttp) as verdict:
        return f"{url or tcp}: {verdict}"
    except ValueError as error:
        return str(error)
    except OSError as error:
        return f"{url or tcp}: {error.strerror or error}"
    return ""


async def _connect_only(target: Target) -> None:
    _, writer = await http_client.connect(target)
    writer.transport.abort()


async def _get(target: Target) -> None:
    status, reason = await http_client.request(target, verify=False)
    if status != 200:
        raise _Unhealthy(f"HTTP status {status} {reason}".rstrip())
