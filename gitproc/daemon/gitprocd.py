"""Entry of the manager process: run by path, so that `gitprocd` stands in its command line.

The shim starts it (and starts it again) with `-I`: nothing of the environment or of the working directory
decides what is imported, only where this file lies.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import sys
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType

_HERE = __file__.rpartition("/gitproc/")[0]
if _HERE and _HERE not in sys.path:
    sys.path.insert(0, _HERE)

# What is imported stays, or nearly so: looking it through for garbage again and again is a tenth of the start.
# `Daemon.run` does so once, when it has answered.
gc.disable()

# One heap for all threads: by default glibc gives each one of its own, which is never shared nor given back.
_M_ARENA_MAX = -8
with contextlib.suppress(AttributeError):  # another libc
    ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 1)

# asyncio takes all of OpenSSL along if it finds `ssl`: two megabytes and 9 ms of every start. Nothing here
# speaks TLS through asyncio (see `gitproc/health/tls.py`).
sys.modules["ssl"] = None  # type: ignore[assignment]

# Nor is a parser of Python needed, half a megabyte that asyncio takes along by way of `inspect`: should somebody
# use it after all, it is there.
_syntax = sys.modules["ast"] = ModuleType("ast")
_syntax.NodeVisitor = object  # type: ignore[attr-defined]
_syntax.__getattr__ = lambda name: getattr(import_module("ast"), name)  # type: ignore[method-assign]
import asyncio  # noqa: E402, F401

del sys.modules["ssl"], sys.modules["ast"]

# Nor is OpenSSL needed for a few digests: the interpreter's own are as good, a megabyte smaller, and there at
# once. (A distribution may have left them out.)
if find_spec("_sha1") and (find_spec("_sha256") or find_spec("_sha2")):
    sys.modules["_hashlib"] = None  # type: ignore[assignment]

from gitproc.daemon.command_line import handed_over  # noqa: E402
from gitproc.daemon.daemon import manage  # noqa: E402

if __name__ == "__main__":
    sys.exit(manage(handed_over(sys.argv[1:])))
