"""Taking connections off a listening socket, and waiting for better times where there is no descriptor for one.

A connection that cannot be had stays where it is, and the socket readable: who just went on would do nothing
else any more.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
from collections.abc import Callable

CROWDED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_PAUSE = 1.0  # seconds

log = logging.getLogger(__name__)


class Acceptor:
    """Hands each connection to `taken`, one a turn of the running loop, until `close`.

    `listening` is a descriptor that does not block and stays the caller's; `name` is for the log.
    """

    def __init__(self, listening: int, taken: Callable[[socket.socket], None], name: str) -> None:
        self._listening = listening
        self._taken = taken
        self._name = name
        self._loop = asyncio.get_running_loop()
        self._pause: asyncio.TimerHandle | None = None
        self._crowded = False
        self._loop.add_reader(listening, self._accept)

    def close(self) -> None:
        """Take no more."""
        if self._pause is not None:
            self._pause.cancel()
            self._pause = None
        self._loop.remove_reader(self._listening)

    def _accept(self) -> None:
        listener = socket.socket(fileno=self._listening)
        try:
            connection, _ = listener.accept()
        except OSError as error:
            if error.errno in CROWDED:
                self._wait(error)
            return
        finally:
            listener.detach()
        self._crowded = False
        self._taken(connection)

    def _wait(self, error: OSError) -> None:
        if not self._crowded:
            log.warning("%s: no connection can be accepted: %s", self._name, error.strerror)
        self._crowded = True
        self._loop.remove_reader(self._listening)
        self._pause = self._loop.call_later(_PAUSE, self._go_on)

    def _go_on(self) -> None:
        self._pause = None
        self._loop.add_reader(self._listening, self._accept)
