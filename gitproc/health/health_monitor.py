"""Health probes over the network: one HTTP GET or one TCP connect at a time per instance, never blocking.

The client is our own because the standard library's blocks and no other package earns its memory for one
request. It asks the least: status 200 is healthy, everything else is not, redirects included (a redirect
says that somebody else is healthy). The verdict stands once the answer's header is complete; what of the
body comes at once is read and thrown away, so that the service does not see its answer refused.

Certificates are not verified: a probe asks whether the service answers, sends no secret, and a restart mends
no expired certificate.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from typing import TypeAlias

from gitproc.core.events import ProbeFailed, ProbeSucceeded
from gitproc.health.url import Target, check_address, check_url

HEADER_BYTES = 64 << 10
BODY_BYTES = 64 << 10
DRAIN_SECONDS = 0.2

Deliver: TypeAlias = Callable[[ProbeSucceeded | ProbeFailed], None]
_Streams: TypeAlias = tuple[asyncio.StreamReader, asyncio.StreamWriter]

_log = logging.getLogger(__name__)


class _Unhealthy(Exception):
    """The probe came to a verdict; the text says which."""


class HealthMonitor:
    """Runs probes in the running event loop and delivers each verdict as an event."""

    def __init__(self, deliver: Deliver) -> None:
        self._deliver = deliver
        self._running: dict[str, tuple[str, asyncio.Task[None]]] = {}

    def probe(
        self, unit: str, invocation: str, *, url: str = "", tcp: str = "", timeout: float
    ) -> None:
        """Begin one probe of `url` or of the address `tcp`; `timeout` in seconds covers all of it.

        Delivers `ProbeSucceeded` or `ProbeFailed` exactly once, later, unless cancelled. Nothing happens
        while a probe of the same instance runs; one of an earlier instance of the unit is cancelled.
        """
        running = self._running.get(unit)
        if running is not None:
            if running[0] == invocation:
                return
            self.cancel(unit)
        task = asyncio.get_running_loop().create_task(
            self._run(unit, invocation, url, tcp, timeout), name=f"probe {unit}"
        )
        self._running[unit] = (invocation, task)

    def cancel(self, unit: str) -> None:
        """Forget the unit's probe, if one runs; it delivers nothing any more."""
        running = self._running.pop(unit, None)
        if running is not None:
            running[1].cancel()

    async def close(self) -> None:
        """Cancel every probe and wait until their connections are closed."""
        tasks = [task for _, task in self._running.values()]
        for unit in list(self._running):
            self.cancel(unit)
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self, unit: str, invocation: str, url: str, tcp: str, seconds: float) -> None:
        detail = ""
        try:
            async with asyncio.timeout(seconds):
                if url:
                    await self._get(check_url(url))
                else:
                    await self._connect_only(check_address(tcp))
        except TimeoutError:
            detail = f"{url or tcp}: no answer within {seconds:g} s"
        except _Unhealthy as verdict:
            detail = f"{url or tcp}: {verdict}"
        except ValueError as error:
            detail = str(error)
        except OSError as error:
            detail = f"{url or tcp}: {error.strerror or error}"
        except Exception as error:
            _log.exception("probe of %s failed in an unforeseen way", unit)
            detail = f"{url or tcp}: {error!r}"
        if self._running.get(unit, ("", None))[1] is asyncio.current_task():
            del self._running[unit]
        else:
            return
        if detail:
            self._deliver(ProbeFailed(unit, invocation, detail))
        else:
            self._deliver(ProbeSucceeded(unit, invocation))

    async def _connect_only(self, target: Target) -> None:
        _, writer = await self._connect(target)
        writer.transport.abort()

    async def _get(self, target: Target) -> None:
        reader, writer = await self._connect(target)
        try:
            request = (
                f"GET {target.path} HTTP/1.1\r\nHost: {target.host_header}\r\n"
                "User-Agent: gitproc\r\nAccept: */*\r\nConnection: close\r\n\r\n"
            )
            if target.tls:
                await _through_tls(target, request.encode("ascii"), reader, writer)
            else:
                writer.write(request.encode("ascii"))
                await writer.drain()
                await _judge(reader)
        finally:
            writer.transport.abort()

    async def _connect(self, target: Target) -> _Streams:
        if target.socket:
            return await asyncio.open_unix_connection(target.socket, limit=HEADER_BYTES)
        return await asyncio.open_connection(target.host, target.port, limit=HEADER_BYTES)


async def _through_tls(
    target: Target, request: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    from gitproc.health.tls import Tunnel

    tunnel = Tunnel(reader, writer, target.host)
    await tunnel.open()
    await tunnel.send(request)
    plain = asyncio.StreamReader(limit=HEADER_BYTES)
    pump = asyncio.create_task(tunnel.receive_into(plain))
    try:
        await _judge(plain)
    finally:
        pump.cancel()


async def _judge(reader: asyncio.StreamReader) -> None:
    """Read the answer; _Unhealthy if it is any but 200."""
    status, reason = await _read_header(reader)
    if status != 200:
        raise _Unhealthy(f"HTTP status {status} {reason}".rstrip())
    with contextlib.suppress(TimeoutError, OSError):
        async with asyncio.timeout(DRAIN_SECONDS):
            await _drain(reader)


async def _read_header(reader: asyncio.StreamReader) -> tuple[int, str]:
    """Status and reason of the final answer; interim answers (1xx) are passed over."""
    while True:
        try:
            header = await reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError as error:
            if not error.partial:
                raise _Unhealthy("closed the connection without an answer") from error
            header = error.partial
            if not header.startswith(b"HTTP/"):
                raise _Unhealthy("the answer is no HTTP") from error
            raise _Unhealthy("closed the connection within the answer's header") from error
        except asyncio.LimitOverrunError as error:
            raise _Unhealthy(f"the answer's header exceeds {HEADER_BYTES} bytes") from error
        line = header.split(b"\r\n", 1)[0].decode("latin-1")
        words = line.split(" ", 2)
        if not words[0].startswith("HTTP/1.") or len(words) < 2 or not _is_status(words[1]):
            raise _Unhealthy("the answer is no HTTP")
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
