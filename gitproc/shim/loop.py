"""The shim's event loop: descriptors, a few deadlines, and no error that ends it."""

# ruff: noqa: SIM105 (contextlib would cost every start 4 ms)

from __future__ import annotations

import select
import time

from gitproc.shim.process import say

TYPE_CHECKING = False  # `typing` and `collections` stay out of this process
if TYPE_CHECKING:
    from collections.abc import Callable

    Handler = Callable[[int], None]

IN, OUT = select.EPOLLIN, select.EPOLLOUT


class Loop:
    """One epoll. A handler that fails is reported and its descriptor is watched no more."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._handlers: dict[int, Handler] = {}
        self._timers: dict[str, tuple[float, Callable[[], None]]] = {}

    def watch(self, fd: int, handler: Handler, events: int = IN) -> None:
        """Call `handler(events)` whenever the descriptor is ready."""
        self._epoll.register(fd, events)
        self._handlers[fd] = handler

    def expect(self, fd: int, events: int) -> None:
        """Change what is waited for."""
        self._epoll.modify(fd, events)

    def unwatch(self, fd: int) -> None:
        """Forget the descriptor; to be called before it is closed (a fork may hold the file open)."""
        if self._handlers.pop(fd, None) is not None:
            try:
                self._epoll.unregister(fd)
            except OSError:
                pass

    def after(self, name: str, seconds: float, action: Callable[[], None]) -> None:
        """Do this once, later; replaces the timer of that name."""
        self._timers[name] = (time.monotonic() + seconds, action)

    def cancel(self, name: str) -> None:
        """Forget the timer."""
        self._timers.pop(name, None)

    def pending(self, name: str) -> bool:
        """Whether the timer is set."""
        return name in self._timers

    def turn(self) -> None:
        """Wait for something, and handle what is ready."""
        timeout = -1.0
        if self._timers:
            soonest = min(when for when, _ in self._timers.values())
            timeout = max(0.0, soonest - time.monotonic()) + 0.0005
        for fd, events in self._epoll.poll(timeout):
            handler = self._handlers.get(fd)
            if handler is None:
                continue
            try:
                handler(events)
            except Exception as error:
                say(f"descriptor {fd}: {error!r}")
                self.unwatch(fd)
        if self._timers:
            self._ring()

    def _ring(self) -> None:
        now = time.monotonic()
        due = [(name, action) for name, (when, action) in self._timers.items() if when <= now]
        for name, action in due:
            self._timers.pop(name, None)
            try:
                action()
            except Exception as error:
                say(f"{name}: {error!r}")
