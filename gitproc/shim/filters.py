"""The last of a child's set-up: system call filters, which the manager compiled (seccomp(2)).

Nothing but exec may follow: each filter holds for what this process does itself.
"""

from __future__ import annotations

import ctypes
import errno
import os

from gitproc.shim import process

TYPE_CHECKING = False  # `typing` and `collections` stay out of this process
if TYPE_CHECKING:
    from gitproc.shim.setup import Setup

_PR_SET_SECCOMP, _MODE_FILTER = 22, 2
_INSTRUCTION = 8  # bytes


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("code", ctypes.c_char_p))


def load(setup: Setup, path: bytes) -> None:
    """Every filter of the spec, in its order; first whether `path` can be executed: a filter may forbid to tell."""
    filters = setup.spec.get("seccomp")
    if not filters:
        return
    os.stat(path)
    if not os.access(path, os.X_OK):
        raise OSError(errno.EACCES, os.strerror(errno.EACCES), path)
    for setup.step, code in filters:
        program = _Program(len(code) // _INSTRUCTION, code)
        process.prctl(_PR_SET_SECCOMP, _MODE_FILTER, ctypes.addressof(program))
    setup.step = "EXEC"
