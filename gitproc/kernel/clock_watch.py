"""The wall clock and the time zone: what they are, and hearing of it when somebody sets them.

A timerfd that is never to elapse is cancelled by the kernel whenever the clock is set (and after a suspend):
that costs nothing meanwhile. The zone is what /etc/localtime is; a change of it is seen by inotify.
"""

from __future__ import annotations

import asyncio
import ctypes
import errno
import logging
import os
import struct
import time
from collections.abc import Callable
from datetime import UTC, tzinfo
from functools import lru_cache

from gitproc.kernel.path_watch import PathWatch, Watched

LOCALTIME = "/etc/localtime"
_ZONE = "time zone"

_TFD_NONBLOCK_CLOEXEC = os.O_NONBLOCK | os.O_CLOEXEC
_ABSTIME_CANCEL_ON_SET = 1 | 2
_NEVER = struct.pack("qqqq", 0, 0, 2**62, 0)  # interval, then value: seconds, nanoseconds

log = logging.getLogger(__name__)


def wall_offset() -> float:
    """Seconds to add to CLOCK_BOOTTIME to get seconds since 1970."""
    return min(_wall_offset() for _ in range(3))[1]


def _wall_offset() -> tuple[float, float]:
    """By how many seconds it may be wrong (whoever gets no processor between two clocks), and the offset."""
    before = time.clock_gettime(time.CLOCK_BOOTTIME)
    wall = time.time()
    doubt = time.clock_gettime(time.CLOCK_BOOTTIME) - before
    return doubt, wall - before - doubt / 2


def local_zone() -> str:
    """What tells the machine's zone from others: TZ, or where /etc/localtime leads and when it was made."""
    named = os.environ.get("TZ", "")
    if named:
        return named
    try:
        return f"{os.path.realpath(LOCALTIME)} {os.stat(LOCALTIME).st_mtime_ns}"
    except OSError:
        return "UTC"


def find_zone(name: str) -> tzinfo | None:
    """The rules of a zone of the machine's data base; "" is the machine's own. None if there is none."""
    return _zone(name, "" if name else local_zone())


@lru_cache(maxsize=64)
def _zone(name: str, _local: str) -> tzinfo | None:
    from zoneinfo import ZoneInfo  # a timer may never ask

    try:
        if name:
            return ZoneInfo(name)
        if os.environ.get("TZ"):
            return ZoneInfo(os.environ["TZ"].removeprefix(":"))
        with open(LOCALTIME, "rb") as file:
            return ZoneInfo.from_file(file)
    except (OSError, ValueError, KeyError):  # ZoneInfoNotFoundError is a KeyError
        return None if name else UTC  # as the C library does


class ClockWatch:
    """Calls back when the wall clock or the zone is set. In the running loop, until `close`."""

    def __init__(
        self,
        paths: PathWatch | None,
        clock_set: Callable[[float], None],
        zone_set: Callable[[str], None],
    ) -> None:
        """`clock_set` gets the new `wall_offset()`, `zone_set` the new `local_zone()`."""
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._clock_set = clock_set
        self._zone_set = zone_set
        self._zone = local_zone()
        self._loop = asyncio.get_running_loop()
        self._fd = self._libc.timerfd_create(time.CLOCK_REALTIME, _TFD_NONBLOCK_CLOEXEC)
        if self._fd < 0 or not self._arm():
            log.warning("cannot tell when the clock is set: %s", os.strerror(ctypes.get_errno()))
        else:
            self._loop.add_reader(self._fd, self._cancelled)
        self._paths = paths
        if paths is None:
            return
        paths.watch(_ZONE, (Watched(LOCALTIME, contents=True),), lambda _: self._look())

    def _arm(self) -> bool:
        return not self._libc.timerfd_settime(self._fd, _ABSTIME_CANCEL_ON_SET, _NEVER, None)

    def _cancelled(self) -> None:
        try:
            os.read(self._fd, 8)
        except BlockingIOError:
            return
        except OSError as error:
            if error.errno != errno.ECANCELED:
                raise
        self._arm()
        self._clock_set(wall_offset())

    def _look(self) -> None:
        zone = local_zone()
        if zone != self._zone:
            self._zone = zone
            self._zone_set(zone)

    def close(self) -> None:
        """Watch no more."""
        if self._paths is not None:
            self._paths.forget(_ZONE)
        if self._fd >= 0:
            self._loop.remove_reader(self._fd)
            os.close(self._fd)
            self._fd = -1
