"""One client: reads its lines, answers them, and keeps it from harming anybody.

Several requests of one connection run at once, up to a limit; beyond it (and beyond a rate) nothing more is
read until there is room, so a client only ever slows itself. Answers go through a small write buffer: one
that does not empty in time means a client that does not read, and it is dropped. A client that hangs up
ends its waiting calls; one that only shuts down its sending side still gets its answers.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any, Protocol

from gitproc.api import plain_form
from gitproc.api.caller import Access, Caller
from gitproc.api.hang_up import hung_up
from gitproc.api.protocol import (
    INTERNAL_ERROR,
    MAX_BATCH,
    MAX_LINE,
    VERSION,
    InvalidRequest,
    NotJSON,
    Request,
    decode,
    encode,
    error_object,
    id_of,
    parse_request,
    result_object,
    stream_object,
    text_frame,
)
from gitproc.errors import GitProcError, UsageError
from gitproc.immutable import immutable

if TYPE_CHECKING:
    from gitproc.api import text

log = logging.getLogger(__name__)


class Handler(Protocol):
    """What the manager answers. Parameters have been checked and converted by the method table."""

    async def call(self, method: str, params: dict[str, Any], caller: Caller) -> Any:
        """The result; raises GitProcError. Cancelled when the client hangs up."""

    def stream(
        self, method: str, params: dict[str, Any], caller: Caller
    ) -> AsyncIterator[dict[str, Any]]:
        """The items of a stream; it is pulled only as fast as the client reads."""

    def hung_up(self, caller: Caller) -> None:
        """The connection of exactly this caller has ended, and with it all its calls."""


@immutable
class Limits:
    """What one connection, and all of them, may take."""

    line: int = MAX_LINE  # bytes
    concurrent: int = 16  # requests of one connection at once
    rate: float = 200.0  # requests a second of one connection, after the burst
    burst: int = 400
    idle: float = 300.0  # seconds without a whole request and none being answered
    write: float = 60.0  # seconds a client may leave its answers unread
    buffer: int = 256 * 1024  # bytes of unread answers that make a call wait
    connections: int = 512
    reserved: int = 32  # of them, for root and the manager's own user
    connections_per_user: int = 128  # root is not counted


class InternalError(GitProcError):
    """A fault of ours; the cause is in daemon.log."""

    rpc_code = INTERNAL_ERROR


class Connection:
    """One accepted connection; `run()` ends with it."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        handler: Handler,
        caller: Caller,
        access: Access,
        limits: Limits,
    ) -> None:
        self._reader, self._writer = reader, writer
        self._handler, self._caller, self._access, self._limits = handler, caller, access, limits
        self._tasks: set[asyncio.Task[None]] = set()
        self._sending = asyncio.Lock()
        self._tokens = float(limits.burst)
        self._filled = asyncio.get_running_loop().time()
        writer.transport.set_write_buffer_limits(high=limits.buffer)

    async def run(self) -> None:
        """Answer until the client goes away, is idle for too long, or sends what cannot be read."""
        try:
            with contextlib.suppress(ConnectionError):
                while (line := await self._line()) is not None:
                    if not line.strip():
                        continue
                    task = asyncio.create_task(self._answer(line))
                    self._tasks.add(task)
                    task.add_done_callback(self._tasks.discard)
                await self._answered(0)
        finally:
            await self._close()

    async def _close(self) -> None:
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        self._handler.hung_up(self._caller)
        self._writer.close()
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(1):
                await self._writer.wait_closed()
        self._writer.transport.abort()

    async def _answered(self, left: int) -> bool:
        """Wait until no more than `left` requests are under way; False if the client goes before."""
        if len(self._tasks) <= left:
            return True
        peer: socket.socket = self._writer.get_extra_info("socket")
        gone = asyncio.create_task(hung_up(peer.fileno()))
        try:
            while len(self._tasks) > left:
                await asyncio.wait({*self._tasks, gone}, return_when=asyncio.FIRST_COMPLETED)
                if gone.done():
                    return False
        finally:
            gone.cancel()
            await asyncio.gather(gone, return_exceptions=True)
        return True

    # -------------------------------------------------------------- reading

    async def _line(self) -> bytes | None:
        """The next line, once there is room for another request; None at the end, or if the client is gone."""
        if not await self._answered(self._limits.concurrent - 1):
            return None
        await self._pay(1)
        while True:
            try:
                async with asyncio.timeout(self._limits.idle):
                    return await self._reader.readuntil(b"\n")
            except asyncio.IncompleteReadError as error:
                return error.partial or None
            except asyncio.LimitOverrunError:
                await self._refuse(
                    InvalidRequest(f"a request has at most {self._limits.line} bytes")
                )
                return None
            except TimeoutError:
                if not self._tasks:
                    return None

    async def _pay(self, requests: int) -> None:
        """Wait until the rate allows so many requests."""
        now = asyncio.get_running_loop().time()
        self._tokens = min(
            float(self._limits.burst), self._tokens + (now - self._filled) * self._limits.rate
        )
        self._filled = now
        self._tokens -= requests
        if self._tokens < 0:
            await asyncio.sleep(-self._tokens / self._limits.rate)

    async def _refuse(self, error: GitProcError) -> None:
        await self._send(encode(error_object(None, error)))

    # -------------------------------------------------------------- writing

    async def _send(self, data: bytes) -> None:
        """Send; ConnectionError if the client is gone or does not read (it is dropped then)."""
        async with self._sending:
            if self._writer.is_closing():
                raise ConnectionResetError
            self._writer.write(data)
            try:
                async with asyncio.timeout(self._limits.write):
                    await self._writer.drain()
            except TimeoutError:
                log.warning("dropped a client that does not read (pid %d)", self._caller.pid)
                self._writer.transport.abort()
                raise ConnectionResetError from None

    # -------------------------------------------------------------- answering

    async def _answer(self, line: bytes) -> None:
        try:
            try:
                value = decode(line)
            except NotJSON as error:
                await self._refuse(error)
                return
            if isinstance(value, list):
                await self._batch(value)
            elif plain_form.is_plain(value):
                await self._plain(value)
            else:
                await self._one(value)
        except ConnectionError:
            pass
        except Exception:
            log.exception("cannot answer a request")
            self._writer.transport.abort()

    async def _one(self, value: Any) -> None:
        text_wanted = isinstance(value, dict) and value.get("reply") == "text"
        method = str(value.get("method")) if isinstance(value, dict) else ""
        try:
            request = parse_request(value)
            if request.follows:
                if text_wanted:
                    raise UsageError(f"{method}: a stream has no text form")
                await self._stream(request)
                result: Any = {"version": VERSION}
            else:
                result = await self._call(request)
        except GitProcError as error:
            if text_wanted:
                from gitproc.api.text import failure

                await self._send(text_frame(*failure(method, error)))
            elif not (isinstance(value, dict) and "method" in value and "id" not in value):
                await self._send(encode(error_object(id_of(value), error)))
            return
        if request.text_frame:
            await self._send(text_frame(*_rendered(request, result)))
        elif not request.notification:
            await self._send(encode(result_object(request.id, _shown(request, result))))

    async def _batch(self, values: list[Any]) -> None:
        if not values or len(values) > MAX_BATCH:
            await self._refuse(InvalidRequest(f"a batch has 1 to {MAX_BATCH} requests"))
            return
        await self._pay(len(values) - 1)
        answers = []
        for value in values:
            try:
                request = parse_request(value)
                if request.follows:
                    raise UsageError(f"{request.method}: a stream cannot be part of a batch")
                result = _shown(request, await self._call(request))
                answer = result_object(request.id, result)
            except GitProcError as error:
                answer = error_object(id_of(value), error)
            if not (isinstance(value, dict) and "method" in value and "id" not in value):
                answers.append(answer)
        if answers:
            await self._send(encode(answers))

    async def _plain(self, value: dict[str, Any]) -> None:
        try:
            request = plain_form.parse(value)
            if request.follows:
                async with contextlib.aclosing(self._items(request)) as items:  # type: ignore[type-var]
                    async for item in items:
                        await self._send(encode(plain_form.stream_item(request, item)))
                return
            answer = plain_form.answer(request, await self._call(request))
        except GitProcError as error:
            answer = plain_form.failure(error)
        await self._send(encode(answer))

    async def _call(self, request: Request) -> Any:
        """The handler's result; a fault of ours becomes an error without its traceback."""
        self._access.check(self._caller, request.method, operates=request.spec.operates)
        try:
            result = await self._handler.call(request.method, dict(request.params), self._caller)
        except GitProcError:
            raise
        except Exception:
            log.exception("%s failed", request.method)
            raise InternalError(
                f"{request.method} failed inside the manager: see its log"
            ) from None
        return {"version": VERSION, **result} if isinstance(result, dict) else result

    async def _items(self, request: Request) -> AsyncIterator[dict[str, Any]]:
        self._access.check(self._caller, request.method, operates=request.spec.operates)
        stream = self._handler.stream(request.method, dict(request.params), self._caller)
        try:
            async for item in stream:
                yield item
        except (GitProcError, ConnectionError):
            raise
        except Exception:
            log.exception("%s failed", request.method)
            raise InternalError(
                f"{request.method} failed inside the manager: see its log"
            ) from None
        finally:
            if close := getattr(stream, "aclose", None):
                await close()

    async def _stream(self, request: Request) -> None:
        async with contextlib.aclosing(self._items(request)) as items:  # type: ignore[type-var]
            async for item in items:
                await self._send(encode(stream_object(request.id, item)))


def _rendered(request: Request, result: Any) -> text.Rendered:
    from gitproc.api import text  # most of it is tables: programs do without, and so does adoption

    look = request.presentation
    return text.render(
        request.method,
        request.params,
        result,
        text.Style(width=look.width, color=look.color, value=look.value),
    )


def _shown(request: Request, result: Any) -> Any:
    if not request.presentation.text:
        return result
    rendered = _rendered(request, result)
    return {"version": VERSION, "exit": rendered.status, "out": rendered.out, "err": rendered.err}
