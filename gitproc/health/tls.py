"""TLS for one request, spoken over a plain stream.

asyncio's own would need `ssl` when asyncio is imported, and with it all of OpenSSL in every manager: two
megabytes and a tenth of the start, for checks that few units have. Here it comes with the first that needs it.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from functools import cache
from typing import TypeVar

_BLOCK = 16 << 10  # bytes, one TLS record

T = TypeVar("T")


@cache
def _context(verify: bool) -> ssl.SSLContext:
    if verify:
        return ssl.create_default_context()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


class Tunnel:
    """The client's end over an open connection; `verify` its certificate, for `host`, or not."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        host: str,
        *,
        verify: bool,
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._arrived = ssl.MemoryBIO()
        self._leaving = ssl.MemoryBIO()
        self._tls = _context(verify).wrap_bio(self._arrived, self._leaving, server_hostname=host)

    async def open(self) -> None:
        """Shake hands. OSError (ssl.SSLError) if the other end speaks something else."""
        await self._work(self._tls.do_handshake)

    async def send(self, data: bytes) -> None:
        """Send all of `data`. OSError."""
        await self._work(lambda: self._tls.write(data))

    async def receive_into(self, plain: asyncio.StreamReader) -> None:
        """Feed what arrives to `plain`, until the end, which is fed as well. Raises nothing."""
        try:
            while block := await self._work(lambda: self._tls.read(_BLOCK)):
                plain.feed_data(block)
        except (ssl.SSLEOFError, ssl.SSLZeroReturnError):
            pass
        except OSError as error:
            plain.set_exception(error)
            return
        plain.feed_eof()

    async def _work(self, step: Callable[[], T]) -> T:
        """Take a step of the protocol as soon as what it needs has arrived."""
        while True:
            try:
                done = step()
            except ssl.SSLWantReadError:
                await self._flush()
                block = await self._reader.read(_BLOCK)
                if block:
                    self._arrived.write(block)
                else:
                    self._arrived.write_eof()
                continue
            await self._flush()
            return done

    async def _flush(self) -> None:
        data = self._leaving.read()
        if data:
            self._writer.write(data)
            await self._writer.drain()
