"""What the shim is asked and answers once: each request by a number, its answer a future."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from gitproc.errors import HostError
from gitproc.kernel.shim_line import ShimLine


class ShimRequests:
    """The requests of one line; numbers are used once, whoever asks for them."""

    def __init__(self, line: ShimLine) -> None:
        self._line = line
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._last = 0

    def number(self) -> int:
        """One that no request had before."""
        self._last += 1
        return self._last

    def ask(self, operation: str, *arguments: str, fds: Sequence[int] = ()) -> asyncio.Future[Any]:
        """The answer to come. It is a HostError if the shim refuses, or there is no line, or it breaks."""
        answer = asyncio.get_running_loop().create_future()
        if not self._line.connected:
            answer.set_exception(HostError("there is no connection to the shim"))
            return answer
        request = self.number()
        self._answers[request] = answer
        self._line.send((operation, request, *arguments), fds)
        return answer

    def answered(self, request: int, result: Any) -> None:
        """An answer has come."""
        answer = self._answers.pop(request, None)
        if answer is not None and not answer.done():
            answer.set_result(result)

    def refused(self, request: int, text: str) -> None:
        """The shim cannot, or will not."""
        answer = self._answers.pop(request, None)
        if answer is not None and not answer.done():
            answer.set_exception(HostError(f"the shim refuses: {text}"))

    def broken(self) -> None:
        """The line is gone, and with it the answers."""
        for answer in self._answers.values():
            if not answer.done():
                answer.set_exception(HostError("the connection to the shim is lost"))
        self._answers.clear()
