"""One HTTP/1.1 request over asyncio: what health probes and the webhook need, and no more.

The client is our own because the standard library's blocks and no other package earns its memory for one
request. The answer stands once its header is complete; what of the body comes at once is read and thrown
away, so that the other side does not see its answer refused. Redirects are answers like any other.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
from collections.abc import Mapping
from typing import TypeAlias

from gitproc.health.addresses import addresses
from gitproc.health.url import Target

HEADER_BYTES = 64 << 10
BODY_BYTES = 64 << 10
DRAIN_SECONDS = 0.2

_Streams: TypeAlias = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class NoHttp(Exception):
    """What came back is no answer; the text says how."""


async def connect(target: Target) -> _Streams:
    """Open a plain connection; OSError if it cannot be had."""
    if target.socket:
        return await asyncio.open_unix_connection(target.socket, limit=HEADER_BYTES)
    problem = OSError(errno.EADDRNOTAVAIL, f"{target.host} has no address")
    for address in await addresses(target.host):
        try:
            return await asyncio.open_connection(address, target.port, limit=HEADER_BYTES)
        except OSError as error:
            problem = error
    raise problem


async def request(
    target: Target,
    method: str = "GET",
    body: bytes = b"",
    headers: Mapping[str, str] | None = None,
    *,
    verify: bool = True,
) -> tuple[int, str]:
    """Status and reason of the answer. NoHttp, OSError. The caller sets the timeout.

    `verify`: the certificate must be the host's, by an authority that this system trusts.
    """
    fields = {"Host": target.host_header, "User-Agent": "gitproc", "Accept": "*/*"}
    fields |= headers or {}
    if method != "GET":
        fields["Content-Length"] = str(len(body))
    fields["Connection"] = "close"
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    data = f"{method} {target.path} HTTP/1.1\r\n{head}\r\n".encode("ascii") + body
    reader, writer = await connect(target)
    try:
        if target.tls:
            return await _through_tls(target, data, (reader, writer), verify=verify)
        with contextlib.suppress(ConnectionError):  # it may have answered before it has read all
            writer.write(data)
            await writer.drain()
        return await _answer(reader)
    finally:
        writer.transport.abort()


async def _through_tls(
    target: Target, data: bytes, streams: _Streams, *, verify: bool
) -> tuple[int, str]:
    from gitproc.health.tls import Tunnel

    tunnel = Tunnel(*streams, target.host, verify=verify)
    await tunnel.open()
    await tunnel.send(data)
    plain = asyncio.StreamReader(limit=HEADER_BYTES)
    pump = asyncio.create_task(tunnel.receive_into(plain))
    try:
        return await _answer(plain)
    finally:
        pump.cancel()


async def _answer(reader: asyncio.StreamReader) -> tuple[int, str]:
    found = await _read_header(reader)
    with contextlib.suppress(TimeoutError, OSError):
        async with asyncio.timeout(DRAIN_SECONDS):
            await _drain(reader)
    return found


async def _read_header(reader: asyncio.StreamReader) -> tuple[int, str]:
    """Status and reason of the final answer; interim answers (1xx) are passed over."""
    while True:
        try:
            header = await reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError as error:
            if not error.partial:
                raise NoHttp("closed the connection without an answer") from error
            header = error.partial
            if not header.startswith(b"HTTP/"):
                raise NoHttp("the answer is no HTTP") from error
            raise NoHttp("closed the connection within the answer's header") from error
        except asyncio.LimitOverrunError as error:
            raise NoHttp(f"the answer's header exceeds {HEADER_BYTES} bytes") from error
        line = header.split(b"\r\n", 1)[0].decode("latin-1")
        words = line.split(" ", 2)
        if not words[0].startswith("HTTP/1.") or len(words) < 2 or not _is_status(words[1]):
            raise NoHttp("the answer is no HTTP")
        status = int(words[1])
        if status >= 200 or status == 101:
            reason = words[2] if len(words) > 2 else ""
            return status, reason[:80] if reason.isprintable() else ""


def _is_status(word: str) -> bool:
    return len(word) == 3 and word.isascii() and word.isdigit()


async def _drain(reader: asyncio.StreamReader) -> None:
    left = BODY_BYTES
    while left > 0:
        block = await reader.read(left)
        if not block:
            return
        left -= len(block)
