"""Single keys from a terminal, which is left as it was found."""

from __future__ import annotations

import os
import select
import signal
import sys
import time
from types import FrameType, TracebackType
from typing import Any


class Keys:
    """Within it keys count at once and are not shown; without a terminal there are none.

    SIGTERM ends what is under way as Ctrl-C does (KeyboardInterrupt), so that the terminal is given back.
    """

    def __init__(self) -> None:
        self._fd = sys.stdin.fileno() if sys.stdin is not None and sys.stdin.isatty() else -1
        self._before: list[Any] = []

    def __enter__(self) -> Keys:
        if self._fd >= 0:
            import termios
            import tty

            self._before = termios.tcgetattr(self._fd)
            signal.signal(signal.SIGTERM, _interrupt)
            tty.setcbreak(self._fd)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._before:
            import termios

            termios.tcsetattr(self._fd, termios.TCSADRAIN, self._before)

    def wait(self, seconds: float) -> str:
        """The next key that is pressed within so many seconds; "" if none is."""
        if self._fd < 0:
            time.sleep(max(0.0, seconds))
            return ""
        if not select.select([self._fd], [], [], max(0.0, seconds))[0]:
            return ""
        key = os.read(self._fd, 1)
        if not key:  # somebody hung up
            raise KeyboardInterrupt
        return key.decode("ascii", "replace")


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
