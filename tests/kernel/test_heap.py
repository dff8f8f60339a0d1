"""Free memory goes back to the system."""

import ctypes
from pathlib import Path

from gitproc.kernel import heap


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def test_what_is_freed_below_something_kept_goes_back():
    libc = ctypes.CDLL(None)
    libc.malloc.restype = ctypes.c_void_p
    taken = [libc.malloc(100_000) for _ in range(200)]
    for address in taken:
        ctypes.memset(address, 1, 100_000)
    for address in taken[:-1]:
        libc.free(ctypes.c_void_p(address))
    before = _resident()
    heap.give_back()
    assert before - _resident() > 10_000_000
    libc.free(ctypes.c_void_p(taken[-1]))
